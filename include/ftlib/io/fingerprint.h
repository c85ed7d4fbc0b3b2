// SPDX-License-Identifier: Apache-2.0
// Whether a file still holds what was read from it, and if not, where it differs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ftlib/io/file.h"

namespace ftlib::inline FTLIB_ABI {

/// The content of a file as CRC-32C of every 256 bytes: 1.6 % of its size. Copyable; one thread at a time.
class FileFingerprint {
 public:
  FileFingerprint() = default;  ///< of no file: check() passes
  /// Of the content of `file`, whose pieces follow by update(), in order and without gaps.
  explicit FileFingerprint(const InputFile& file) : path_(file.path()), stamp_(file.stamp()) {}

  void update(const void* data, std::size_t bytes);

  /// One stat while nobody touched the file; else it is read again. Throws Error{invalid_file, CHANGED} with the byte
  /// from which it differs (of a changed byte, the begin of its 256), and what InputFile throws once it is gone.
  void check();

 private:
  static constexpr std::size_t kBlock = 256;

  void compare(const InputFile& file) const;

  std::string path_;
  FileStamp stamp_;
  std::int64_t bytes_ = 0;
  std::string partial_;              ///< less than a block, not yet in blocks_
  std::vector<std::uint32_t> blocks_;
};

}  // namespace ftlib
