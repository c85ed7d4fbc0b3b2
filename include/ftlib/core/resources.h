// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// What this process has used since it began, as getrusage(2) counts it.
struct ResourceUsage {
  std::int64_t peak_rss_bytes = 0;
  std::int64_t page_faults = 0;  ///< with and without reading from disk
};

ResourceUsage resource_usage() noexcept;

}  // namespace ftlib
