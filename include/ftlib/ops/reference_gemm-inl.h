// SPDX-License-Identifier: Apache-2.0
// The definitions of matmul.h and linear.h run in f32, one row at a time: slow, and takes everything.
#pragma once
#include <algorithm>
#include <atomic>

#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/scratch.h"
#include "ftlib/ops/linear.h"
#include "ftlib/ops/matmul.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// out[i] = element i of a run of f32 or bf16 that starts at (row, column) and steps by `step` elements.
inline void gather(const ConstTensorView& v, std::int64_t row, std::int64_t column, std::int64_t step,
                   std::int64_t count, float* out) noexcept {
  const std::int64_t first = row * v.stride[0] + column;
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = v.dtype == DType::bf16 ? to_float(data_as<bf16>(v)[first + i * step]) : data_as<float>(v)[first + i * step];
}
inline void gather_row(const ConstTensorView& v, std::int64_t row, std::int64_t count, float* out) noexcept {
  if (v) gather(v, row, 0, 1, count, out);
}
inline void scatter_row(const float* values, std::int64_t count, const TensorView& v, std::int64_t row) noexcept {
  for (std::int64_t i = 0; i < count; ++i) {
    if (v.dtype == DType::bf16) data_as<bf16>(v)[row * v.stride[0] + i] = to_bf16(values[i]);
    else data_as<float>(v)[row * v.stride[0] + i] = values[i];
  }
}

/// Row `row` of a weight as the op computes with it.
inline void decode_for(const WeightView& weight, std::int64_t row, DType x, float* out) noexcept {
  decode_rows(weight, row, 1, out);
  if (x != DType::bf16) return;
  for (std::int64_t k = 0; k < weight.in(); ++k) out[k] = to_float(to_bf16(out[k]));
}

/// Runs body(row, memory of `floats` floats) for every row in parallel.
template <class Body>
Status for_each_row(std::int64_t rows, std::int64_t floats, const Body& body) noexcept {
  std::atomic<bool> short_of_memory{false};
  ftlib::parallel_for(rows, [&](std::int64_t row) {
    if (float* memory = static_cast<float*>(scratch(floats * 4))) body(row, memory);
    else short_of_memory.store(true, std::memory_order_relaxed);
  });
  return short_of_memory.load() ? Status::out_of_memory : Status::ok;
}

inline Status reference_matmul(const MatmulArgs& args) noexcept {
  const std::int64_t n = args.c.shape[1], k = args.a.shape[args.transpose_a ? 0 : 1];
  return for_each_row(args.c.shape[0], 2 * k + n, [&](std::int64_t i, float* memory) {
    float *a = memory, *b = a + k, *c = b + k;
    gather(args.a, args.transpose_a ? 0 : i, args.transpose_a ? i : 0, args.transpose_a ? args.a.stride[0] : 1, k, a);
    if (args.beta != 0) gather_row(args.c, i, n, c);
    for (std::int64_t j = 0; j < n; ++j) {
      gather(args.b, args.transpose_b ? j : 0, args.transpose_b ? 0 : j, args.transpose_b ? 1 : args.b.stride[0], k, b);
      reference::matmul<float>(a, b, c + j, 1, 1, k, false, true, args.alpha, args.beta);
    }
    scatter_row(c, n, args.c, i);
  });
}

inline Status reference_linear(const LinearArgs& args) noexcept {
  const std::int64_t in = args.weight.in(), out = args.weight.out(), rank = args.low_rank.u ? args.low_rank.u.shape[1] : 0;
  return for_each_row(args.x.shape[0], 2 * in + 2 * rank + 2 * out, [&](std::int64_t t, float* memory) {
    float *x = memory, *w = x + in, *u = w + in, *v = u + rank, *y = v + rank, *residual = y + out;
    gather_row(args.x, t, in, x);
    gather_row(args.low_rank.u, t, rank, u);
    gather_row(args.residual, t, out, residual);
    const reference::Linear<float> one{1, in, 1, rank, w, u, v, args.low_rank.scale};
    for (std::int64_t n = 0; n < out; ++n) {
      decode_for(args.weight, n, args.x.dtype, w);
      gather_row(args.low_rank.v, n, rank, v);
      reference::linear<float>(one, x, args.bias ? data_as<float>(args.bias) + n : nullptr,
                               args.residual ? residual + n : nullptr, y + n);
    }
    scatter_row(y, out, args.y, t);
  });
}

/// The sum over n is taken one weight row at a time: each adds dy[n] * W[n] to what is there.
inline Status reference_linear_backward(const LinearBackwardArgs& args) noexcept {
  const std::int64_t in = args.weight.in(), out = args.weight.out(), rank = args.low_rank.u ? args.low_rank.u.shape[1] : 0;
  return for_each_row(args.dy.shape[0], 3 * in + out + rank, [&](std::int64_t t, float* memory) {
    float *dx = memory, *w = dx + in, *residual = w + in, *dy = residual + in, *u = dy + out;
    gather_row(args.dy, t, out, dy);
    gather_row(args.low_rank.u, t, rank, u);
    gather_row(args.residual, t, in, residual);
    std::fill(dx, dx + in, 0.0f);
    for (std::int64_t r = 0; r < rank; ++r) {
      gather_row(args.low_rank.v, r, in, w);
      reference::linear_backward<float>({1, in, 1, 0, w, nullptr, nullptr, 0}, u + r, dx, dx);
    }
    for (std::int64_t k = 0; k < in && rank > 0; ++k) dx[k] *= args.low_rank.scale;
    for (std::int64_t n = 0; n < out; ++n) {
      decode_for(args.weight, n, args.dy.dtype, w);
      reference::linear_backward<float>({1, in, 1, 0, w, nullptr, nullptr, 0}, dy + n, dx, dx);
    }
    for (std::int64_t k = 0; k < in && args.residual; ++k) dx[k] += residual[k];
    scatter_row(dx, in, args.dx, t);
  });
}

}  // namespace detail
}  // namespace ftlib
