// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdlib>

#include "ftlib/core/scratch.h"

namespace ftlib::inline FTLIB_ABI {

namespace detail {

struct ScratchBlock {
  void* data = nullptr;
  std::int64_t bytes = 0;
  ~ScratchBlock() { std::free(data); }

  void* at_least(std::int64_t wanted) noexcept {
    if (data != nullptr && wanted <= bytes) return data;
    if (wanted > INT64_MAX - 4096) return nullptr;
    std::free(data);
    bytes = (wanted / 4096 + 1) * 4096;
    data = std::aligned_alloc(64, static_cast<std::size_t>(bytes));
    return data;
  }
};

}  // namespace detail

FTLIB_INLINE void* scratch(std::int64_t bytes) noexcept {
  static thread_local detail::ScratchBlock block;
  return block.at_least(bytes);
}

FTLIB_INLINE void* region_scratch(std::int64_t bytes) noexcept {
  static thread_local detail::ScratchBlock block;
  return block.at_least(bytes);
}

}  // namespace ftlib
