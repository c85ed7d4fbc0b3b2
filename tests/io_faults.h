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
    kOpen = 1,
    kCreate = 2,
    kClose = 4,
    kFstat = 8,
    kPread = 16,
    kWrite = 32,
    kFtruncate = 64,
    kFsync = 128,
    kLock = 256,
    kMkdir = 512,
    kRename = 1024,
    kUnlink = 2048,
    kRmdir = 4096,
    kStatvfs = 8192,
  };

  static bool strikes(unsigned call) {
    constexpr unsigned kReach[] = {kCreate | kWrite | kFtruncate | kFsync | kMkdir | kRename,   ~0u,    kWrite,
                                   kOpen | kCreate | kPread | kWrite | kFsync | kLock | kClose, kFsync, kRename};
    if ((kReach[static_cast<int>(fault_)] & call) == 0) return false;
    const int at = seen_++;
    if (at != k_ && !(sticky_ && at > k_)) return false;
    errno = fault_ == IoFault::no_space ? ENOSPC : fault_ == IoFault::interrupted ? EINTR : EIO;
    return true;
  }
  static ssize_t write_some(int fd, const void* data, std::size_t bytes) {
    if (!strikes(kWrite)) return ftlib::sys::kSystem.write(fd, data, bytes);
    if (fault_ != IoFault::short_write) return -1;
    return ftlib::sys::kSystem.write(fd, data, bytes > 1 ? bytes / 2 : bytes);
  }
  static int close_it(int fd) {
    const bool struck = strikes(kClose);
    const int error = errno, done = ftlib::sys::kSystem.close(fd);
    if (struck) errno = error;
    return struck ? -1 : done;
  }

  static constexpr ftlib::sys::Calls kTable{
      [](const char* path, int flags, mode_t mode) {
        return strikes(flags & O_CREAT ? kCreate : kOpen) ? -1 : ftlib::sys::kSystem.open(path, flags, mode);
      },
      close_it,
      [](int fd, struct stat* info) { return strikes(kFstat) ? -1 : ftlib::sys::kSystem.fstat(fd, info); },
      [](int fd, void* out, std::size_t bytes, off_t offset) -> ssize_t {
        return strikes(kPread) ? -1 : ftlib::sys::kSystem.pread(fd, out, bytes, offset);
      },
      write_some,
      [](int fd, off_t bytes) { return strikes(kFtruncate) ? -1 : ftlib::sys::kSystem.ftruncate(fd, bytes); },
      [](int) { return strikes(kFsync) ? -1 : 0; },
      [](int fd) { return strikes(kLock) ? -1 : ftlib::sys::kSystem.lock(fd); },
      [](const char* path, mode_t mode) { return strikes(kMkdir) ? -1 : ftlib::sys::kSystem.mkdir(path, mode); },
      [](const char* from, const char* to) { return strikes(kRename) ? -1 : ftlib::sys::kSystem.rename(from, to); },
      [](const char* one, const char* other) {
        return strikes(kRename) ? -1 : ftlib::sys::kSystem.exchange(one, other);
      },
      [](const char* path) { return strikes(kUnlink) ? -1 : ftlib::sys::kSystem.unlink(path); },
      [](const char* path) { return strikes(kRmdir) ? -1 : ftlib::sys::kSystem.rmdir(path); },
      [](const char* path, struct statvfs* info) {
        return strikes(kStatvfs) ? -1 : ftlib::sys::kSystem.statvfs(path, info);
      },
  };

  static inline IoFault fault_ = IoFault::io_error;
  static inline int k_ = 0;
  static inline bool sticky_ = false;
  static inline std::atomic<int> seen_{0};
};
