// SPDX-License-Identifier: Apache-2.0
// y = x in another dtype, rounded once to nearest even.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// x, y  same shape, rank 1 or 2, last axis contiguous; f32 | bf16 each
struct ConvertArgs {
  ConstTensorView x;
  TensorView y;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void convert(const ConvertArgs& args);

}  // namespace ftlib
