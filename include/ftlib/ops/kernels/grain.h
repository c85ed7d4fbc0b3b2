// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// Rows of `columns` elements that make one chunk of an elementwise kernel: about 32 Ki elements, so some 10 us of work
/// against 1 us of claiming it. A function of the shape only.
constexpr std::int64_t rows_per_chunk(std::int64_t columns) noexcept {
  return columns > 0 && columns < 32768 ? 32768 / columns : 1;
}

}  // namespace kernels
}  // namespace ftlib
