// SPDX-License-Identifier: Apache-2.0
// A batch is always packed: segments lie one behind another, no padding exists, attention is causal within a segment.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::int32_t kIgnoreLabel = -100;  ///< Hugging Face's ignore_index

/// One tokenised record.
struct Example {
  std::string id;
  std::int64_t index = 0;                ///< 0-based place in its file: the identity that dropout is keyed by
  std::vector<std::int32_t> tokens;      ///< [n]
  std::vector<std::uint8_t> supervised;  ///< [n] 1 where the token is a target; the first token never is
  float weight = 1;                      ///< of each of its supervised tokens in the loss

  std::int64_t length() const noexcept { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t supervised_tokens() const noexcept { return std::count(supervised.begin(), supervised.end(), 1); }
  bool begins_with(std::span<const std::int32_t> prompt) const noexcept {
    return prompt.size() <= tokens.size() && std::equal(prompt.begin(), prompt.end(), tokens.begin());
  }
};

/// T tokens in S segments.
struct Batch {
  std::vector<std::int32_t> tokens;           ///< [T]
  std::vector<std::int32_t> labels;           ///< [T] the token that row t has to predict, or kIgnoreLabel
  std::vector<float> weights;                 ///< [T] of the label in the loss
  std::vector<std::int32_t> positions;        ///< [T] within its segment
  std::vector<std::int32_t> segment_offsets;  ///< [S + 1]
  std::vector<std::int64_t> row_keys;         ///< [T] record index << 32 | position: identity for dropout

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t segments() const noexcept { return static_cast<std::int64_t>(segment_offsets.size()) - 1; }
  std::int64_t supervised_tokens() const noexcept {
    return std::count_if(labels.begin(), labels.end(), [](std::int32_t label) { return label != kIgnoreLabel; });
  }
  /// Sum of the weights of the supervised rows, in double: this batch's share of the loss's denominator.
  double weight_sum() const noexcept {
    double sum = 0;
    for (std::size_t t = 0; t < labels.size(); ++t) sum += labels[t] == kIgnoreLabel ? 0.0 : double{weights[t]};
    return sum;
  }
};

/// Appends one example as a segment.
inline void append_segment(Batch& batch, const Example& example) {
  if (batch.segment_offsets.empty()) batch.segment_offsets.push_back(0);
  const std::size_t n = example.tokens.size();
  for (std::size_t i = 0; i < n; ++i) {
    const bool target = i + 1 < n && example.supervised[i + 1] != 0;
    batch.tokens.push_back(example.tokens[i]);
    batch.labels.push_back(target ? example.tokens[i + 1] : kIgnoreLabel);
    batch.weights.push_back(target ? example.weight : 0.0f);
    batch.positions.push_back(static_cast<std::int32_t>(i));
    batch.row_keys.push_back((example.index << 32) | static_cast<std::int64_t>(i));
  }
  batch.segment_offsets.push_back(static_cast<std::int32_t>(batch.tokens.size()));
}

/// Makes room for so many tokens, however many segments they form.
inline void reserve(Batch& batch, std::int64_t tokens) {
  const auto n = static_cast<std::size_t>(tokens);
  batch.tokens.reserve(n), batch.labels.reserve(n), batch.weights.reserve(n), batch.positions.reserve(n);
  batch.row_keys.reserve(n), batch.segment_offsets.reserve(n + 1);
}

/// Replaces the batch by the examples of one bin, packed in the bin's order.
inline void fill(Batch& batch, std::span<const Example> examples, std::span<const std::int64_t> bin) {
  batch.tokens.clear(), batch.labels.clear(), batch.weights.clear(), batch.positions.clear();
  batch.row_keys.clear(), batch.segment_offsets.clear();
  for (const std::int64_t index : bin) append_segment(batch, examples[static_cast<std::size_t>(index)]);
}
inline Batch make_batch(std::span<const Example> examples, std::span<const std::int64_t> bin) {
  Batch batch;
  fill(batch, examples, bin);
  return batch;
}

/// First-fit-decreasing: indices of `lengths` into bins of at most `budget` tokens, longest first, ties by index.
/// Every length must be 1 to budget. O(n log n) by a tree over the bins' free space (Johnson 1974).
std::vector<std::vector<std::int64_t>> pack_first_fit_decreasing(std::span<const std::int64_t> lengths,
                                                                 std::int64_t budget);

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/data/batch-inl.h"
#endif
