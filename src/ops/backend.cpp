// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/backend-inl.h"

#include "kernels/backends.h"

namespace ftlib::inline FTLIB_ABI {

std::span<const KernelTable* const> backends() noexcept {
  static const KernelTable* const tables[] = {&kernels::avx512bf16_backend(), &kernels::onednn_backend(),
                                              &kernels::avx2_backend(), &detail::portable_backend(), &detail::reference_backend()};
  return tables;
}

}  // namespace ftlib
