// SPDX-License-Identifier: Apache-2.0
// The last backend: the definitions of the op headers themselves, run in f32.
#pragma once
#include "ftlib/ops/backend.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

FTLIB_INLINE const KernelTable& reference_backend() noexcept {
  static constexpr KernelTable table{
      .name = "ref",
      .available = []() noexcept { return true; },
  };
  return table;
}

}  // namespace detail
}  // namespace ftlib
