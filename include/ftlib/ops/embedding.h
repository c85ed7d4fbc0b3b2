// SPDX-License-Identifier: Apache-2.0
// Token embedding: y[t] = weight[tokens[t]], decoded from any format, rounded once to y's dtype.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

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

}  // namespace ftlib
