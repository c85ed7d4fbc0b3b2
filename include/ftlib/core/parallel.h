// SPDX-License-Identifier: Apache-2.0
// One process-wide pool. Chunk boundaries are the caller's and depend on the problem's shape only, so results do not
// depend on the number of threads.
#pragma once
#include <cstdint>
#include <memory>
#include <type_traits>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// Threads that parallel_for may use, the caller included. Default: CPU affinity capped by the cgroup quota.
int threads();

/// 1 <= count <= 1024; throws Error{invalid_argument} otherwise. Takes effect with the next parallel_for that starts.
void set_threads(int count);

/// Joins the workers; the next parallel_for starts them again. Call only while no parallel_for runs. Throws as
/// parallel_for in a forked child.
void shutdown();

namespace detail {
void parallel_for(std::int64_t chunks, void (*body)(void*, std::int64_t), void* context);

/// Throws what parallel_for would throw: for callers whose code after it is noexcept.
void check_process();
}

/// Calls body(chunk) once for every chunk in [0, chunks), in any order, on any thread; returns when all are done.
/// body must not throw. Callable from several host threads at once; inside a body it runs serially.
/// Throws Error{unsupported} in a process forked after the pool started.
template <class Body>
void parallel_for(std::int64_t chunks, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::parallel_for(
      chunks, [](void* context, std::int64_t chunk) { (*static_cast<Plain*>(context))(chunk); },
      const_cast<void*>(static_cast<const void*>(std::addressof(body))));
}

/// parallel_for over [0, count) in pieces of `grain`: body(begin, end).
template <class Body>
void parallel_ranges(std::int64_t count, std::int64_t grain, Body&& body) {
  parallel_for((count + grain - 1) / grain, [&](std::int64_t chunk) {
    const std::int64_t begin = chunk * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/core/parallel-inl.h"
#endif
