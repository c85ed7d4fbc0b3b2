// SPDX-License-Identifier: Apache-2.0
// Inverted dropout whose mask is a pure function of (key, row key, feature): packing, accumulation, threads and resume do
// not change it, and the backward pass is the same call on the gradient.
// Srivastava et al., "Dropout", 2014, section 4.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// x, y      [T, D]  f32 | bf16, same dtype; y may alias x; y = 0 with probability p, else x / (1 - p)
/// row_keys  [T]     i64: identity of record and token position
/// key               identity of seed, step and module
struct DropoutArgs {
  ConstTensorView x, row_keys;
  std::uint64_t key = 0;
  float probability = 0;  ///< [0, 1)
  TensorView y;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void dropout(const DropoutArgs& args);

}  // namespace ftlib
