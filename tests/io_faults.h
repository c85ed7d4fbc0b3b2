// SPDX-License-Identifier: Apache-2.0
// Fails the k-th call that the library makes to the file system, once or from then on. One at a time. Nothing is really
// synced meanwhile: what fails matters here, not what a disk takes.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "io/sys.h"

enum class IoFault { no_space, io_error, short_write, interrupted, failed_fsync, failed_rename };
inline constexpr IoFault kIoFaults[] = {IoFault::no_space,    IoFault::io_error,     IoFault::short_write,
                                        IoFault::interrupted, IoFault::failed_fsync, IoFault::failed_rename};

class IoFaults {
 public:
  /// Counts the calls that `fault` can befall; the k-th (from 0) fails, and with `sticky` all after it.
  IoFaults(IoFault fault, int k, bool sticky) {
    fault_ = fault, k_ = k, sticky_ = sticky, seen_ = 0;
    ftlib::sys::replace_calls(&kTable);
  }
  IoFaults(const IoFaults&) = delete;
  IoFaults& operator=(const IoFaults&) = delete;
  ~IoFaults() { ftlib::sys::replace_calls(nullptr); }
  bool struck() const { return seen_ > k_; }
  static constexpr int kNever = 1 << 30;

 private:
  enum Call : unsigned {
    open = 1,
    create = 2,
    close = 4,
    fstat = 8,
    pread = 16,
    write = 32,
    ftruncate = 64,
    fsync = 128,
    lock = 256,
    mkdir = 512,
    rename = 1024,
    unlink = 2048,
    rmdir = 4096,
    statvfs = 8192,
  };

  static bool strikes(unsigned call) {
    constexpr unsigned kReach[] = {create | write | ftruncate | fsync | mkdir | rename,  ~0u,   write,
                                   open | create | pread | write | fsync | lock | close, fsync, rename};
    if ((kReach[static_cast<int>(fault_)] & call) == 0) return false;
    const int at = seen_++;
    if (at != k_ && !(sticky_ && at > k_)) return false;
    errno = fault_ == IoFault::no_space ? ENOSPC : fault_ == IoFault::interrupted ? EINTR : EIO;
    return true;
  }
  static ssize_t write_some(int fd, const void* data, std::size_t bytes) {
    if (!strikes(write)) return ftlib::sys::kSystem.write(fd, data, bytes);
    if (fault_ != IoFault::short_write) return -1;
    return ftlib::sys::kSystem.write(fd, data, bytes > 1 ? bytes / 2 : bytes);
  }
  static int close_it(int fd) {
    const bool struck = strikes(close);
    const int error = errno, done = ftlib::sys::kSystem.close(fd);
    if (struck) errno = error;
    return struck ? -1 : done;
  }

  static constexpr ftlib::sys::Calls kTable{
      [](const char* path, int flags, mode_t mode) {
        return strikes(flags & O_CREAT ? create : open) ? -1 : ftlib::sys::kSystem.open(path, flags, mode);
      },
      close_it,
      [](int fd, struct stat* info) { return strikes(fstat) ? -1 : ftlib::sys::kSystem.fstat(fd, info); },
      [](int fd, void* out, std::size_t bytes, off_t offset) -> ssize_t {
        return strikes(pread) ? -1 : ftlib::sys::kSystem.pread(fd, out, bytes, offset);
      },
      write_some,
      [](int fd, off_t bytes) { return strikes(ftruncate) ? -1 : ftlib::sys::kSystem.ftruncate(fd, bytes); },
      [](int) { return strikes(fsync) ? -1 : 0; },
      [](int fd) { return strikes(lock) ? -1 : ftlib::sys::kSystem.lock(fd); },
      [](const char* path, mode_t mode) { return strikes(mkdir) ? -1 : ftlib::sys::kSystem.mkdir(path, mode); },
      [](const char* from, const char* to) { return strikes(rename) ? -1 : ftlib::sys::kSystem.rename(from, to); },
      [](const char* one, const char* other) {
        return strikes(rename) ? -1 : ftlib::sys::kSystem.exchange(one, other);
      },
      [](const char* path) { return strikes(unlink) ? -1 : ftlib::sys::kSystem.unlink(path); },
      [](const char* path) { return strikes(rmdir) ? -1 : ftlib::sys::kSystem.rmdir(path); },
      [](const char* path, struct statvfs* info) {
        return strikes(statvfs) ? -1 : ftlib::sys::kSystem.statvfs(path, info);
      },
  };

  static inline IoFault fault_ = IoFault::io_error;
  static inline int k_ = 0;
  static inline bool sticky_ = false;
  static inline std::atomic<int> seen_{0};
};
