// SPDX-License-Identifier: Apache-2.0
#include "ftlib/core/resources.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace ftlib::inline FTLIB_ABI {
namespace {

/// The peak of this program alone: ru_maxrss has that of the parent in it, which Linux keeps through exec. 0 without /proc.
std::int64_t peak_rss_kib() noexcept {
  const int fd = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[4096];
  const ssize_t size = ::read(fd, text, sizeof text);
  ::close(fd);
  const std::string_view status(text, size > 0 ? static_cast<std::size_t>(size) : 0), name = "VmHWM:";
  const std::size_t at = status.find(name);
  if (at == status.npos) return 0;
  const std::size_t digit = status.find_first_of("0123456789", at + name.size());
  std::int64_t kib = 0;
  if (digit != status.npos) std::from_chars(status.data() + digit, status.data() + status.size(), kib);
  return kib;
}

}  // namespace

ResourceUsage resource_usage() noexcept {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const std::int64_t peak = peak_rss_kib();
  return {(peak > 0 ? peak : std::int64_t{usage.ru_maxrss}) * 1024, std::int64_t{usage.ru_minflt} + usage.ru_majflt};
}

}  // namespace ftlib
