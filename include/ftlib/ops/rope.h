// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding in the half-split layout of Hugging Face: for i < E/2
//   y[i] = x[i] cos - x[i + E/2] sin,   y[i + E/2] = x[i + E/2] cos + x[i] sin.
// Su et al., "RoFormer", 2021, section 3.2; the split halves as in GPT-NeoX.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {

/// x          [T, heads, E]  f32 | bf16, rank 3, last axis contiguous; rotated in place
/// positions  [T]            i32, each in [0, P)
/// cos, sin   [P, E/2]       f32
/// inverse                   rotates back: the backward pass
struct RopeArgs {
  TensorView x;
  ConstTensorView positions, cos, sin;
  bool inverse = false;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void rope(const RopeArgs& args);

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

template <class S>
void rope(Heads<S> x, const std::int32_t* positions, Rows<const Wide<S>> cos, Rows<const Wide<S>> sin, bool inverse,
          std::int64_t tokens, std::int64_t heads, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t i = 0; i < half; ++i) {
        const Wide<S> a = widen(x(t, h)[i]), b = widen(x(t, h)[i + half]);
        const Wide<S> c = cos[positions[t]][i];
        const Wide<S> s = inverse ? -sin[positions[t]][i] : sin[positions[t]][i];
        x(t, h)[i] = narrow<S>(a * c - b * s);
        x(t, h)[i + half] = narrow<S>(b * c + a * s);
      }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/rope-inl.h"
#endif
