// SPDX-License-Identifier: Apache-2.0
// RMS normalisation: y = x / rms(x) * weight with rms(x) = sqrt(mean(x^2 over D) + eps).
// Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
#pragma once
#include <cmath>

#include "ftlib/core/tensor.h"
#include "ftlib/ops/rows.h"

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

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

template <class S>
void rms_norm(Rows<const S> x, const Wide<S>* weight, Wide<S> eps, Rows<S> y, Wide<S>* rstd, std::int64_t tokens,
              std::int64_t dim) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    Wide<S> sum = 0;
    for (std::int64_t d = 0; d < dim; ++d) sum += widen(x[t][d]) * widen(x[t][d]);
    const Wide<S> r = 1 / std::sqrt(sum / static_cast<Wide<S>>(dim) + eps);
    for (std::int64_t d = 0; d < dim; ++d) y[t][d] = narrow<S>(widen(x[t][d]) * r * weight[d]);
    if (rstd) rstd[t] = r;
  }
}

/// With g = dy * weight: dx = r * (g - x * r^2 * mean(g * x)) + residual.
template <class S>
void rms_norm_backward(Rows<const S> x, const Wide<S>* weight, const Wide<S>* rstd, Rows<const S> dy,
                       Rows<const S> residual, Rows<S> dx, std::int64_t tokens, std::int64_t dim) {
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Wide<S> r = rstd[t];
    Wide<S> dot = 0;
    for (std::int64_t d = 0; d < dim; ++d) dot += widen(dy[t][d]) * weight[d] * widen(x[t][d]);
    const Wide<S> mean = r * r * dot / static_cast<Wide<S>>(dim);
    for (std::int64_t d = 0; d < dim; ++d) {
      const Wide<S> gradient = r * (widen(dy[t][d]) * weight[d] - widen(x[t][d]) * mean);
      dx[t][d] = narrow<S>(residual ? gradient + widen(residual[t][d]) : gradient);
    }
  }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/rms_norm-inl.h"
#endif
