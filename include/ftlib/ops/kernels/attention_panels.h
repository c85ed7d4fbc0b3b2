// SPDX-License-Identifier: Apache-2.0
// Attention's operands as panels of units: keys and values of one block, rows of queries.
#pragma once
#include <atomic>

#include "ftlib/core/scratch.h"
#include "ftlib/ops/attention.h"
#include "ftlib/ops/kernels/tile.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// Keys of one block: a tile's worth of score columns.
inline constexpr std::int64_t kKeyBlock = 64;

/// Query positions of one block: about 192 rows of scores, so that filling the panels of a key block is paid for.
/// A row is one position of one query head of the group, positions outermost: a tile of rows sees nearly equal keys.
constexpr std::int64_t query_block(std::int64_t group) noexcept {
  const std::int64_t positions = 192 / group;
  return positions < 16 ? 16 : positions > 128 ? 128 : positions;
}

/// The sizes of one head's panels, in units and padded to whole vectors.
template <class Tile>
struct HeadSizes {
  static constexpr std::int64_t kLanes = Tile::Vector::kLanes;
  std::int64_t dim, columns, steps, units;
  constexpr explicit HeadSizes(std::int64_t head_dim) noexcept
      : dim(head_dim), columns(round_up(head_dim, kLanes)), steps((head_dim + Tile::kPair - 1) / Tile::kPair),
        units(round_up(steps, kLanes)) {}
};

/// One thread's scratch, cut into arrays aligned to 64 bytes. The first pass, without memory, measures.
class Carver {
 public:
  explicit Carver(void* memory = nullptr) noexcept : at_(static_cast<char*>(memory)) {}
  template <class T>
  FT_ALWAYS_INLINE T* take(std::int64_t count) noexcept {
    T* taken = at_ ? reinterpret_cast<T*>(at_ + used_) : nullptr;
    used_ += round_up(count * static_cast<std::int64_t>(sizeof(T)), 64);
    return taken;
  }
  std::int64_t used() const noexcept { return used_; }

 private:
  char* at_;
  std::int64_t used_ = 0;
};

/// Calls for the lines of `count` rows of one head, into the second-level cache: the first is full of panels.
template <class S>
FT_ALWAYS_INLINE void prefetch_rows(Heads<const S> rows, std::int64_t first, std::int64_t count, std::int64_t head,
                                    std::int64_t dim) noexcept {
  for (std::int64_t n = first; n < first + count; ++n)
    for (std::int64_t e = 0; e < dim; e += 64 / static_cast<std::int64_t>(sizeof(S))) __builtin_prefetch(rows(n, head) + e, 0, 2);
}

/// rows [count][dim] -> panel [units][kKeyBlock]: columns are rows, zeros beyond count; for products over the head dim.
template <class Tile, class Row>
FT_ALWAYS_INLINE void fill_transposed(Row&& row, std::int64_t count, const HeadSizes<Tile>& head,
                                      typename Tile::Unit* panel) noexcept {
  using V = typename Tile::Vector;
  constexpr int kLanes = V::kLanes;
  for (std::int64_t n = 0; n < kKeyBlock; n += kLanes)
    for (std::int64_t u = 0; u < head.units; u += kLanes) {
      V block[kLanes];
      for (int i = 0; i < kLanes; ++i)
        block[i] = n + i < count ? Tile::units(row(n + i), u * Tile::kPair, head.dim) : V::set(0);
      V::transpose(block);
      for (int i = 0; i < kLanes; ++i) block[i].store_bits(panel + (u + i) * kKeyBlock + n);
    }
}

/// rows [count][dim] -> panel [ceil(count / kPair)][columns], zeros beyond count; for products over the rows.
template <class Tile, class Row>
FT_ALWAYS_INLINE void fill_joined(Row&& row, std::int64_t count, const HeadSizes<Tile>& head,
                                  typename Tile::Unit* panel) noexcept {
  using V = typename Tile::Vector;
  for (std::int64_t n = 0; n < count; n += Tile::kPair, panel += head.columns) {
    const auto* first = row(n);
    const decltype(first) second = Tile::kPair == 2 && n + 1 < count ? row(n + 1) : nullptr;
    for (std::int64_t e = 0; e < head.columns; e += V::kLanes)
      Tile::joined(first, second, e, head.dim).store_bits(panel + e);
  }
}

/// rows [count][dim] -> [count][units], the left operand of products over the head dim.
template <class Tile, class Row>
FT_ALWAYS_INLINE void fill_rows(Row&& row, std::int64_t count, const HeadSizes<Tile>& head,
                                typename Tile::Unit* panel) noexcept {
  using V = typename Tile::Vector;
  for (std::int64_t n = 0; n < count; ++n, panel += head.units)
    for (std::int64_t u = 0; u < head.units; u += V::kLanes)
      Tile::units(row(n), u * Tile::kPair, head.dim).store_bits(panel + u);
}

inline constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.69314718055994531f;

}  // namespace kernels
}  // namespace ftlib
