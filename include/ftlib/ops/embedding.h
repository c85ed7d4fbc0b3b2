// SPDX-License-Identifier: Apache-2.0
// Token embedding: y[t] = weight[tokens[t]], decoded from any format, rounded once to y's dtype.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {

/// tokens  [T]     i32, each in [0, V)
/// weight  [V, D]  any WeightFormat
/// y       [T, D]  f32 | bf16; overwritten
struct EmbeddingArgs {
  ConstTensorView tokens;
  WeightView weight;
  TensorView y;
};

/// Throws Error{invalid_argument} on a mismatch or a token outside the vocabulary. Thread-safe. Allocates nothing.
void embedding(const EmbeddingArgs& args);

/// Elements decoded at a time: a multiple of every format's block.
inline constexpr std::int64_t kEmbeddingPiece = 256;

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

template <class S>
void embedding(const std::int32_t* tokens, const WeightView& weight, Rows<S> y, std::int64_t count) {
  const auto decode = weight_format_info(weight.format).decode;
  float piece[kEmbeddingPiece];
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t first = 0; first < weight.in(); first += kEmbeddingPiece) {
      const std::int64_t n = weight.in() - first < kEmbeddingPiece ? weight.in() - first : kEmbeddingPiece;
      decode(weight, tokens[t] * weight.in() + first, n, piece);
      for (std::int64_t d = 0; d < n; ++d) y[t][first + d] = narrow<S>(piece[d]);
    }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/embedding-inl.h"
#endif
