// SPDX-License-Identifier: Apache-2.0
#include "io/sys.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>

namespace ftlib::inline FTLIB_ABI::sys {
namespace {

int lock_whole_file(int fd) {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &range);
}

int exchange_names(const char* one, const char* other) {
  return ::renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

std::atomic<const Calls*> in_force{&kSystem};

}  // namespace

const Calls kSystem{
    [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
    ::close,
    ::fstat,
    ::pread,
    ::write,
    ::ftruncate,
    ::fsync,
    lock_whole_file,
    ::mkdir,
    ::rename,
    exchange_names,
    ::unlink,
    ::rmdir,
    ::statvfs,
};

const Calls& calls() noexcept { return *in_force.load(std::memory_order_acquire); }
void replace_calls(const Calls* table) noexcept { in_force.store(table ? table : &kSystem, std::memory_order_release); }
bool interrupted() noexcept { return errno == EINTR; }

void fail(int error, const std::string& path, std::string_view what, std::int64_t needed) {
  std::string text = concat(path, ": ", what, ": ", std::generic_category().message(error));
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  if (full)
    text += concat(needed > 0 ? concat("; it needs ", needed, " bytes, ") : "; ", free_bytes(path), " bytes are free");
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Error(missing ? Status::not_found : Status::io_error, Reason::io, text);
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) reset(), fd_ = other.release();
  return *this;
}

int Fd::release() noexcept {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Fd::reset() noexcept {
  if (fd_ >= 0) calls().close(release());
}

Fd open(const std::string& path, int flags, std::int64_t needed) {
  if (path.find('\0') != path.npos) fail(EINVAL, path.substr(0, path.find('\0')), "a zero byte in the path");
  Fd fd(retry([&] { return calls().open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0666); }));
  if (fd.get() < 0) fail(errno, path, "cannot open", needed);
  return fd;
}

void write_all(int fd, const std::string& path, const void* data, std::int64_t bytes, std::int64_t needed) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = retry([&] { return calls().write(fd, next, static_cast<std::size_t>(bytes)); });
    if (done <= 0) fail(done < 0 ? errno : EIO, path, "cannot write", needed);
    next += done;
    bytes -= done;
  }
}

void sync(int fd, const std::string& path, std::int64_t needed) {
  if (retry([&] { return calls().fsync(fd); }) != 0) fail(errno, path, "cannot bring it to the disk", needed);
}

void sync_directory(const std::string& path, std::int64_t needed) {
  const Fd fd = open(path, O_RDONLY | O_DIRECTORY, needed);
  sync(fd.get(), path, needed);
}

void close(Fd fd, const std::string& path, std::int64_t needed) {
  if (calls().close(fd.release()) != 0 && errno != EINTR) fail(errno, path, "cannot close", needed);
}

std::int64_t free_bytes(const std::string& path) noexcept {
  struct statvfs info {};
  if (calls().statvfs(path.c_str(), &info) != 0 && calls().statvfs(parent_directory(path).c_str(), &info) != 0)
    return -1;
  return static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
}

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string temporary_suffix() {
  static std::atomic<std::uint64_t> count{0};
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  return concat(kTemporary, ::getpid(), "-", static_cast<std::uint64_t>(now) + count.fetch_add(1));
}

}  // namespace ftlib::inline FTLIB_ABI::sys
