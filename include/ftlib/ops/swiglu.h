// SPDX-License-Identifier: Apache-2.0
// y = silu(gate) * up with silu(x) = x / (1 + exp(-x)).
// Shazeer, "GLU Variants Improve Transformer", 2020, equation 5 (beta = 1).
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// gate, up  [T, F]  f32 | bf16, last axis contiguous, rows may be strided
/// y         [T, F]  dtype of gate; may alias gate or up; overwritten
struct SwigluArgs {
  ConstTensorView gate, up;
  TensorView y;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void swiglu(const SwigluArgs& args);

/// d_gate, d_up  [T, F]  may alias gate and up respectively; overwritten
struct SwigluBackwardArgs {
  ConstTensorView gate, up, dy;
  TensorView d_gate, d_up;
};
void swiglu_backward(const SwigluBackwardArgs& args);

}  // namespace ftlib
