// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdlib>

#include "ftlib/core/scratch.h"

namespace ftlib::inline FTLIB_ABI {

FTLIB_INLINE void* scratch(std::int64_t bytes) noexcept {
  struct Block {
    void* data = nullptr;
    std::int64_t bytes = 0;
    ~Block() { std::free(data); }
  };
  static thread_local Block block;
  if (block.data != nullptr && bytes <= block.bytes) return block.data;
  if (bytes > INT64_MAX - 4096) return nullptr;
  std::free(block.data);
  block.bytes = (bytes / 4096 + 1) * 4096;
  block.data = std::aligned_alloc(64, static_cast<std::size_t>(block.bytes));
  return block.data;
}

}  // namespace ftlib
