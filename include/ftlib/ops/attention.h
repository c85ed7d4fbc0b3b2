// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention over packed segments: y = softmax(scale * q k^T + causal mask) v, blocked with a running
// softmax so that no [T, T] matrix exists. Dao, "FlashAttention-2", 2023, algorithms 1 and 2.
#pragma once
#include <cmath>

#include "ftlib/core/tensor.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {

/// Which rows attend to which. Segment s owns query rows [q_offsets[s], q_offsets[s+1]) and key/value rows
/// [kv_begin[s], kv_begin[s] + kv_length[s]); its queries are the last ones of its keys, so query i of n sees the first
/// kv_length - n + i + 1 keys. With kv_begin null the keys are the queries' own rows (training); with it they lie in a
/// cache (generation).
struct AttentionSegments {
  const std::int32_t* q_offsets = nullptr;  ///< [count + 1]
  const std::int32_t* kv_begin = nullptr;   ///< [count] or null
  const std::int32_t* kv_length = nullptr;  ///< [count] or null
  std::int64_t count = 0;
};

/// q    [T, H, E]   f32 | bf16, rank 3, last axis contiguous
/// k,v  [C, K, E]   dtype of q; C = T in training, the cache's rows in generation; H a multiple of K
/// y    [T, H, E]   dtype of q; overwritten; must not overlap the inputs
/// lse  [H, T]      f32, log-sum-exp of the scaled scores, kept for the backward pass; may be absent
struct AttentionArgs {
  ConstTensorView q, k, v;
  AttentionSegments segments;
  float scale = 1;
  TensorView y, lse;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Scores and sums in f32.
void attention(const AttentionArgs& args);

/// dq  [T, H, E], dk, dv  [T, K, E]  dtype of q; overwritten; may alias nothing
struct AttentionBackwardArgs {
  ConstTensorView q, k, v, y, lse, dy;
  AttentionSegments segments;  ///< kv_begin must be null
  float scale = 1;
  TensorView dq, dk, dv;
};
void attention_backward(const AttentionBackwardArgs& args);

/// The definition, run in S = double by the tests and in f32 by the last backend. It keeps nothing but a piece of one
/// row, so scores are made again for every piece: slow on purpose.
namespace reference {

/// One segment as rows of the four tensors.
struct AttentionSpan {
  std::int64_t q, q_count, kv, kv_count;
  /// Keys that query i of the segment sees.
  std::int64_t visible(std::int64_t i) const noexcept { return kv_count - q_count + i + 1; }
};
inline AttentionSpan attention_span(const AttentionSegments& segments, std::int64_t s) noexcept {
  const std::int64_t q = segments.q_offsets[s], count = segments.q_offsets[s + 1] - q;
  if (segments.kv_begin == nullptr) return {q, count, q, count};
  return {q, count, segments.kv_begin[s], segments.kv_length[s]};
}

template <class S>
Wide<S> dot(const S* a, const S* b, std::int64_t n) {
  Wide<S> sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += widen(a[i]) * widen(b[i]);
  return sum;
}

inline constexpr std::int64_t kAttentionPiece = 64;

/// Calls body(first, count) for the pieces of a head.
template <class Body>
void each_piece(std::int64_t head_dim, Body&& body) {
  for (std::int64_t first = 0; first < head_dim; first += kAttentionPiece)
    body(first, head_dim - first < kAttentionPiece ? head_dim - first : kAttentionPiece);
}

/// group = H / K query heads share a key/value head; lse may be null.
template <class S>
void attention(Heads<const S> q, Heads<const S> k, Heads<const S> v, const AttentionSegments& segments, Wide<S> scale,
               Heads<S> y, Rows<Wide<S>> lse, std::int64_t heads, std::int64_t group, std::int64_t head_dim) {
  for (std::int64_t segment = 0; segment < segments.count; ++segment) {
    const AttentionSpan span = attention_span(segments, segment);
    for (std::int64_t i = 0; i < span.q_count; ++i)
      for (std::int64_t h = 0; h < heads; ++h) {
        const S* query = q(span.q + i, h);
        const auto score = [&](std::int64_t j) { return scale * dot(query, k(span.kv + j, h / group), head_dim); };
        const std::int64_t visible = span.visible(i);
        Wide<S> highest = score(0), sum = 0;
        for (std::int64_t j = 1; j < visible; ++j) highest = score(j) > highest ? score(j) : highest;
        for (std::int64_t j = 0; j < visible; ++j) sum += std::exp(score(j) - highest);
        if (lse) lse[h][span.q + i] = highest + std::log(sum);
        each_piece(head_dim, [&](std::int64_t first, std::int64_t count) {
          Wide<S> out[kAttentionPiece] = {};
          for (std::int64_t j = 0; j < visible; ++j) {
            const Wide<S> p = std::exp(score(j) - highest) / sum;
            for (std::int64_t e = 0; e < count; ++e) out[e] += p * widen(v(span.kv + j, h / group)[first + e]);
          }
          for (std::int64_t e = 0; e < count; ++e) y(span.q + i, h)[first + e] = narrow<S>(out[e]);
        });
      }
  }
}

/// What backward needs of one pair (query i of head h, key j): p = softmax, ds = d loss / d score.
template <class S>
struct AttentionPair {
  Wide<S> p, ds;
};

/// With p = exp(score - lse) and delta = dy . y: dv_j += p dy_i, ds = scale * p * (dy_i . v_j - delta), dq_i += ds k_j,
/// dk_j += ds q_i.
template <class S>
void attention_backward(Heads<const S> q, Heads<const S> k, Heads<const S> v, Heads<const S> y,
                        Rows<const Wide<S>> lse, Heads<const S> dy, const AttentionSegments& segments, Wide<S> scale,
                        Heads<S> dq, Heads<S> dk, Heads<S> dv, std::int64_t heads, std::int64_t group,
                        std::int64_t head_dim) {
  const auto pair = [&](std::int64_t i, std::int64_t h, std::int64_t j) -> AttentionPair<S> {
    const Wide<S> p = std::exp(scale * dot(q(i, h), k(j, h / group), head_dim) - lse[h][i]);
    const Wide<S> delta = dot(dy(i, h), y(i, h), head_dim);
    return {p, scale * p * (dot(dy(i, h), v(j, h / group), head_dim) - delta)};
  };
  for (std::int64_t segment = 0; segment < segments.count; ++segment) {
    const std::int64_t begin = segments.q_offsets[segment], end = segments.q_offsets[segment + 1];
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t h = 0; h < heads; ++h)
        each_piece(head_dim, [&](std::int64_t first, std::int64_t count) {
          Wide<S> out[kAttentionPiece] = {};
          for (std::int64_t j = begin; j <= i; ++j) {
            const Wide<S> ds = pair(i, h, j).ds;
            for (std::int64_t e = 0; e < count; ++e) out[e] += ds * widen(k(j, h / group)[first + e]);
          }
          for (std::int64_t e = 0; e < count; ++e) dq(i, h)[first + e] = narrow<S>(out[e]);
        });
    for (std::int64_t j = begin; j < end; ++j)
      for (std::int64_t kv = 0; kv < heads / group; ++kv)
        each_piece(head_dim, [&](std::int64_t first, std::int64_t count) {
          Wide<S> key[kAttentionPiece] = {}, value[kAttentionPiece] = {};
          for (std::int64_t i = j; i < end; ++i)
            for (std::int64_t h = kv * group; h < (kv + 1) * group; ++h) {
              const auto [p, ds] = pair(i, h, j);
              for (std::int64_t e = 0; e < count; ++e) {
                key[e] += ds * widen(q(i, h)[first + e]);
                value[e] += p * widen(dy(i, h)[first + e]);
              }
            }
          for (std::int64_t e = 0; e < count; ++e) {
            dk(j, kv)[first + e] = narrow<S>(key[e]);
            dv(j, kv)[first + e] = narrow<S>(value[e]);
          }
        });
  }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/attention-inl.h"
#endif
