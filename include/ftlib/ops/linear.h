// SPDX-License-Identifier: Apache-2.0
// A frozen linear layer over a weight of any format, with the low-rank update, bias and residual added to the same f32
// accumulator before one rounding. This is the op that LoRA training spends its time in.
// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, equation 3.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

namespace ftlib::inline FTLIB_ABI {

/// scale * u v^T (forward, v [N, R]) or scale * u v (backward, v [R, K]); absent where u.data is null.
struct LowRankUpdate {
  ConstTensorView u;  ///< [T, R]  dtype of x, rows may be strided
  ConstTensorView v;  ///< dtype of x, rows may be strided
  float scale = 1;
};

/// y = x W^T + bias + scale * u v^T + residual
///
/// x         [T, K]  f32 | bf16, last axis contiguous, rows may be strided
/// weight    [N, K]  any WeightFormat; decoded exactly in f32, then rounded once to x's dtype
/// bias      [N]     f32; may be absent
/// residual  [T, N]  dtype of y; may be absent; may alias y
/// y         [T, N]  f32 | bf16, rows may be strided; overwritten; must not overlap x
struct LinearArgs {
  ConstTensorView x;
  WeightView weight;
  ConstTensorView bias;
  LowRankUpdate low_rank;
  ConstTensorView residual;
  TensorView y;
};

/// Throws Error{invalid_argument} on shapes or dtypes that do not fit. Thread-safe. Allocates nothing but one grow-only
/// scratch block a thread.
void linear(const LinearArgs& args);

/// dx = dy W + scale * u v + residual: the gradient of the input; the weight is frozen and gets none.
///
/// dy  [T, N], dx [T, K]; residual [T, K] may be absent and may alias dx (then dx accumulates)
struct LinearBackwardArgs {
  ConstTensorView dy;
  WeightView weight;
  LowRankUpdate low_rank;
  ConstTensorView residual;
  TensorView dx;
};
void linear_backward(const LinearBackwardArgs& args);

}  // namespace ftlib
