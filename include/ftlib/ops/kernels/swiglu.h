// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/parallel.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rows.h"
#include "ftlib/ops/swiglu.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

template <class V>
Status swiglu(const SwigluArgs& args) noexcept {
  const std::int64_t tokens = args.gate.shape[0], dim = args.gate.shape[1];
  return with_storage(args.gate.dtype, [&]<class S>() {
    const auto gate = rows_of<S>(args.gate), up = rows_of<S>(args.up);
    const auto y = rows_of<S>(args.y);
    parallel_ranges(tokens, rows_per_chunk(dim), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        each<V>(dim, [g = gate[t], u = up[t], out = y[t]](std::int64_t i, auto... part) {
          const V x = V::load(g + i, part...);
          (x * sigmoid(x) * V::load(u + i, part...)).store(out + i, part...);
        });
    });
  });
}

/// With s = sigmoid(gate): d_up = dy * gate * s, d_gate = dy * up * s * (1 + gate * (1 - s)).
template <class V>
Status swiglu_backward(const SwigluBackwardArgs& args) noexcept {
  const std::int64_t tokens = args.gate.shape[0], dim = args.gate.shape[1];
  return with_storage(args.gate.dtype, [&]<class S>() {
    const auto gate = rows_of<S>(args.gate), up = rows_of<S>(args.up), dy = rows_of<S>(args.dy);
    const auto d_gate = rows_of<S>(args.d_gate), d_up = rows_of<S>(args.d_up);
    parallel_ranges(tokens, rows_per_chunk(dim), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        each<V>(dim, [=](std::int64_t i, auto... part) {
          const V x = V::load(gate[t] + i, part...), u = V::load(up[t] + i, part...), d = V::load(dy[t] + i, part...);
          const V s = sigmoid(x), ds = d * s, one = V::set(1);
          (ds * u * fma(x, one - s, one)).store(d_gate[t] + i, part...);
          (ds * x).store(d_up[t] + i, part...);
        });
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
