// SPDX-License-Identifier: Apache-2.0
// The backend of any CPU: plain loops over the compiler's own vectors, Eigen for products.
#pragma once
#include "ftlib/ops/backend.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

FTLIB_INLINE const KernelTable& portable_backend() noexcept {
  static constexpr KernelTable table{
      .name = "portable",
      .available = []() noexcept { return true; },
  };
  return table;
}

}  // namespace detail
}  // namespace ftlib
