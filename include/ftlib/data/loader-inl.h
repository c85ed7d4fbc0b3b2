// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <numeric>

#include "ftlib/core/random.h"
#include "ftlib/data/loader.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

// Streams of the seed, one per purpose and epoch.
inline constexpr std::uint64_t kOrderStream = 0x4f52'0000'0000'0000, kBinStream = 0x4249'0000'0000'0000;
inline constexpr std::int64_t kPackingWindow = 4096;

using Bins = std::vector<std::vector<std::int64_t>>;

inline Bins bins_by_count(const std::vector<std::int64_t>& order, std::int64_t count) {
  Bins bins;
  for (std::size_t at = 0; at < order.size(); ++at) {
    if (at % static_cast<std::size_t>(count) == 0) bins.emplace_back();
    bins.back().push_back(order[at]);
  }
  return bins;
}

inline Bins bins_next_fit(const std::vector<std::int64_t>& order, std::span<const std::int64_t> lengths,
                          std::int64_t budget) {
  Bins bins;
  std::int64_t free = 0;
  for (const std::int64_t index : order) {
    const std::int64_t length = lengths[static_cast<std::size_t>(index)];
    if (length > free) bins.emplace_back(), free = budget;
    bins.back().push_back(index);
    free -= length;
  }
  return bins;
}

inline Bins bins_first_fit(const std::vector<std::int64_t>& order, std::span<const std::int64_t> lengths,
                           std::int64_t budget) {
  Bins bins;
  for (std::size_t begin = 0; begin < order.size(); begin += kPackingWindow) {
    const std::size_t end = std::min(order.size(), begin + kPackingWindow);
    std::vector<std::int64_t> window;
    for (std::size_t i = begin; i < end; ++i) window.push_back(lengths[static_cast<std::size_t>(order[i])]);
    for (auto& bin : pack_first_fit_decreasing(window, budget)) {
      for (std::int64_t& index : bin) index = order[begin + static_cast<std::size_t>(index)];
      bins.push_back(std::move(bin));
    }
  }
  return bins;
}

}  // namespace detail

FTLIB_INLINE std::vector<std::int64_t> epoch_order(std::int64_t records, const LoaderOptions& options,
                                                   std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(records));
  std::iota(order.begin(), order.end(), 0);
  if (options.order == Order::shuffle)
    shuffle(order.begin(), order.size(), Random(options.seed, detail::kOrderStream + static_cast<std::uint64_t>(epoch)));
  return order;
}

FTLIB_INLINE std::vector<std::vector<std::int64_t>> plan_epoch(std::span<const std::int64_t> lengths,
                                                               const LoaderOptions& options, std::int64_t epoch) {
  const auto order = epoch_order(static_cast<std::int64_t>(lengths.size()), options, epoch);
  if (options.batch_examples > 0) return detail::bins_by_count(order, options.batch_examples);
  for (std::size_t i = 0; i < lengths.size(); ++i)
    FT_CHECK(lengths[i] <= options.batch_tokens, invalid_argument, "[loader] record ", i, " has ", lengths[i],
             " tokens, more than --batch-tokens ", options.batch_tokens, "; raise it, or lower --max-length");
  if (options.order == Order::given) return detail::bins_next_fit(order, lengths, options.batch_tokens);
  auto bins = detail::bins_first_fit(order, lengths, options.batch_tokens);
  shuffle(bins.begin(), bins.size(), Random(options.seed, detail::kBinStream + static_cast<std::uint64_t>(epoch)));
  return bins;
}

FTLIB_INLINE Loader::Loader(std::span<const Example> examples, const LoaderOptions& options)
    : examples_(examples), options_(options) {
  FT_CHECK((options.batch_tokens > 0) != (options.batch_examples > 0), invalid_argument,
           "[loader] give either batch_tokens or batch_examples");
  FT_CHECK(options.accumulate >= 1, invalid_argument, "[loader] accumulate must be at least 1");
  FT_CHECK(!examples.empty(), invalid_argument, "[loader] there are no records");
  for (const Example& example : examples) lengths_.push_back(example.length());
}

FTLIB_INLINE const std::vector<std::vector<std::int64_t>>& Loader::bins(std::int64_t epoch) {
  if (epoch != planned_epoch_) bins_ = plan_epoch(lengths_, options_, epoch), planned_epoch_ = epoch;
  return bins_;
}

FTLIB_INLINE std::int64_t Loader::steps(std::int64_t epoch) {
  return (static_cast<std::int64_t>(bins(epoch).size()) + options_.accumulate - 1) / options_.accumulate;
}

FTLIB_INLINE std::span<const Batch> Loader::step(std::int64_t epoch, std::int64_t step) {
  const auto& all = bins(epoch);
  const auto begin = static_cast<std::size_t>(step * options_.accumulate);
  const std::size_t end = std::min(all.size(), begin + static_cast<std::size_t>(options_.accumulate));
  for (std::size_t i = begin; i < end; ++i) {
    if (i - begin == batches_.size()) reserve(batches_.emplace_back(), max_batch_tokens());
    fill(batches_[i - begin], examples_, all[i]);
  }
  return std::span(batches_).first(end - begin);
}

FTLIB_INLINE std::int64_t Loader::max_batch_tokens() {
  if (options_.batch_tokens > 0) {
    std::int64_t total = 0;
    for (const std::int64_t length : lengths_) total += length;
    return std::min(options_.batch_tokens, total);
  }
  // Any batch_examples records may meet in some epoch: the bound is the sum of the longest ones.
  std::vector<std::int64_t> sorted = lengths_;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  sorted.resize(std::min(sorted.size(), static_cast<std::size_t>(options_.batch_examples)));
  return std::accumulate(sorted.begin(), sorted.end(), std::int64_t{0});
}

}  // namespace ftlib
