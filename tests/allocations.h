// SPDX-License-Identifier: Apache-2.0
// Counts what this program takes from its heap, and can make operator new fail. Under a sanitizer only count() works;
// ThreadSanitizer does not tell of aligned memory.
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
std::int64_t peak_bytes() noexcept;  ///< most bytes of operator new in use above the level of reset_peak()

/// Calls of malloc, calloc, realloc, aligned_alloc and posix_memalign since the program began, by whomever (operator
/// new and the libraries that it links too), on all threads.
std::int64_t count() noexcept;

/// The k-th operator new from now on (from 0) throws std::bad_alloc, once; negative: none does. This thread only.
void fail_at(std::int64_t k) noexcept;
bool failed() noexcept;  ///< whether it came to that

}  // namespace allocations
