// SPDX-License-Identifier: Apache-2.0
// Working memory of kernels: one grow-only block a thread, so that a warm training step allocates nothing.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// This thread's block, at least `bytes` long, 64-byte aligned, contents undefined; null where memory is short (kernels
/// then answer Status::out_of_memory). Valid until the thread's next call: a kernel takes all that it needs at once.
/// The thread frees its block when it ends.
void* scratch(std::int64_t bytes) noexcept;

/// The same apart from it: what the chunks of one parallel region share, taken by the thread that starts the region.
void* region_scratch(std::int64_t bytes) noexcept;

/// Sums that the chunks of a parallel region share, in region_scratch: whoever finishes a result's last part adds its parts.
/// Inline even where nothing else is: kernel files must not share a copy.
struct RegionSums {
  float* sums = nullptr;
  std::atomic<std::int32_t>* done = nullptr;  ///< parts of each result

  /// False where memory is short.
  [[gnu::always_inline]] bool take(std::int64_t floats, std::int64_t results) noexcept {
    if (results == 0) return true;
    sums = static_cast<float*>(region_scratch(floats * 4 + results * static_cast<std::int64_t>(sizeof *done)));
    if (sums == nullptr) return false;
    done = reinterpret_cast<std::atomic<std::int32_t>*>(sums + floats);
    for (std::int64_t i = 0; i < results; ++i) std::construct_at(done + i, 0);
    return true;
  }
  /// Whether this part was the last of `parts`; the sums of the others are then visible.
  [[gnu::always_inline]] bool finishes(std::int64_t result, std::int64_t parts) const noexcept {
    return done[result].fetch_add(1, std::memory_order_acq_rel) + 1 == parts;
  }
};

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/core/scratch-inl.h"
#endif
