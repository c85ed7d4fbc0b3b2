// SPDX-License-Identifier: Apache-2.0
// The one seam to the file system: every call with which the library opens, reads, writes or names a file goes through
// this table, so that a test can fail the k-th of them and see what is left behind.
#pragma once
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {
namespace sys {

/// POSIX semantics: -1 and errno on failure.
struct Calls {
  int (*open)(const char* path, int flags, mode_t mode);
  int (*close)(int fd);
  int (*fstat)(int fd, struct stat* info);
  ssize_t (*pread)(int fd, void* out, std::size_t bytes, off_t offset);
  ssize_t (*write)(int fd, const void* data, std::size_t bytes);
  int (*ftruncate)(int fd, off_t bytes);
  int (*fsync)(int fd);
  int (*lock)(int fd);  ///< takes an exclusive open-file-description lock, never waits
  int (*mkdir)(const char* path, mode_t mode);
  int (*rename)(const char* from, const char* to);
  int (*exchange)(const char* one, const char* other);  ///< swaps two names atomically; EINVAL or ENOSYS: not offered
  int (*unlink)(const char* path);
  int (*rmdir)(const char* path);
  int (*statvfs)(const char* path, struct statvfs* info);
};

extern const Calls kSystem;
const Calls& calls() noexcept;                    ///< the table in force
void replace_calls(const Calls* table) noexcept;  ///< tests only; null brings kSystem back

/// Throws Error{not_found | io_error, IO}: `path: what: the system's text`, and for a full disk the bytes needed and
/// free.
[[noreturn]] void fail(int error, const std::string& path, std::string_view what, std::int64_t needed = 0);

bool interrupted() noexcept;

/// Repeats a call that a signal interrupted, but not for ever.
template <class Call>
auto retry(Call&& call) {
  auto result = call();
  for (int i = 0; i < 1000 && result == -1 && interrupted(); ++i) result = call();
  return result;
}

/// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { reset(); }
  int get() const noexcept { return fd_; }
  int release() noexcept;
  void reset() noexcept;

 private:
  int fd_ = -1;
};

// In what follows `needed` is what the whole undertaking takes, in bytes, for the message of a full disk.

/// open() with O_CLOEXEC and O_NOCTTY added; creates with mode 0666.
Fd open(const std::string& path, int flags, std::int64_t needed = 0);

/// Writes all of it, in as many calls as it takes.
void write_all(int fd, const std::string& path, const void* data, std::int64_t bytes, std::int64_t needed = 0);

/// A failed fsync is never tried again: the kernel may have dropped the data and would report success.
void sync(int fd, const std::string& path, std::int64_t needed = 0);
void sync_directory(const std::string& path, std::int64_t needed = 0);

void close(Fd fd, const std::string& path, std::int64_t needed = 0);
std::int64_t free_bytes(const std::string& path) noexcept;  ///< of the file system that holds `path`; -1 unknown

std::string parent_directory(const std::string& path);  ///< "." for a bare name
inline constexpr std::string_view kTemporary = ".tmp-";
std::string temporary_suffix();                         ///< ".tmp-<pid>-<number>", another one each time

}  // namespace sys
}  // namespace ftlib
