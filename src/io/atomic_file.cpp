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
  std::error_code ignored;
  FT_CHECK(!path_.empty(), invalid_argument, "[file] the path to write is empty");
  if (fs::is_directory(path_, ignored)) sys::fail(EISDIR, path_, "cannot write");
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
  fd_ = sys::retry([&] { return sys::calls().open(temporary_.c_str(), kFlags, 0666); });
  if (fd_ < 0) sys::fail(errno, path_, "cannot create", bytes_);
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
  if (!fs::is_directory(path, ignored))
    throw Error(Status::io_error, Reason::io, concat(path, ": is no folder; name another one"));
}

StagedFolder::StagedFolder(std::string folder)
    : folder_(std::move(folder)), path_(concat(folder_, "/", sys::temporary_suffix())) {
  std::error_code ignored;
  created_ = !fs::is_directory(folder_, ignored);
  try {
    make_directories(folder_);
    make_directories(path_);
  } catch (...) {
    discard();
    throw;
  }
}

StagedFolder::~StagedFolder() { discard(); }

void StagedFolder::discard() noexcept {
  if (path_.empty()) return;
  try {
    remove_tree(path_);
  } catch (const std::exception&) {  // nobody is left to tell
  }
  if (created_) sys::calls().rmdir(folder_.c_str());
}

void StagedFolder::commit(std::string_view last) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(path_, failed)) names.push_back(entry.path().filename().string());
  if (failed) sys::fail(failed.value(), path_, "cannot list");
  std::stable_partition(names.begin(), names.end(), [&](const std::string& name) { return name != last; });
  remove_tree(concat(folder_, "/", last));
  for (const std::string& name : names) {
    const std::string from = concat(path_, "/", name), to = concat(folder_, "/", name);
    if (sys::calls().rename(from.c_str(), to.c_str()) != 0) sys::fail(errno, to, "cannot rename into place");
  }
  sys::sync_directory(folder_);
  created_ = false;
  remove_tree(path_);
  path_.clear();
}

void remove_tree(const std::string& name) {
  std::error_code failed;
  std::vector<std::pair<std::string, bool>> entries;
  const fs::file_status status = fs::symlink_status(name, failed);
  if (!fs::exists(status)) return;
  std::string path = name;
  if (fs::is_directory(status) && fs::path(name).filename().string().find(sys::kTemporary) == name.npos) {
    path += sys::temporary_suffix();
    if (sys::calls().rename(name.c_str(), path.c_str()) != 0) sys::fail(errno, name, "cannot remove");
  }
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

}  // namespace ftlib::inline FTLIB_ABI
