// SPDX-License-Identifier: Apache-2.0
// Owned memory, and the arena: every large block of a run is planned by name first, shown to the user, then taken once.
// A first touch of a 4 KiB page costs about 10 us on virtual machines, so nothing large is freed between steps.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// Owning, move-only, zero-filled, 64-byte aligned; from 2 MiB on aligned to 2 MiB and advised to huge pages.
/// Throws Error{out_of_memory} naming the bytes.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t bytes);
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Buffer();

  std::byte* data() noexcept { return static_cast<std::byte*>(data_); }
  const std::byte* data() const noexcept { return static_cast<const std::byte*>(data_); }
  template <class T>
  T* as() noexcept { return static_cast<T*>(data_); }
  template <class T>
  const T* as() const noexcept { return static_cast<const T*>(data_); }
  std::int64_t bytes() const noexcept { return bytes_; }

 private:
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

/// One named block of a plan; offsets are multiples of 64.
struct ArenaSlot {
  std::string name;
  std::int64_t offset = 0, bytes = 0;
};

/// add() every block, allocate() once, then at(). Slots are numbered in the order of add().
class Arena {
 public:
  std::size_t add(std::string_view name, std::int64_t bytes);
  void allocate();

  template <class T = std::byte>
  T* at(std::size_t slot) noexcept { return reinterpret_cast<T*>(buffer_.data() + slots_[slot].offset); }
  std::int64_t planned_bytes() const noexcept { return planned_; }
  const std::vector<ArenaSlot>& slots() const noexcept { return slots_; }

 private:
  std::vector<ArenaSlot> slots_;
  std::int64_t planned_ = 0;
  Buffer buffer_;
};

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/core/buffer-inl.h"
#endif
