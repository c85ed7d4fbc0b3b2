// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rms_norm.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

template <class V, class S>
FT_ALWAYS_INLINE float rms_norm_row(const S* x, const float* weight, float eps, S* y, std::int64_t dim) noexcept {
  const float squares = sum_of<V>(dim, [&](std::int64_t i, auto... part) {
    const V a = V::load(x + i, part...);
    return a * a;
  });
  const float r = 1 / std::sqrt(squares / static_cast<float>(dim) + eps);
  each<V>(dim, [&](std::int64_t i, auto... part) {
    (V::load(x + i, part...) * V::set(r) * V::load(weight + i, part...)).store(y + i, part...);
  });
  return r;
}

template <class V>
Status rms_norm(const RmsNormArgs& args) noexcept {
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  const float* weight = data_as<float>(args.weight);
  float* rstd = data_as<float>(args.rstd);
  return with_storage(args.x.dtype, [&]<class S>() {
    const auto x = rows_of<S>(args.x);
    const auto y = rows_of<S>(args.y);
    parallel_ranges(tokens, rows_per_chunk(dim), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const float r = rms_norm_row<V>(x[t], weight, args.eps, y[t], dim);
        if (rstd) rstd[t] = r;
      }
    });
  });
}

template <class V, class S>
FT_ALWAYS_INLINE void rms_norm_backward_row(const S* x, const float* weight, float r, const S* dy, const S* residual,
                                            S* dx, std::int64_t dim) noexcept {
  const float dot = sum_of<V>(dim, [&](std::int64_t i, auto... part) {
    return V::load(dy + i, part...) * V::load(weight + i, part...) * V::load(x + i, part...);
  });
  const V rstd = V::set(r), mean = V::set(r * r * dot / static_cast<float>(dim));
  each<V>(dim, [&](std::int64_t i, auto... part) {
    const V g = V::load(dy + i, part...) * V::load(weight + i, part...);
    V d = rstd * (g - V::load(x + i, part...) * mean);
    if (residual) d = d + V::load(residual + i, part...);
    d.store(dx + i, part...);
  });
}

template <class V>
Status rms_norm_backward(const RmsNormBackwardArgs& args) noexcept {
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  const float *weight = data_as<float>(args.weight), *rstd = data_as<float>(args.rstd);
  return with_storage(args.x.dtype, [&]<class S>() {
    const auto x = rows_of<S>(args.x), dy = rows_of<S>(args.dy), residual = rows_of<S>(args.residual);
    const auto dx = rows_of<S>(args.dx);
    parallel_ranges(tokens, rows_per_chunk(dim), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        rms_norm_backward_row<V>(x[t], weight, rstd[t], dy[t], residual ? residual[t] : nullptr, dx[t], dim);
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
