// SPDX-License-Identifier: Apache-2.0
// y = silu(gate) * up with silu(x) = x / (1 + exp(-x)).
// Shazeer, "GLU Variants Improve Transformer", 2020, equation 5 (beta = 1).
#pragma once
#include <cmath>

#include "ftlib/core/tensor.h"
#include "ftlib/ops/rows.h"

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

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

template <class S>
void swiglu(Rows<const S> gate, Rows<const S> up, Rows<S> y, std::int64_t tokens, std::int64_t dim) {
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t d = 0; d < dim; ++d) {
      const Wide<S> x = widen(gate[t][d]);
      y[t][d] = narrow<S>(x / (1 + std::exp(-x)) * widen(up[t][d]));
    }
}

/// With s = 1 / (1 + exp(-gate)): d_up = dy * gate * s, d_gate = dy * up * s * (1 + gate * (1 - s)).
template <class S>
void swiglu_backward(Rows<const S> gate, Rows<const S> up, Rows<const S> dy, Rows<S> d_gate, Rows<S> d_up,
                     std::int64_t tokens, std::int64_t dim) {
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t d = 0; d < dim; ++d) {
      const Wide<S> x = widen(gate[t][d]), u = widen(up[t][d]), dout = widen(dy[t][d]);
      const Wide<S> s = 1 / (1 + std::exp(-x));
      d_gate[t][d] = narrow<S>(dout * u * s * (1 + x * (1 - s)));
      d_up[t][d] = narrow<S>(dout * x * s);
    }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/swiglu-inl.h"
#endif
