// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "ftlib/io/json.h"
#include "io/sys.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

namespace fs = std::filesystem;

std::string host_and_process() {
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '?';
  return concat(std::string_view(host), ":", ::getpid());
}

std::string holder(int fd) {
  char text[300];
  const ssize_t got = sys::retry([&] { return sys::calls().pread(fd, text, sizeof text, 0); });
  return got > 0 ? excerpt({text, static_cast<std::size_t>(got)}, 256) : "another process";
}

// Another holder may have removed the file between our open and our lock; then the lock holds a name that is gone.
bool still_there(int fd, const std::string& path) {
  struct stat ours {};
  struct stat named {};
  return sys::calls().fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
         ours.st_dev == named.st_dev;
}

void remove_one(const std::string& path, bool folder) {
  const int done = folder ? sys::calls().rmdir(path.c_str()) : sys::calls().unlink(path.c_str());
  if (done != 0 && errno != ENOENT) sys::fail(errno, path, "cannot remove");
}

}  // namespace

AtomicFile::AtomicFile(std::string path, std::int64_t bytes)
    : path_(std::move(path)), temporary_(path_ + sys::temporary_suffix()), bytes_(bytes) {
  fd_ = sys::open(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, bytes_).release();
}

AtomicFile::~AtomicFile() {
  sys::Fd(fd_).reset();
  if (!temporary_.empty()) sys::calls().unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::int64_t bytes) {
  written_ += bytes;
  bytes_ = std::max(bytes_, written_);
  sys::write_all(fd_, path_, data, bytes, bytes_);
}

void AtomicFile::commit() {
  sys::sync(fd_, path_, bytes_);
  sys::close(sys::Fd(std::exchange(fd_, -1)), path_, bytes_);
  if (sys::calls().rename(temporary_.c_str(), path_.c_str()) != 0)
    sys::fail(errno, path_, "cannot rename into place", bytes_);
  temporary_.clear();
  sys::sync_directory(sys::parent_directory(path_), bytes_);
}

void write_file_atomic(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path, static_cast<std::int64_t>(bytes.size()));
  file.write(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  file.commit();
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  write_file_atomic(path, std::as_bytes(std::span(bytes)));
}

void make_directories(const std::string& path) {
  std::error_code ignored;
  std::vector<std::string> missing;
  for (std::string at = path; !fs::is_directory(at, ignored); at = sys::parent_directory(at)) missing.push_back(at);
  for (; !missing.empty(); missing.pop_back()) {
    const std::string& folder = missing.back();
    if (sys::calls().mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
      sys::fail(errno, folder, "cannot create the folder");
    sys::sync_directory(sys::parent_directory(folder));
  }
  if (!fs::is_directory(path, ignored)) sys::fail(EEXIST, path, "cannot create the folder");
}

void remove_tree(const std::string& path) {
  std::error_code failed;
  std::vector<std::pair<std::string, bool>> entries;
  const fs::file_status status = fs::symlink_status(path, failed);
  if (!fs::exists(status)) return;
  entries.emplace_back(path, fs::is_directory(status));
  fs::recursive_directory_iterator at(path, failed), end;
  for (; fs::is_directory(status) && !failed && at != end; at.increment(failed))
    entries.emplace_back(at->path().string(), at->symlink_status(failed).type() == fs::file_type::directory);
  for (; !entries.empty(); entries.pop_back()) remove_one(entries.back().first, entries.back().second);
}

DirectoryLock::DirectoryLock(const std::string& folder) : path_(folder + "/.lock") {
  for (;;) {
    sys::Fd fd = sys::open(path_, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (sys::retry([&] { return sys::calls().lock(fd.get()); }) != 0) {
      const int error = errno;
      FT_CHECK(error != EAGAIN && error != EACCES, busy, folder, ": in use by ", holder(fd.get()));
      sys::fail(error, path_, "cannot lock");
    }
    if (!still_there(fd.get(), path_)) continue;
    const std::string text = host_and_process();  // only for the other's message: a full disk may cut it
    if (sys::calls().ftruncate(fd.get(), 0) == 0) sys::calls().write(fd.get(), text.data(), text.size());
    fd_ = fd.release();
    return;
  }
}

DirectoryLock::~DirectoryLock() {
  sys::calls().unlink(path_.c_str());
  sys::Fd(fd_).reset();
}

}  // namespace ftlib
