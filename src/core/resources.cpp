// SPDX-License-Identifier: Apache-2.0
#include "ftlib/core/resources.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>

namespace ftlib::inline FTLIB_ABI {

std::int64_t proc_kib(const char* path, std::string_view key) noexcept {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char buffer[16384];  // the groups of a user come before what is looked for
  const ssize_t size = ::read(fd, buffer, sizeof buffer);
  ::close(fd);
  const std::string_view text(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
  std::size_t at = text.find(key);
  while (at != text.npos && at > 0 && text[at - 1] != '\n') at = text.find(key, at + 1);
  const std::size_t digit = at == text.npos ? at : text.find_first_of("0123456789", at + key.size());
  std::int64_t kib = -1;
  if (digit != text.npos) std::from_chars(text.data() + digit, text.data() + text.size(), kib);
  return kib;
}

ResourceUsage resource_usage() noexcept {
  const std::int64_t peak = proc_kib("/proc/self/status", "VmHWM:");  // ru_maxrss has the parent's in it, through exec
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {(peak > 0 ? peak : std::int64_t{usage.ru_maxrss}) * 1024, std::int64_t{usage.ru_minflt} + usage.ru_majflt};
}

}  // namespace ftlib
