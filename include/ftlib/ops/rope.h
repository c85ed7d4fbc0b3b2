// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding in the half-split layout of Hugging Face: for i < E/2
//   y[i] = x[i] cos - x[i + E/2] sin,   y[i + E/2] = x[i + E/2] cos + x[i] sin.
// Su et al., "RoFormer", 2021, section 3.2; the split halves as in GPT-NeoX.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// x          [T, heads, E]  f32 | bf16, rank 3, last axis contiguous; rotated in place
/// positions  [T]            i32, each in [0, P)
/// cos, sin   [P, E/2]       f32, contiguous
/// inverse                   rotates back: the backward pass
struct RopeArgs {
  TensorView x;
  ConstTensorView positions, cos, sin;
  bool inverse = false;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void rope(const RopeArgs& args);

}  // namespace ftlib
