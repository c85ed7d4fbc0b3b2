// SPDX-License-Identifier: Apache-2.0
// A frozen linear layer over a weight of any format, with the low-rank update, bias and residual added to the same f32
// accumulator before one rounding. This is the op that LoRA training spends its time in.
// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, equation 3.
//
// Numbers. A weight decodes exactly in f32, then rounds once to x's dtype: to bf16 under bf16 compute, not at all under
// f32 (nf4 first to WeightView.dtype, as bitsandbytes does). One f32 accumulator an output element holds, in this order:
// scale * (sum over R of u v), where the sum is multiplied by the scale in f32; the products over K (backward: over N),
// ascending; the bias; the residual. Then one rounding to nearest even to y's dtype. bf16 products are exact; the hardware
// dot product takes them in pairs, and it, like the rounding to bf16, may flush subnormal values to zero.
//
// Bits. No result depends on the number of threads. With the backends avx2 and avx512bf16, and with ref, the bits of a row
// depend on that row and the weight alone: not on T, on its position, its neighbours or the strides; so one batch of four
// equals four of one. With portable and onednn they may depend on the shapes. Different backends differ in the last bits.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

namespace ftlib::inline FTLIB_ABI {

/// scale * u v^T (forward, v [N, R]) or scale * u v (backward, v [R, K]); absent where u.data is null. R >= 1.
struct LowRankUpdate {
  ConstTensorView u;  ///< [T, R]  dtype of x, last axis contiguous, rows may be strided
  ConstTensorView v;  ///< dtype of x, last axis contiguous, rows may be strided
  float scale = 1;
};

/// y = x W^T + bias + scale * u v^T + residual
///
/// x         [T, K]  f32 | bf16, last axis contiguous, rows may be strided; T may be 0
/// weight    [N, K]  any WeightFormat; GGUF formats: K is a multiple of the block
/// bias      [N]     f32, contiguous; may be absent
/// residual  [T, N]  dtype of y; may be absent; may alias y
/// y         [T, N]  f32, or bf16 where x is bf16; rows may be strided; overwritten; must not overlap x
struct LinearArgs {
  ConstTensorView x;
  WeightView weight;
  ConstTensorView bias;
  LowRankUpdate low_rank;
  ConstTensorView residual;
  TensorView y;
};

/// Throws Error{invalid_argument} on shapes or dtypes that do not fit, Error{out_of_memory} where a thread's scratch block
/// cannot grow; allocates nothing else. Thread-safe.
void linear(const LinearArgs& args);

/// dx = dy W + scale * u v + residual: the gradient of the input; the weight is frozen and gets none.
///
/// dy        [T, N]  as x above
/// residual  [T, K]  dtype of dx; may be absent; may alias dx (then dx accumulates)
/// dx        [T, K]  as y above
struct LinearBackwardArgs {
  ConstTensorView dy;
  WeightView weight;
  LowRankUpdate low_rank;
  ConstTensorView residual;
  TensorView dx;
};
void linear_backward(const LinearBackwardArgs& args);

/// The definitions, in any floating type, over contiguous matrices and the decoded weight: in double they are the oracle
/// of the tests. Absent arguments are null with rank 0.
namespace reference {

template <class T>
struct Linear {
  std::int64_t rows, in, out, rank;  ///< T, K, N, R
  const T* weight;                   ///< [out, in]
  const T *u, *v;                    ///< u [rows, rank]; v [out, rank], backward [rank, in]
  T scale;
};

/// y[t, n] = scale * sum_r u[t, r] v[n, r] + sum_k x[t, k] weight[n, k] + bias[n] + residual[t, n]
template <class T>
void linear(const Linear<T>& l, const T* x, const T* bias, const T* residual, T* y) {
  for (std::int64_t t = 0; t < l.rows; ++t)
    for (std::int64_t n = 0; n < l.out; ++n) {
      T sum = 0;
      for (std::int64_t r = 0; r < l.rank; ++r) sum += l.u[t * l.rank + r] * l.v[n * l.rank + r];
      sum *= l.scale;
      for (std::int64_t k = 0; k < l.in; ++k) sum += x[t * l.in + k] * l.weight[n * l.in + k];
      if (bias) sum += bias[n];
      y[t * l.out + n] = residual ? sum + residual[t * l.out + n] : sum;
    }
}

/// dx[t, k] = scale * sum_r u[t, r] v[r, k] + sum_n dy[t, n] weight[n, k] + residual[t, k]
template <class T>
void linear_backward(const Linear<T>& l, const T* dy, const T* residual, T* dx) {
  for (std::int64_t t = 0; t < l.rows; ++t)
    for (std::int64_t k = 0; k < l.in; ++k) {
      T sum = 0;
      for (std::int64_t r = 0; r < l.rank; ++r) sum += l.u[t * l.rank + r] * l.v[r * l.in + k];
      sum *= l.scale;
      for (std::int64_t n = 0; n < l.out; ++n) sum += dy[t * l.out + n] * l.weight[n * l.in + k];
      dx[t * l.in + k] = residual ? sum + residual[t * l.in + k] : sum;
    }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/linear-inl.h"
#endif
