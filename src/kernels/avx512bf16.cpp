// SPDX-License-Identifier: Apache-2.0
#include "kernels/backends.h"
#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

constexpr KernelTable kTable{
    .name = "avx512bf16",
    .available = cpu_has_avx512bf16,
    .matmul = avx512_matmul,
    .linear = avx512_linear,
    .linear_backward = avx512_linear_backward,
    .nf4_quantize = avx512_nf4_quantize,
};

}  // namespace

const KernelTable& avx512bf16_backend() noexcept { return kTable; }

}  // namespace kernels
}  // namespace ftlib
