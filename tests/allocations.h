// SPDX-License-Identifier: Apache-2.0
// Counts what operator new hands out in this program, and can make it fail. Under a sanitizer it does neither.
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(__has_feature)
#define FTLIB_HAS_FEATURE(name) __has_feature(name)
#else
#define FTLIB_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || FTLIB_HAS_FEATURE(address_sanitizer) || \
    FTLIB_HAS_FEATURE(thread_sanitizer)
#define FTLIB_COUNT_ALLOCATIONS 0
#else
#define FTLIB_COUNT_ALLOCATIONS 1
#endif

namespace allocations {

void reset_peak() noexcept;          ///< from now on the peak is of what is added to the present
std::int64_t peak_bytes() noexcept;  ///< most bytes in use above the level of reset_peak()
std::int64_t count() noexcept;       ///< since the program began, on all threads

/// The k-th allocation from now on (from 0) throws std::bad_alloc, once; negative: none does. This thread only.
void fail_at(std::int64_t k) noexcept;
bool failed() noexcept;  ///< whether it came to that

}  // namespace allocations
