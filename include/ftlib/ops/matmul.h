// SPDX-License-Identifier: Apache-2.0
// Dense matrix product: c = alpha * op(a) op(b) + beta * c, accumulated in f32, rounded once to c's dtype.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// a  [M, K], or [K, M] with transpose_a   f32 | bf16, last axis contiguous, rows may be strided
/// b  [K, N], or [N, K] with transpose_b   dtype of a, rows may be strided
/// c  [M, N]  f32, or bf16 where a is bf16; overwritten, or read first where beta is not 0; rows may be strided; must not
///            overlap a or b
///
/// An axis may be empty; with K = 0 the product is zero.
struct MatmulArgs {
  ConstTensorView a, b;
  TensorView c;
  bool transpose_a = false, transpose_b = false;
  float alpha = 1, beta = 0;
};

/// Throws Error{invalid_argument} on shapes or dtypes that do not fit, Error{out_of_memory} where a thread's scratch block
/// cannot grow. Thread-safe. What linear.h says about numbers and bits holds here as well, but a sum over 1,024 or more
/// with transpose_a may be cut in slices, by the shapes alone.
void matmul(const MatmulArgs& args);

/// The definition, in any floating type, over contiguous matrices: in double it is the oracle of the tests.
namespace reference {

template <class T>
void matmul(const T* a, const T* b, T* c, std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_a,
            bool transpose_b, T alpha, T beta) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (std::int64_t l = 0; l < k; ++l)
        sum += a[transpose_a ? l * m + i : i * k + l] * b[transpose_b ? j * k + l : l * n + j];
      c[i * n + j] = alpha * sum + (beta != 0 ? beta * c[i * n + j] : T(0));
    }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/matmul-inl.h"
#endif
