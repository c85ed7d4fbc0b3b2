// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "ftlib/core/buffer.h"

namespace ftlib::inline FTLIB_ABI {

FTLIB_INLINE Buffer::Buffer(std::int64_t bytes) : bytes_(bytes) {
  constexpr std::int64_t kHuge = std::int64_t{2} << 20;
  FT_CHECK(bytes >= 0, invalid_argument, "[buffer] bytes must not be negative, got ", bytes);
  if (bytes == 0) return;
  const std::int64_t alignment = bytes >= kHuge ? kHuge : 64;
  if (bytes <= INT64_MAX - alignment) {
    const std::int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
    data_ = std::aligned_alloc(static_cast<std::size_t>(alignment), static_cast<std::size_t>(rounded));
  }
  FT_CHECK(data_ != nullptr, out_of_memory, "[buffer] cannot allocate ", bytes, " bytes");
  if (bytes >= kHuge) ::madvise(data_, static_cast<std::size_t>(bytes), MADV_HUGEPAGE);  // advice: a refusal is fine
  std::memset(data_, 0, static_cast<std::size_t>(bytes));
}

FTLIB_INLINE Buffer::~Buffer() { std::free(data_); }

FTLIB_INLINE std::size_t Arena::add(std::string_view name, std::int64_t bytes) {
  FT_CHECK(bytes >= 0 && planned_ <= INT64_MAX - 64 - bytes, out_of_memory, "[arena] ", name, " of ", bytes,
           " bytes does not fit");
  slots_.push_back({std::string(name), planned_, bytes});
  planned_ += (bytes + 63) / 64 * 64;
  return slots_.size() - 1;
}

FTLIB_INLINE void Arena::allocate() { buffer_ = Buffer(planned_); }

}  // namespace ftlib
