// SPDX-License-Identifier: Apache-2.0
#include "allocations.h"

#include <malloc.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace allocations {
namespace {

std::atomic<std::int64_t> in_use{0}, peak{0}, level{0}, handed_out{0};
thread_local std::int64_t until_failure = -1;
thread_local bool has_failed = false;

}  // namespace

void reset_peak() noexcept { level = in_use.load(), peak = in_use.load(); }
std::int64_t peak_bytes() noexcept { return peak - level; }
std::int64_t count() noexcept { return handed_out; }
void fail_at(std::int64_t k) noexcept { until_failure = k, has_failed = false; }
bool failed() noexcept { return has_failed; }

[[maybe_unused]] static void* allocate(std::size_t bytes, std::size_t alignment) {
  if (until_failure >= 0 && until_failure-- == 0) {
    has_failed = true;
    throw std::bad_alloc();
  }
  void* memory = alignment == 0 ? std::malloc(bytes)
                                : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  const std::int64_t now = in_use += static_cast<std::int64_t>(malloc_usable_size(memory));
  for (std::int64_t seen = peak; seen < now && !peak.compare_exchange_weak(seen, now);) {
  }
  return memory;
}

[[maybe_unused]] static void release(void* memory) noexcept {
  in_use -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

/// Every way to memory of the heap ends here.
static void count_one() noexcept { ++handed_out; }

}  // namespace allocations

#if FTLIB_COUNT_ALLOCATIONS
void* operator new(std::size_t bytes) { return allocations::allocate(bytes, 0); }
void* operator new[](std::size_t bytes) { return allocations::allocate(bytes, 0); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocations::allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocations::allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { allocations::release(memory); }
void operator delete[](void* memory) noexcept { allocations::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { allocations::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { allocations::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { allocations::release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { allocations::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { allocations::release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { allocations::release(memory); }

// glibc lets a program define these in its place, and keeps its own under names with __libc_.
#define FTLIB_HEAP extern "C" __attribute__((visibility("default")))
extern "C" void* __libc_malloc(std::size_t) noexcept;
extern "C" void* __libc_calloc(std::size_t, std::size_t) noexcept;
extern "C" void* __libc_realloc(void*, std::size_t) noexcept;
extern "C" void* __libc_memalign(std::size_t, std::size_t) noexcept;

FTLIB_HEAP void* malloc(std::size_t bytes) noexcept { return allocations::count_one(), __libc_malloc(bytes); }
FTLIB_HEAP void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return allocations::count_one(), __libc_calloc(count, bytes);
}
FTLIB_HEAP void* realloc(void* memory, std::size_t bytes) noexcept {
  return allocations::count_one(), __libc_realloc(memory, bytes);
}
FTLIB_HEAP void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return allocations::count_one(), __libc_memalign(alignment, bytes);
}
FTLIB_HEAP int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept {
  if (!std::has_single_bit(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* made = ::aligned_alloc(alignment, bytes);
  if (made == nullptr) return ENOMEM;
  *memory = made;
  return 0;
}
#else
// A sanitizer has a heap of its own, and calls whoever asks to be told.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
[[maybe_unused]] static const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { allocations::count_one(); }, [](const volatile void*) {});
#endif
