// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <numeric>

#include "ftlib/data/batch.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// A complete binary tree over bins whose nodes hold the largest free space below: the first bin that fits in O(log n).
class FreeSpace {
 public:
  FreeSpace(std::size_t bins, std::int64_t budget)
      : leaves_(std::bit_ceil(std::max<std::size_t>(bins, 1))), free_(2 * leaves_, budget) {}

  std::size_t first_fit(std::int64_t length) const noexcept {
    std::size_t node = 1;
    while (node < leaves_) node = free_[2 * node] >= length ? 2 * node : 2 * node + 1;
    return node - leaves_;
  }
  void take(std::size_t bin, std::int64_t length) noexcept {
    std::size_t node = bin + leaves_;
    for (free_[node] -= length; node > 1;) {
      node /= 2;
      free_[node] = std::max(free_[2 * node], free_[2 * node + 1]);
    }
  }

 private:
  std::size_t leaves_;
  std::vector<std::int64_t> free_;
};

}  // namespace detail

FTLIB_INLINE std::vector<std::vector<std::int64_t>> pack_first_fit_decreasing(std::span<const std::int64_t> lengths,
                                                                              std::int64_t budget) {
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::int64_t index) { return lengths[static_cast<std::size_t>(index)]; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return length(a) > length(b); });
  detail::FreeSpace space(lengths.size(), budget);
  std::vector<std::vector<std::int64_t>> bins;
  for (const std::int64_t index : order) {
    FT_CHECK(length(index) >= 1 && length(index) <= budget, invalid_argument, "[pack] length ", length(index),
             " of record ", index, " does not fit a bin of ", budget, " tokens");
    const std::size_t bin = space.first_fit(length(index));
    if (bin == bins.size()) bins.emplace_back();
    bins[bin].push_back(index);
    space.take(bin, length(index));
  }
  return bins;
}

}  // namespace ftlib
