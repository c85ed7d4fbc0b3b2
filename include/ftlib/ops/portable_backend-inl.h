// SPDX-License-Identifier: Apache-2.0
// The backend of any CPU: kernels over the compiler's own vectors, Eigen for products.
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/kernels/attention.h"
#include "ftlib/ops/kernels/attention_backward.h"
#include "ftlib/ops/kernels/convert.h"
#include "ftlib/ops/kernels/cross_entropy.h"
#include "ftlib/ops/kernels/dropout.h"
#include "ftlib/ops/kernels/embedding.h"
#include "ftlib/ops/kernels/nf4.h"
#include "ftlib/ops/kernels/rms_norm.h"
#include "ftlib/ops/kernels/rope.h"
#include "ftlib/ops/kernels/swiglu.h"
#include "ftlib/ops/portable_gemm-inl.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

FTLIB_INLINE const KernelTable& portable_backend() noexcept {
  using V = kernels::PortableVector;
  static constexpr KernelTable table{
      .name = "portable",
      .available = []() noexcept { return true; },
      .matmul = portable_matmul,
      .linear = portable_linear,
      .linear_backward = portable_linear_backward,
      .attention = kernels::attention<V>,
      .attention_backward = kernels::attention_backward<V>,
      .rms_norm = kernels::rms_norm<V>,
      .rms_norm_backward = kernels::rms_norm_backward<V>,
      .rope = kernels::rope<V>,
      .swiglu = kernels::swiglu<V>,
      .swiglu_backward = kernels::swiglu_backward<V>,
      .embedding = kernels::embedding<V>,
      .cross_entropy = kernels::cross_entropy<V>,
      .dropout = kernels::dropout<V>,
      .convert = kernels::convert<V>,
      .nf4_quantize = kernels::nf4_quantize<V>,
      .nf4_dequantize = kernels::nf4_dequantize<V>,
  };
  return table;
}

}  // namespace detail
}  // namespace ftlib
