// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// What this program has used since it began. Thread-safe.
struct ResourceUsage {
  std::int64_t peak_rss_bytes = 0;  ///< VmHWM of /proc/self/status; without it getrusage(2), as the page faults
  std::int64_t page_faults = 0;  ///< with and without reading from disk
};

ResourceUsage resource_usage() noexcept;

/// The number behind `key`, as "VmRSS:", at the begin of a line in the first 16 KiB of a file of /proc, in units of
/// 1,024 bytes; -1 where there is none. Allocates nothing. Thread-safe.
std::int64_t proc_kib(const char* path, std::string_view key) noexcept;

}  // namespace ftlib
