// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention over packed segments: y = softmax(scale * q k^T + causal mask) v, blocked with a running
// softmax so that no [T, T] matrix exists. Dao, "FlashAttention-2", 2023, algorithms 1 and 2.
#pragma once
#include "ftlib/core/tensor.h"

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

}  // namespace ftlib
