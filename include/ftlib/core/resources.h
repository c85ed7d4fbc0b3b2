// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// What this program has used since it began. Thread-safe.
struct ResourceUsage {
  std::int64_t peak_rss_bytes = 0;  ///< VmHWM of /proc/self/status; without it getrusage(2), as the page faults
  std::int64_t page_faults = 0;  ///< with and without reading from disk
};

ResourceUsage resource_usage() noexcept;

}  // namespace ftlib
