// SPDX-License-Identifier: Apache-2.0
#include "kernels/backends.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

constexpr KernelTable kTable{
    .name = "avx512bf16",
    .available = cpu_has_avx512bf16,
};

}  // namespace

const KernelTable& avx512bf16_backend() noexcept { return kTable; }

}  // namespace kernels
}  // namespace ftlib
