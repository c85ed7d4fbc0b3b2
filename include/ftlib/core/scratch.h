// SPDX-License-Identifier: Apache-2.0
// Working memory of kernels: one grow-only block a thread, so that a warm training step allocates nothing.
#pragma once
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// This thread's block, at least `bytes` long, 64-byte aligned, contents undefined; null where memory is short (kernels
/// then answer Status::out_of_memory). Valid until the thread's next call: a kernel takes all that it needs at once.
/// The thread frees its block when it ends.
void* scratch(std::int64_t bytes) noexcept;

/// The same apart from it: what the chunks of one parallel region share, taken by the thread that starts the region.
void* region_scratch(std::int64_t bytes) noexcept;

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/core/scratch-inl.h"
#endif
