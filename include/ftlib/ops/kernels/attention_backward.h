// SPDX-License-Identifier: Apache-2.0
// The backward pass: one (segment, key/value head) at a time, its keys and values packed once, its queries walked in
// blocks; every gradient is summed in f32 in the order of the blocks (FlashAttention-2, algorithm 2, loops exchanged). The
// queries of a long segment are cut into parts for several threads, whose sums for keys and values are added in order.
#pragma once
#include "ftlib/core/scratch.h"
#include "ftlib/ops/kernels/attention.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// What one thread needs for one segment of `keys` keys and blocks of `rows` rows.
template <class Tile>
struct AttentionBackwardScratch {
  using Unit = typename Tile::Unit;
  Unit *k_transposed, *v_transposed, *k_joined;  ///< per key block
  float *dk, *dv = nullptr;                      ///< [keys, columns]; room for both at dk
  Unit *q, *dy, *q_joined, *dy_joined;           ///< one block of queries; the joined ones may be the rows themselves
  float *dq, *lse, *delta;
  float *p, *ds;        ///< [rows, kKeyBlock] where a unit is a float, else one tile of rows
  Unit *p_joined, *ds_joined, *ds_rows;
  std::int64_t bytes;

  AttentionBackwardScratch(void* memory, std::int64_t keys, std::int64_t rows, const HeadSizes<Tile>& head) noexcept {
    constexpr std::int64_t kPair = Tile::kPair;
    Carver carver(memory);
    const std::int64_t blocks = (keys + kKeyBlock - 1) / kKeyBlock, pairs = (rows + kPair - 1) / kPair;
    k_transposed = carver.take<Unit>(blocks * kKeyBlock * head.units);
    v_transposed = carver.take<Unit>(blocks * kKeyBlock * head.units);
    k_joined = carver.take<Unit>(blocks * kKeyBlock / kPair * head.columns);
    dk = carver.take<float>(2 * blocks * kKeyBlock * head.columns);
    q = carver.take<Unit>(rows * head.units);
    dy = carver.take<Unit>(rows * head.units);
    q_joined = kPair == 1 ? q : carver.take<Unit>(pairs * head.columns);
    dy_joined = kPair == 1 ? dy : carver.take<Unit>(pairs * head.columns);
    dq = carver.take<float>(rows * head.columns);
    lse = carver.take<float>(rows);
    delta = carver.take<float>(rows);
    p = carver.take<float>((kPair == 1 ? rows : Tile::Vector::kTileRows) * kKeyBlock);
    ds = carver.take<float>((kPair == 1 ? rows : Tile::Vector::kTileRows) * kKeyBlock);
    p_joined = kPair == 1 ? nullptr : carver.take<Unit>(pairs * kKeyBlock);
    ds_joined = kPair == 1 ? nullptr : carver.take<Unit>(pairs * kKeyBlock);
    ds_rows = carver.take<Unit>(Tile::Vector::kTileRows * kKeyBlock);
    bytes = carver.used();
  }
};

/// scores and products dy . v of some rows become p and ds = scale * p * (product - delta); zero where a row does not
/// see a key and beyond `columns`.
template <class V, class Visible>
FT_ALWAYS_INLINE void soften_backward(float* p, float* ds, std::int64_t rows, std::int64_t columns, float scale,
                                      const float* lse, const float* delta, Visible&& visible) noexcept {
  for (std::int64_t r = 0; r < rows; ++r, p += kKeyBlock, ds += kKeyBlock) {
    const std::int64_t seen = visible(r);
    const V log_sum = V::set(lse[r]), mean = V::set(delta[r]);
    std::int64_t n = 0;
    for (; n < columns; n += V::kLanes) {
      V weight = exp2(fma(V::load(p + n), V::set(scale * kLog2E), V::set(0) - log_sum));
      V slope = weight * (V::load(ds + n) - mean) * V::set(scale);
      if (seen < n + V::kLanes) weight = weight.keep(seen - n, 0), slope = slope.keep(seen - n, 0);
      weight.store(p + n);
      slope.store(ds + n);
    }
    for (; n < kKeyBlock; n += V::kLanes) V::set(0).store(p + n), V::set(0).store(ds + n);
  }
}

/// One query block of one segment and head in backward.
template <class Tile>
struct BackwardStep {
  const AttentionBlock& block;
  const HeadSizes<Tile>& head;
  const AttentionBackwardScratch<Tile>& s;
  float scale;

  /// p, ds and dq of rows [row, row + rows) against the key block that starts at `key`.
  FT_ALWAYS_INLINE void rows(std::int64_t row, std::int64_t count, std::int64_t key) const noexcept {
    using V = typename Tile::Vector;
    float *p = s.p, *ds = s.ds;
    if constexpr (Tile::kPair == 1) p += row * kKeyBlock, ds += row * kKeyBlock;
    const std::int64_t seen = block.visible(row + count - 1) - key;
    const std::int64_t columns = seen <= 0 ? 0 : seen < kKeyBlock ? round_up(seen, V::kLanes) : kKeyBlock;
    const std::int64_t panel = key * head.units;
    if (columns > 0) {
      multiply_rows<Tile>({s.q + row * head.units, head.units, 1, s.k_transposed + panel, kKeyBlock, head.steps, p,
                           kKeyBlock}, count, columns, false);
      multiply_rows<Tile>({s.dy + row * head.units, head.units, 1, s.v_transposed + panel, kKeyBlock, head.steps, ds,
                           kKeyBlock}, count, columns, false);
    }
    soften_backward<V>(p, ds, count, columns, scale, s.lse + row, s.delta + row,
                       [&](std::int64_t r) { return block.visible(row + r) - key; });
    Tile::join_rows(p, count, s.p_joined, row);
    Tile::join_rows(ds, count, s.ds_joined, row);
    if (columns == 0) return;
    const auto* left = Tile::left_operand(ds, count, columns, s.ds_rows);
    multiply_rows<Tile>({left, kKeyBlock / Tile::kPair, 1, s.k_joined + key / Tile::kPair * head.columns, head.columns,
                         columns / Tile::kPair, s.dq + row * head.columns, head.columns}, count, head.columns, true);
  }

  /// dk and dv of `count` keys from `key` on, keys of the block that starts at `block_key`.
  FT_ALWAYS_INLINE void keys(std::int64_t key, std::int64_t count, std::int64_t block_key) const noexcept {
    constexpr std::int64_t kPair = Tile::kPair;
    const std::int64_t rows = (block.rows() + kPair - 1) / kPair, column = key - block_key;
    // Earlier positions do not see the key.
    const std::int64_t unseen = key > block.first ? (key - block.first) * block.group / kPair : 0;
    if (unseen >= rows) return;
    const auto *p = Tile::joined_left(s.p, s.p_joined), *ds = Tile::joined_left(s.ds, s.ds_joined);
    const std::int64_t at = unseen * kKeyBlock + column, stride = Tile::kPair == 1 ? head.units : head.columns;
    multiply_rows<Tile>({p + at, 1, kKeyBlock, s.dy_joined + unseen * stride, stride, rows - unseen,
                         s.dv + key * head.columns, head.columns}, count, head.columns, true);
    multiply_rows<Tile>({ds + at, 1, kKeyBlock, s.q_joined + unseen * stride, stride, rows - unseen,
                         s.dk + key * head.columns, head.columns}, count, head.columns, true);
  }
};

/// Rows of q and dy as panels, their log-sum-exp in base 2, and delta = dy . y.
template <class Tile, class S>
FT_ALWAYS_INLINE void load_queries(const AttentionBackwardArgs& args, const AttentionBlock& block,
                                   const HeadSizes<Tile>& head, const AttentionBackwardScratch<Tile>& s) noexcept {
  using V = typename Tile::Vector;
  const auto q = heads_of<S>(args.q), y = heads_of<S>(args.y), dy = heads_of<S>(args.dy);
  const auto lse = rows_of<float>(args.lse);
  const std::int64_t rows = block.rows();
  const auto q_row = [&](std::int64_t r) { return q(block.token(r), block.head(r)); };
  const auto dy_row = [&](std::int64_t r) { return dy(block.token(r), block.head(r)); };
  fill_rows<Tile>(q_row, rows, head, s.q);
  fill_rows<Tile>(dy_row, rows, head, s.dy);
  if constexpr (Tile::kPair > 1) {
    fill_joined<Tile>(q_row, rows, head, s.q_joined);
    fill_joined<Tile>(dy_row, rows, head, s.dy_joined);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    s.lse[r] = lse[block.head(r)][block.token(r)] * kLog2E;
    s.delta[r] = sum_of<V>(head.dim, [a = dy_row(r), b = y(block.token(r), block.head(r))](std::int64_t e, auto... part) {
      return V::load(a + e, part...) * V::load(b + e, part...);
    });
  }
}

template <class V, class S>
FT_ALWAYS_INLINE void store_row(const float* from, S* to, std::int64_t dim) noexcept {
  each<V>(dim, [&](std::int64_t e, auto... part) { V::load(from + e).store(to + e, part...); });
}

inline constexpr std::int64_t kQueryPart = 1024, kMostQueryParts = 8;

/// Parts that a segment's queries are cut into: by its length alone, so that its bits depend on nothing else.
FT_ALWAYS_INLINE std::int64_t query_parts(std::int64_t tokens) noexcept {
  const std::int64_t parts = tokens / kQueryPart;
  return parts < 1 ? 1 : parts < kMostQueryParts ? parts : kMostQueryParts;
}

/// Where part `part` begins. Parts are of about equal work: a query's grows with its position.
FT_ALWAYS_INLINE std::int64_t query_part_begin(std::int64_t tokens, std::int64_t part, std::int64_t positions) noexcept {
  const std::int64_t parts = query_parts(tokens);
  if (part == parts) return tokens;
  const double share = std::sqrt(static_cast<double>(part) / static_cast<double>(parts));
  return static_cast<std::int64_t>(static_cast<double>(tokens) * share) / positions * positions;
}

/// Floats that the parts before `part` sum dk and dv in: of the keys that their queries see.
FT_ALWAYS_INLINE std::int64_t part_sums(std::int64_t tokens, std::int64_t part, std::int64_t positions,
                                        std::int64_t columns) noexcept {
  std::int64_t keys = 0;
  for (std::int64_t i = 1; i <= part; ++i) keys += round_up(query_part_begin(tokens, i, positions), kKeyBlock);
  return 2 * keys * columns;
}

/// Queries [begin, end) of one segment and head.
struct QueryPart {
  AttentionBlock block;  ///< the first block of the segment's queries
  std::int64_t part, parts, begin, end;
  std::int64_t sums, counter;  ///< of a segment in several parts: where its first part's sums are, and which counter
};

/// All chunks of a batch: of each segment, of each head, the parts.
struct QueryParts {
  const AttentionSegments& segments;
  std::int64_t kv_heads, group, positions, columns;

  struct Before {
    std::int64_t segment = 0, chunks = 0, sums = 0, counters = 0;
  };
  /// What comes before the segment of chunk n; everything, for an n beyond all.
  FT_ALWAYS_INLINE Before before(std::int64_t n) const noexcept {
    Before b;
    for (; b.segment < segments.count; ++b.segment) {
      const std::int64_t tokens = reference::attention_span(segments, b.segment).q_count, parts = query_parts(tokens);
      if (n - b.chunks < parts * kv_heads) break;
      b.chunks += parts * kv_heads;
      if (parts == 1) continue;
      b.sums += kv_heads * part_sums(tokens, parts, positions, columns);
      b.counters += kv_heads;
    }
    return b;
  }
  FT_ALWAYS_INLINE QueryPart at(std::int64_t n) const noexcept {
    const Before b = before(n);
    const auto span = reference::attention_span(segments, b.segment);
    const std::int64_t tokens = span.q_count, parts = query_parts(tokens);
    const std::int64_t head = (n - b.chunks) / parts, part = (n - b.chunks) % parts;
    return {{span, 0, tokens < positions ? tokens : positions, head, group}, part, parts,
            query_part_begin(tokens, part, positions), query_part_begin(tokens, part + 1, positions),
            b.sums + head * part_sums(tokens, parts, positions, columns), b.counters + head};
  }
};

template <class Tile, class S>
void attend_part_backward(const AttentionBackwardArgs& args, const QueryPart& part, const HeadSizes<Tile>& head,
                          const AttentionBackwardScratch<Tile>& s) noexcept {
  using V = typename Tile::Vector;
  AttentionBlock block = part.block;
  const auto k = heads_of<S>(args.k), v = heads_of<S>(args.v);
  const auto dq = heads_of<S>(args.dq);
  const std::int64_t positions = block.count, begin = block.span.q;
  for (std::int64_t key = 0; key < part.end; key += kKeyBlock) {
    const std::int64_t count = part.end - key < kKeyBlock ? part.end - key : kKeyBlock;
    const auto k_row = [&](std::int64_t n) { return n < count ? k(begin + key + n, block.kv_head) : nullptr; };
    const auto v_row = [&](std::int64_t n) { return v(begin + key + n, block.kv_head); };
    fill_transposed<Tile>(k_row, count, head, s.k_transposed + key * head.units);
    fill_transposed<Tile>(v_row, count, head, s.v_transposed + key * head.units);
    fill_joined<Tile>(k_row, kKeyBlock, head, s.k_joined + key / Tile::kPair * head.columns);
  }
  for (std::int64_t i = 0; i < round_up(part.end, kKeyBlock) * head.columns; ++i) s.dk[i] = s.dv[i] = 0;
  for (block.first = part.begin; block.first < part.end; block.first += positions) {
    block.count = part.end - block.first < positions ? part.end - block.first : positions;
    const std::int64_t rows = block.rows(), last = block.first + block.count;
    load_queries<Tile, S>(args, block, head, s);
    for (std::int64_t i = 0; i < rows * head.columns; ++i) s.dq[i] = 0;
    const BackwardStep<Tile> step{block, head, s, args.scale};
    for (std::int64_t key = 0; key < last; key += kKeyBlock) {
      const std::int64_t end = last - key < kKeyBlock ? last : key + kKeyBlock;
      for (std::int64_t row = 0; row < rows; row += V::kTileRows)
        step.rows(row, rows - row < V::kTileRows ? rows - row : V::kTileRows, key);
      for (std::int64_t n = key; n < end; n += V::kTileRows)
        step.keys(n, end - n < V::kTileRows ? end - n : V::kTileRows, key);
    }
    for (std::int64_t r = 0; r < rows; ++r)
      store_row<V>(s.dq + r * head.columns, dq(block.token(r), block.head(r)), head.dim);
  }
}

/// dk and dv of a segment and head: the sums of its parts, added in order. Each part's are dk, then dv, of its keys.
template <class Tile, class S>
void store_key_gradients(const AttentionBackwardArgs& args, const QueryPart& of, const float* sums,
                         const HeadSizes<Tile>& head) noexcept {
  using V = typename Tile::Vector;
  const std::int64_t tokens = of.block.span.q_count, positions = of.block.count;
  std::int64_t end[kMostQueryParts];
  const float* rows[2][kMostQueryParts];
  for (std::int64_t part = 0; part < of.parts; ++part) {
    end[part] = query_part_begin(tokens, part + 1, positions);
    rows[0][part] = sums + part_sums(tokens, part, positions, head.columns);
    rows[1][part] = rows[0][part] + round_up(end[part], kKeyBlock) * head.columns;
  }
  const Heads<S> gradients[] = {heads_of<S>(args.dk), heads_of<S>(args.dv)};
  for (int g = 0; g < 2; ++g)
    for (std::int64_t first = 0, key = 0; first < of.parts; ++first)  // of the parts that see the key
      for (; key < end[first]; ++key)
        each<V>(head.dim, [&, to = gradients[g](of.block.span.q + key, of.block.kv_head)](std::int64_t e, auto... rest) {
          V sum = V::load(rows[g][first] + key * head.columns + e);
          for (std::int64_t part = first + 1; part < of.parts; ++part)
            sum = sum + V::load(rows[g][part] + key * head.columns + e);
          sum.store(to + e, rest...);
        });
}

template <class Tile, class S>
Status attention_backward_with(const AttentionBackwardArgs& args) noexcept {
  const std::int64_t kv_heads = args.k.shape[1], group = args.q.shape[1] / kv_heads;
  const HeadSizes<Tile> head(args.q.shape[2]);
  const QueryParts parts{args.segments, kv_heads, group, query_block(group), head.columns};
  const auto all = parts.before(std::numeric_limits<std::int64_t>::max());
  RegionSums shared;
  if (!shared.take(all.sums, all.counters)) return Status::out_of_memory;
  std::atomic<bool> out_of_memory{false};
  parallel_for(all.chunks, [&](std::int64_t chunk) {
    const QueryPart part = parts.at(chunk);
    if (part.end == 0) return;
    void* memory = scratch(AttentionBackwardScratch<Tile>(nullptr, part.end, part.block.rows(), head).bytes);
    if (memory == nullptr) return out_of_memory.store(true, std::memory_order_relaxed);
    AttentionBackwardScratch<Tile> s(memory, part.end, part.block.rows(), head);
    const float* of_segment = s.dk;
    if (part.parts > 1) {
      of_segment = shared.sums + part.sums;
      s.dk = shared.sums + part.sums + part_sums(part.block.span.q_count, part.part, parts.positions, head.columns);
    }
    s.dv = s.dk + round_up(part.end, kKeyBlock) * head.columns;
    attend_part_backward<Tile, S>(args, part, head, s);
    if (part.parts == 1 || shared.finishes(part.counter, part.parts))
      store_key_gradients<Tile, S>(args, part, of_segment, head);
  });
  return out_of_memory.load() ? Status::out_of_memory : Status::ok;
}

template <class V>
Status attention_backward(const AttentionBackwardArgs& args) noexcept {
  if (args.q.dtype == DType::f32) return attention_backward_with<F32Tile<V>, float>(args);
  if (args.q.dtype == DType::bf16) return attention_backward_with<F32Tile<V>, bf16>(args);
  return Status::unsupported;
}

}  // namespace kernels
}  // namespace ftlib
