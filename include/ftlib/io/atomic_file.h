// SPDX-License-Identifier: Apache-2.0
// Files that are there whole or not at all, also after a crash: written beside their place, brought to the disk, then
// renamed, then the folder brought to the disk. And the lock that lets one trainer at a time use a folder.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// A file in the making. Until commit() returns, `path` holds what it held before; after an error of commit() it holds
/// the old or the new content, whole. The temporary `path.tmp-PID-NUMBER` is removed on every way out. Not thread-safe.
class AtomicFile {
 public:
  /// `bytes`: what the file will take, for the message of a full disk. Throws Error{io_error | not_found, IO}.
  explicit AtomicFile(std::string path, std::int64_t bytes = 0);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, std::int64_t bytes);  ///< appends; throws Error{io_error, IO}
  void commit();                                     ///< once; throws Error{io_error, IO}

 private:
  std::string path_, temporary_;
  int fd_ = -1;
  std::int64_t bytes_, written_ = 0;
};

/// AtomicFile in one call.
void write_file_atomic(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomic(const std::string& path, std::string_view bytes);

/// Creates the folder and those above it, durably. One that exists is fine. Throws Error{io_error, IO}.
void make_directories(const std::string& path);

/// A folder's files in the making: written into path(), a folder within the one they are for, which is created where
/// it is not there. Destroyed before commit(), everything is again as it was. Not thread-safe.
class StagedFolder {
 public:
  /// Throws Error{io_error, IO}.
  explicit StagedFolder(std::string folder);
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  ~StagedFolder();

  const std::string& path() const noexcept { return path_; }

  /// Moves the files to their folder, over those of the same name. `last` is removed there first and comes last: a
  /// crash between leaves a folder without it, never one of two halves. Once; throws Error{io_error, IO}.
  void commit(std::string_view last);

 private:
  void discard() noexcept;

  std::string folder_, path_;
  bool created_;
};

/// Removes a file, or a folder with all in it; symbolic links are removed, not followed. Nothing there is fine. A folder
/// goes by its name at once: a crash leaves the whole of it, or `path.tmp-PID-NUMBER`.
/// Throws Error{io_error, IO}.
void remove_tree(const std::string& path);

/// Holds `folder/.lock` until it is destroyed. Works between processes and within one; the kernel frees it when the
/// holder dies, so no lock is ever stale. The child of a fork() shares it.
class DirectoryLock {
 public:
  /// Throws Error{busy} that names the holder as host:pid, Error{io_error | not_found, IO}.
  explicit DirectoryLock(const std::string& folder);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock();

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace ftlib
