// SPDX-License-Identifier: Apache-2.0
// Records the order in which the library writes, syncs and renames below a folder. One at a time.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/sys.h"

class IoTrace {
 public:
  /// Appends "fsync step-3.tmp/adapter" and the like to `calls`: names relative to `folder`, the numbers of temporary
  /// names dropped, "." for the folder itself.
  IoTrace(std::string folder, std::vector<std::string>& calls) {
    folder_ = std::move(folder), calls_ = &calls, names_.clear();
    ftlib::sys::replace_calls(&kTable);
  }
  IoTrace(const IoTrace&) = delete;
  IoTrace& operator=(const IoTrace&) = delete;
  ~IoTrace() { ftlib::sys::replace_calls(nullptr); }

 private:
  static inline std::string folder_;
  static inline std::vector<std::string>* calls_ = nullptr;
  static inline std::map<int, std::string> names_;

  static std::string short_name(std::string path) {
    if (path == folder_) return ".";
    if (path.starts_with(folder_ + "/")) path.erase(0, folder_.size() + 1);
    const std::size_t begin = path.find(".tmp-");
    if (begin == path.npos) return path;
    return path.erase(begin + 4, std::min(path.find('/', begin), path.size()) - begin - 4);
  }
  static void note(const char* call, int fd) { calls_->push_back(std::string(call) + " " + names_[fd]); }
  static void note(const char* call, const char* one, const char* other) {
    calls_->push_back(std::string(call) + " " + short_name(one) + " " + short_name(other));
  }

  static constexpr ftlib::sys::Calls kTable{
      [](const char* path, int flags, mode_t mode) {
        const int fd = ftlib::sys::kSystem.open(path, flags, mode);
        names_[fd] = short_name(path);
        return fd;
      },
      [](int fd) { return ftlib::sys::kSystem.close(fd); },
      [](int fd, struct stat* info) { return ftlib::sys::kSystem.fstat(fd, info); },
      [](int fd, void* out, std::size_t bytes, off_t offset) {
        note("pread", fd);
        return ftlib::sys::kSystem.pread(fd, out, bytes, offset);
      },
      [](int fd, const void* data, std::size_t bytes) {
        note("write", fd);
        return ftlib::sys::kSystem.write(fd, data, bytes);
      },
      [](int fd, off_t bytes) { return ftlib::sys::kSystem.ftruncate(fd, bytes); },
      [](int fd) {
        note("fsync", fd);
        return ftlib::sys::kSystem.fsync(fd);
      },
      [](int fd) { return ftlib::sys::kSystem.lock(fd); },
      [](const char* path, mode_t mode) { return ftlib::sys::kSystem.mkdir(path, mode); },
      [](const char* from, const char* to) {
        note("rename", from, to);
        return ftlib::sys::kSystem.rename(from, to);
      },
      [](const char* one, const char* other) {
        note("exchange", one, other);
        return ftlib::sys::kSystem.exchange(one, other);
      },
      [](const char* path) { return ftlib::sys::kSystem.unlink(path); },
      [](const char* path) { return ftlib::sys::kSystem.rmdir(path); },
      [](const char* path, struct statvfs* info) { return ftlib::sys::kSystem.statvfs(path, info); },
  };
};
