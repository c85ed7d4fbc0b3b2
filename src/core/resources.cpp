// SPDX-License-Identifier: Apache-2.0
#include "ftlib/core/resources.h"

#include <sys/resource.h>

namespace ftlib::inline FTLIB_ABI {

ResourceUsage resource_usage() noexcept {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {std::int64_t{usage.ru_maxrss} * 1024, std::int64_t{usage.ru_minflt} + usage.ru_majflt};
}

}  // namespace ftlib
