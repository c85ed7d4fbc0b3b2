// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

constexpr detail::GemmKernel kAvx512Bf16{64, 16, 6, 2, true, avx512_fill_bf16, avx512_tile_bf16,
                                        avx512_dot_bf16};
constexpr detail::GemmKernel kAvx512F32{64, 16, 6, 1, true, avx512_fill_f32, avx512_tile_f32,
                                       avx512_dot_f32};
constexpr detail::GemmKernel kAvx2Bf16{16, 16, 6, 1, false, avx2_fill_bf16, avx2_tile};
constexpr detail::GemmKernel kAvx2F32{16, 16, 6, 1, true, avx2_fill_f32, avx2_tile};

const detail::GemmKernel& avx512(DType x) noexcept { return x == DType::bf16 ? kAvx512Bf16 : kAvx512F32; }
const detail::GemmKernel& avx2(DType x) noexcept { return x == DType::bf16 ? kAvx2Bf16 : kAvx2F32; }

}  // namespace

Status avx2_matmul(const MatmulArgs& args) noexcept { return detail::gemm_matmul(avx2(args.a.dtype), args); }
Status avx2_linear(const LinearArgs& args) noexcept { return detail::gemm_linear(avx2(args.x.dtype), args); }
Status avx2_linear_backward(const LinearBackwardArgs& args) noexcept {
  return detail::gemm_linear_backward(avx2(args.dy.dtype), args);
}

Status avx512_matmul(const MatmulArgs& args) noexcept { return detail::gemm_matmul(avx512(args.a.dtype), args); }
Status avx512_linear(const LinearArgs& args) noexcept { return detail::gemm_linear(avx512(args.x.dtype), args); }
Status avx512_linear_backward(const LinearBackwardArgs& args) noexcept {
  return detail::gemm_linear_backward(avx512(args.dy.dtype), args);
}

}  // namespace kernels
}  // namespace ftlib
