// SPDX-License-Identifier: Apache-2.0
#include "kernels/backends.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

constexpr KernelTable kTable{
    .name = "avx2",
    .available = cpu_has_avx2,
};

}  // namespace

const KernelTable& avx2_backend() noexcept { return kTable; }

}  // namespace kernels
}  // namespace ftlib
