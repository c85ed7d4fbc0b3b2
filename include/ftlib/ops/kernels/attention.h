// SPDX-License-Identifier: Apache-2.0
// The forward pass: a block of queries walks its keys once with a running maximum and sum (FlashAttention-2, algorithm 1).
// Blocks start where their segment starts, so a segment's bits do not depend on where it lies in the batch.
#pragma once
#include <cmath>
#include <limits>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/kernels/attention_panels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// What one thread needs for one block of queries.
template <class Tile>
struct AttentionScratch {
  using Unit = typename Tile::Unit;
  Unit *k, *v, *p;             ///< transposed keys, joined values, weights of one tile of rows
  float* scores;               ///< one tile of rows
  Unit* q;                     ///< rows of the block, as are the following
  float *out, *highest, *sum;  ///< sum: kLanes partial sums a row
  std::int64_t bytes;

  AttentionScratch(void* memory, std::int64_t rows, const HeadSizes<Tile>& head) noexcept {
    using V = typename Tile::Vector;
    Carver carver(memory);
    k = carver.take<Unit>(head.units * kKeyBlock);
    v = carver.take<Unit>(kKeyBlock / Tile::kPair * head.columns);
    p = carver.take<Unit>(V::kTileRows * kKeyBlock);
    scores = carver.take<float>(V::kTileRows * kKeyBlock);
    q = carver.take<Unit>(rows * head.units);
    out = carver.take<float>(rows * head.columns);
    highest = carver.take<float>(rows);
    sum = carver.take<float>(rows * V::kLanes);
    bytes = carver.used();
  }
};

/// Scores of `rows` rows over `columns` keys become weights 2^(score - highest) in place; returns through `decay` what
/// earlier sums and outputs are worth under the new maximum. visible(r): keys of this block that row r sees.
template <class V, class Visible>
FT_ALWAYS_INLINE void soften(float* scores, std::int64_t rows, std::int64_t columns, float scale, Visible&& visible,
                             float* highest, float* sum, float* decay) noexcept {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  float before[V::kLanes] = {}, after[V::kLanes] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * kKeyBlock;
    const std::int64_t seen = visible(r);
    V most = V::set(kLowest);
    for (std::int64_t n = 0; n < columns; n += V::kLanes) {
      V score = V::load(row + n) * V::set(scale);
      if (seen < n + V::kLanes) score = score.keep(seen - n, kLowest);
      score.store(row + n);
      most = max(score, most);
    }
    const float top = most.highest();
    before[r] = highest[r];
    after[r] = highest[r] = top > highest[r] || top != top ? top : highest[r];
  }
  exp2(V::load(before) - V::load(after)).store(decay);
  for (std::int64_t r = 0; r < rows; ++r) {
    float* row = scores + r * kKeyBlock;
    const V shift = V::set(highest[r]);
    V total = V::load(sum + r * V::kLanes) * V::set(decay[r]);
    for (std::int64_t n = 0; n < columns; n += V::kLanes) {
      const V weight = exp2(V::load(row + n) - shift);
      weight.store(row + n);
      total = total + weight;
    }
    total.store(sum + r * V::kLanes);
  }
}

template <class V>
FT_ALWAYS_INLINE void scale_row(float* row, std::int64_t columns, float factor) noexcept {
  if (factor == 1) return;
  for (std::int64_t e = 0; e < columns; e += V::kLanes) (V::load(row + e) * V::set(factor)).store(row + e);
}

/// One block of query positions of one segment and one key/value head.
struct AttentionBlock {
  reference::AttentionSpan span;
  std::int64_t first, count, kv_head, group;

  std::int64_t rows() const noexcept { return count * group; }
  std::int64_t token(std::int64_t row) const noexcept { return span.q + first + row / group; }
  std::int64_t head(std::int64_t row) const noexcept { return kv_head * group + row % group; }
  /// Keys that row sees.
  std::int64_t visible(std::int64_t row) const noexcept { return span.visible(first + row / group); }
};

/// Rows [row, row + rows) of the block against the key block in scratch, whose first key is `key`.
template <class Tile>
FT_ALWAYS_INLINE void attend_rows(const AttentionBlock& block, std::int64_t row, std::int64_t rows, std::int64_t key,
                                  float scale, const HeadSizes<Tile>& head,
                                  const AttentionScratch<Tile>& s) noexcept {
  using V = typename Tile::Vector;
  std::int64_t columns = block.visible(row + rows - 1) - key;
  if (columns <= 0) return;
  columns = columns < kKeyBlock ? round_up(columns, V::kLanes) : kKeyBlock;
  multiply_rows<Tile>({s.q + row * head.units, head.units, 1, s.k, kKeyBlock, head.steps, s.scores, kKeyBlock}, rows,
                      columns, false);
  float decay[V::kLanes];
  soften<V>(s.scores, rows, columns, scale * kLog2E, [&](std::int64_t r) { return block.visible(row + r) - key; },
            s.highest + row, s.sum + row * V::kLanes, decay);
  float* out = s.out + row * head.columns;
  for (std::int64_t r = 0; r < rows; ++r) scale_row<V>(out + r * head.columns, head.columns, decay[r]);
  const auto* p = Tile::left_operand(s.scores, rows, columns, s.p);
  multiply_rows<Tile>({p, kKeyBlock / Tile::kPair, 1, s.v, head.columns, columns / Tile::kPair, out, head.columns},
                      rows, head.columns, true);
}

template <class Tile, class S>
FT_ALWAYS_INLINE void begin_block(const AttentionArgs& args, const AttentionBlock& block, const HeadSizes<Tile>& head,
                                  const AttentionScratch<Tile>& s) noexcept {
  const auto q = heads_of<S>(args.q);
  const std::int64_t rows = block.rows();
  fill_rows<Tile>([&](std::int64_t r) { return q(block.token(r), block.head(r)); }, rows, head, s.q);
  for (std::int64_t i = 0; i < rows * head.columns; ++i) s.out[i] = 0;
  for (std::int64_t i = 0; i < rows * Tile::Vector::kLanes; ++i) s.sum[i] = 0;
  for (std::int64_t r = 0; r < rows; ++r) s.highest[r] = -std::numeric_limits<float>::infinity();
}

/// The block against `count` keys from `key` on.
template <class Tile, class S>
FT_ALWAYS_INLINE void attend_keys(const AttentionArgs& args, const AttentionBlock& block, std::int64_t key,
                                  std::int64_t count, const HeadSizes<Tile>& head,
                                  const AttentionScratch<Tile>& s) noexcept {
  using V = typename Tile::Vector;
  const auto k = heads_of<S>(args.k), v = heads_of<S>(args.v);
  const std::int64_t first = block.span.kv + key, rows = block.rows();
  fill_transposed<Tile>([&](std::int64_t n) { return k(first + n, block.kv_head); }, count, head, s.k);
  fill_joined<Tile>([&](std::int64_t n) { return n < count ? v(first + n, block.kv_head) : nullptr; }, kKeyBlock, head,
                    s.v);
  for (std::int64_t row = 0; row < rows; row += V::kTileRows)
    attend_rows<Tile>(block, row, rows - row < V::kTileRows ? rows - row : V::kTileRows, key, args.scale, head, s);
}

template <class Tile, class S>
FT_ALWAYS_INLINE void finish_block(const AttentionArgs& args, const AttentionBlock& block, const HeadSizes<Tile>& head,
                                   const AttentionScratch<Tile>& s) noexcept {
  using V = typename Tile::Vector;
  const auto y = heads_of<S>(args.y);
  for (std::int64_t r = 0; r < block.rows(); ++r) {
    const float sum = V::load(s.sum + r * V::kLanes).sum();
    each<V>(head.dim, [&, out = s.out + r * head.columns, to = y(block.token(r), block.head(r))](std::int64_t e,
                                                                                                auto... part) {
      (V::load(out + e) / V::set(sum)).store(to + e, part...);
    });
    if (args.lse) rows_of<float>(args.lse)[block.head(r)][block.token(r)] = s.highest[r] * kLn2 + std::log(sum);
  }
}

/// Calls for the key block from `key` on. Always inline: GCC drops calls of a function that does nothing but prefetch.
template <class S>
FT_ALWAYS_INLINE void prefetch_keys(const AttentionArgs& args, const AttentionBlock& block, std::int64_t key,
                                    std::int64_t count) noexcept {
  prefetch_rows(heads_of<S>(args.k), block.span.kv + key, count, block.kv_head, args.k.shape[2]);
  prefetch_rows(heads_of<S>(args.v), block.span.kv + key, count, block.kv_head, args.v.shape[2]);
}

template <class Tile, class S>
void attend_block(const AttentionArgs& args, const AttentionBlock& block, const HeadSizes<Tile>& head,
                  const AttentionScratch<Tile>& s) noexcept {
  const std::int64_t keys = block.visible(block.rows() - 1);
  const auto count = [&](std::int64_t key) { return keys - key < kKeyBlock ? keys - key : kKeyBlock; };
  prefetch_keys<S>(args, block, 0, count(0));
  begin_block<Tile, S>(args, block, head, s);
  for (std::int64_t key = 0; key < keys; key += kKeyBlock) {
    prefetch_keys<S>(args, block, key + kKeyBlock, count(key + kKeyBlock));
    attend_keys<Tile, S>(args, block, key, count(key), head, s);
  }
  finish_block<Tile, S>(args, block, head, s);
}

/// Blocks of positions in all segments.
inline std::int64_t attention_blocks(const AttentionSegments& segments, std::int64_t positions) noexcept {
  std::int64_t blocks = 0;
  for (std::int64_t s = 0; s < segments.count; ++s)
    blocks += (segments.q_offsets[s + 1] - segments.q_offsets[s] + positions - 1) / positions;
  return blocks;
}

/// The n-th block of positions: its segment and first position.
inline AttentionBlock attention_block(const AttentionSegments& segments, std::int64_t positions, std::int64_t n,
                                      std::int64_t kv_head, std::int64_t group) noexcept {
  std::int64_t segment = 0;
  for (;; ++segment) {
    const std::int64_t length = segments.q_offsets[segment + 1] - segments.q_offsets[segment];
    const std::int64_t blocks = (length + positions - 1) / positions;
    if (n < blocks) break;
    n -= blocks;
  }
  const auto span = reference::attention_span(segments, segment);
  const std::int64_t first = n * positions, rest = span.q_count - first;
  return {span, first, rest < positions ? rest : positions, kv_head, group};
}

template <class Tile, class S>
Status attention_with(const AttentionArgs& args) noexcept {
  const std::int64_t kv_heads = args.k.shape[1], group = args.q.shape[1] / kv_heads;
  const std::int64_t positions = query_block(group), blocks = attention_blocks(args.segments, positions);
  const HeadSizes<Tile> head(args.q.shape[2]);
  std::atomic<bool> out_of_memory{false};
  parallel_for(blocks * kv_heads, [&](std::int64_t chunk) {
    const AttentionBlock block =
        attention_block(args.segments, positions, chunk / kv_heads, chunk % kv_heads, group);
    void* memory = scratch(AttentionScratch<Tile>(nullptr, block.rows(), head).bytes);
    if (memory == nullptr) return out_of_memory.store(true, std::memory_order_relaxed);
    attend_block<Tile, S>(args, block, head, AttentionScratch<Tile>(memory, block.rows(), head));
  });
  return out_of_memory.load() ? Status::out_of_memory : Status::ok;
}

/// In f32 units for either storage type.
template <class V>
Status attention(const AttentionArgs& args) noexcept {
  if (args.q.dtype == DType::f32) return attention_with<F32Tile<V>, float>(args);
  if (args.q.dtype == DType::bf16) return attention_with<F32Tile<V>, bf16>(args);
  return Status::unsupported;
}

}  // namespace kernels
}  // namespace ftlib
