// SPDX-License-Identifier: Apache-2.0
// Reading a file that somebody else may own: only regular files, never mapped, the size fixed when it is opened.
// A file that shrinks meanwhile is an error value, not a SIGBUS; a FIFO or a device is refused at once, not waited for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// Whether a file is still the one that was seen before.
struct FileStamp {
  std::int64_t bytes = 0;
  std::int64_t modified_ns = 0;  ///< since the epoch
  std::uint64_t inode = 0, device = 0;
  bool operator==(const FileStamp&) const = default;
};

enum class Symlinks { follow, refuse };  ///< of the last component of the path

/// A regular file, open for reading until it is destroyed, or one that lies in memory. Move-only; read() may be called
/// from several threads at once.
class InputFile {
 public:
  /// Throws Error{not_found, IO} when there is no such file and Error{io_error, IO} when it is not a regular file or
  /// the system refuses it.
  explicit InputFile(std::string path, Symlinks symlinks = Symlinks::follow);
  /// The same interface for bytes that are in memory and outlive this object; `name` begins errors.
  InputFile(std::string name, std::span<const std::byte> content);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  const std::string& path() const noexcept { return path_; }
  std::int64_t size() const noexcept { return stamp_.bytes; }  ///< bytes, at open
  const FileStamp& stamp() const noexcept { return stamp_; }   ///< at open

  /// Copies bytes [offset, offset + bytes) to `out`. Throws Error{invalid_file, TRUNC} when the range does not lie in
  /// the file, CHANGED when the file has become shorter since it was opened, Error{io_error, IO} for the rest.
  void read(std::int64_t offset, void* out, std::int64_t bytes) const;

 private:
  std::string path_;
  int fd_ = -1;
  const std::byte* content_ = nullptr;  ///< in memory; null: in the file
  FileStamp stamp_;
};

/// The stamp of a regular file; throws as InputFile does.
FileStamp file_stamp(const std::string& path);

/// The whole content. Throws as InputFile does, and Error{invalid_file, LIMIT} beyond `limit` bytes.
std::string read_file(const std::string& path, std::int64_t limit = std::int64_t{256} << 20,
                      Symlinks symlinks = Symlinks::follow);

}  // namespace ftlib
