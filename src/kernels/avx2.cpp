// SPDX-License-Identifier: Apache-2.0
#include "kernels/backends.h"
#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

constexpr KernelTable kTable{
    .name = "avx2",
    .available = cpu_has_avx2,
    .matmul = avx2_matmul,
    .linear = avx2_linear,
    .linear_backward = avx2_linear_backward,
};

}  // namespace

const KernelTable& avx2_backend() noexcept { return kTable; }

}  // namespace kernels
}  // namespace ftlib
