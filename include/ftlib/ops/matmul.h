// SPDX-License-Identifier: Apache-2.0
// Dense matrix product: c = alpha * op(a) op(b) + beta * c, accumulated in f32, rounded once to c's dtype.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// a  [M, K], or [K, M] with transpose_a   f32 | bf16, last axis contiguous, rows may be strided
/// b  [K, N], or [N, K] with transpose_b   dtype of a
/// c  [M, N]  f32 | bf16; overwritten, or read first where beta is not 0; must not overlap a or b
struct MatmulArgs {
  ConstTensorView a, b;
  TensorView c;
  bool transpose_a = false, transpose_b = false;
  float alpha = 1, beta = 0;
};

/// Throws Error{invalid_argument} on shapes or dtypes that do not fit. Thread-safe. The order of every sum depends on
/// the shapes only.
void matmul(const MatmulArgs& args);

}  // namespace ftlib
