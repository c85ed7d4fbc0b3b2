// SPDX-License-Identifier: Apache-2.0
// RMS normalisation: y = x / rms(x) * weight with rms(x) = sqrt(mean(x^2 over D) + eps).
// Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// x       [T, D]  f32 | bf16, last axis contiguous, rows may be strided
/// weight  [D]     f32
/// y       [T, D]  dtype of x; may alias x; overwritten
/// rstd    [T]     f32, 1 / rms, kept for the backward pass; may be absent
struct RmsNormArgs {
  ConstTensorView x, weight;
  float eps = 1e-5f;
  TensorView y, rstd;
};

/// Throws Error{invalid_argument} on a shape or dtype mismatch. Thread-safe. Allocates nothing.
void rms_norm(const RmsNormArgs& args);

/// dx = backward of rms_norm + residual.
///
/// dx        [T, D]  dtype of x; may alias dy or residual; overwritten (the weight is frozen: it gets no gradient)
/// residual  [T, D]  dtype of x; may be absent
struct RmsNormBackwardArgs {
  ConstTensorView x, weight, rstd, dy, residual;
  TensorView dx;
};
void rms_norm_backward(const RmsNormBackwardArgs& args);

}  // namespace ftlib
