// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/attention.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// Offsets that rise from 0 to the number of query rows, and keys that exist and cover the queries.
inline void check_segments(std::string_view op, const AttentionSegments& segments, std::int64_t q_rows,
                           std::int64_t kv_rows) {
  FT_CHECK(segments.count >= 0 && (segments.count == 0 || segments.q_offsets != nullptr), invalid_argument, "[", op,
           "] segments have no offsets, got count ", segments.count);
  FT_CHECK((segments.kv_begin == nullptr) == (segments.kv_length == nullptr), invalid_argument, "[", op,
           "] kv_begin and kv_length go together, got one of them");
  std::int64_t at = 0;
  for (std::int64_t s = 0; s < segments.count; ++s) {
    const std::int64_t first = segments.q_offsets[s], next = segments.q_offsets[s + 1];
    FT_CHECK(first == at && next >= first, invalid_argument, "[", op, "] segment ", s, " got query rows ", first, " to ",
             next, ", want a start at ", at, " and no negative length");
    at = next;
    if (segments.kv_begin == nullptr) continue;
    const std::int64_t begin = segments.kv_begin[s], length = segments.kv_length[s];
    FT_CHECK(begin >= 0 && length >= next - first && begin + length <= kv_rows, invalid_argument, "[", op, "] segment ", s,
             " got keys ", begin, " to ", begin + length, ", want at least ", next - first, " within 0 to ", kv_rows);
  }
  FT_CHECK(at == q_rows, invalid_argument, "[", op, "] segments got ", at, " query rows, want ", q_rows);
}

/// q, k and v of one head dim and dtype, query heads a multiple of key/value heads.
inline void check_heads(std::string_view op, const ConstTensorView& q, const ConstTensorView& k,
                        const ConstTensorView& v) {
  check_storage(op, "q", q);
  check_rank(op, "q", q, 3);
  check_rank(op, "k", k, 3);
  const std::int64_t heads = q.shape[1], head_dim = q.shape[2], kv_rows = k.shape[0], kv_heads = k.shape[1];
  check_view(op, "q", q, {q.shape[0], heads, head_dim}, q.dtype);
  check_view(op, "k", k, {kv_rows, kv_heads, head_dim}, q.dtype);
  check_view(op, "v", v, {kv_rows, kv_heads, head_dim}, q.dtype);
  FT_CHECK(heads > 0 && kv_heads > 0 && heads % kv_heads == 0, invalid_argument, "[", op, "] got ", heads,
           " query heads on ", kv_heads, " key/value heads, want a multiple");
}

/// Pairs of query and key that all heads see.
inline double attention_pairs(const AttentionSegments& segments, std::int64_t heads) noexcept {
  double pairs = 0;
  for (std::int64_t s = 0; s < segments.count; ++s) {
    const reference::AttentionSpan span = reference::attention_span(segments, s);
    pairs += static_cast<double>(span.q_count) * static_cast<double>(span.visible(0) + span.kv_count) / 2;
  }
  return pairs * static_cast<double>(heads);
}

}  // namespace detail

inline OpWork op_work(const AttentionArgs& a) noexcept {
  double keys = 0;  // a cache holds more rows than its segments
  for (std::int64_t s = 0; s < a.segments.count; ++s)
    keys += static_cast<double>(reference::attention_span(a.segments, s).kv_count);
  return {4 * detail::attention_pairs(a.segments, a.q.shape[1]) * static_cast<double>(a.q.shape[2]),
          detail::bytes_of(a.q, a.y, a.lse) + keys / static_cast<double>(a.k.shape[0]) * detail::bytes_of(a.k, a.v)};
}
inline OpWork op_work(const AttentionBackwardArgs& a) noexcept {
  return {10 * detail::attention_pairs(a.segments, a.q.shape[1]) * static_cast<double>(a.q.shape[2]),
          detail::bytes_of(a.q, a.k, a.v, a.y, a.lse, a.dy, a.dq, a.dk, a.dv)};
}

FTLIB_INLINE void attention(const AttentionArgs& args) {
  constexpr const char* kOp = "attention";
  detail::check_heads(kOp, args.q, args.k, args.v);
  const std::int64_t tokens = args.q.shape[0], heads = args.q.shape[1];
  detail::check_view(kOp, "y", args.y, {tokens, heads, args.q.shape[2]}, args.q.dtype);
  detail::check_optional(kOp, "lse", args.lse, {heads, tokens}, DType::f32);
  FT_CHECK(args.segments.kv_begin != nullptr || args.k.shape[0] == tokens, invalid_argument, "[attention] k got ",
           args.k.shape[0], " rows, want the ", tokens, " of q where kv_begin is null");
  detail::check_segments(kOp, args.segments, tokens, args.k.shape[0]);
  detail::run(kOp, &KernelTable::attention, args);
}

FTLIB_INLINE void attention_backward(const AttentionBackwardArgs& args) {
  constexpr const char* kOp = "attention_backward";
  detail::check_heads(kOp, args.q, args.k, args.v);
  const std::int64_t tokens = args.q.shape[0], heads = args.q.shape[1], head_dim = args.q.shape[2];
  const std::int64_t kv_heads = args.k.shape[1];
  FT_CHECK(args.segments.kv_begin == nullptr && args.k.shape[0] == tokens, invalid_argument,
           "[attention_backward] keys must be the queries' own rows, got ", describe(args.k), " for q ",
           describe(args.q));
  detail::check_view(kOp, "y", args.y, {tokens, heads, head_dim}, args.q.dtype);
  detail::check_view(kOp, "dy", args.dy, {tokens, heads, head_dim}, args.q.dtype);
  detail::check_view(kOp, "lse", args.lse, {heads, tokens}, DType::f32);
  detail::check_view(kOp, "dq", args.dq, {tokens, heads, head_dim}, args.q.dtype);
  detail::check_view(kOp, "dk", args.dk, {tokens, kv_heads, head_dim}, args.q.dtype);
  detail::check_view(kOp, "dv", args.dv, {tokens, kv_heads, head_dim}, args.q.dtype);
  detail::check_segments(kOp, args.segments, tokens, tokens);
  detail::run(kOp, &KernelTable::attention_backward, args);
}

}  // namespace ftlib
