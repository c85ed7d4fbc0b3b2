// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/fingerprint.h"

#include <algorithm>

#include "ftlib/core/digest.h"

namespace ftlib::inline FTLIB_ABI {

void FileFingerprint::update(const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  bytes_ += static_cast<std::int64_t>(bytes);
  while (bytes > 0) {
    const std::size_t take = std::min(bytes, kBlock - partial_.size());
    partial_.append(next, take);
    next += take, bytes -= take;
    if (partial_.size() < kBlock) return;
    blocks_.push_back(crc32c(partial_.data(), kBlock));
    partial_.clear();
  }
}

void FileFingerprint::check() {
  if (path_.empty() || file_stamp(path_) == stamp_) return;
  const InputFile file(path_);
  compare(file);
  stamp_ = file.stamp();  // touched, or replaced by its equal
}

void FileFingerprint::compare(const InputFile& file) const {
  std::string piece;
  const auto differs = [&](std::int64_t at) {
    const auto block = static_cast<std::size_t>(at) / kBlock;
    return block < blocks_.size() ? crc32c(piece.data(), piece.size()) != blocks_[block] : piece != partial_;
  };
  const std::int64_t common = std::min(file.size(), bytes_);
  for (std::int64_t at = 0; at < common; at += kBlock) {
    const std::int64_t whole = std::min<std::int64_t>(kBlock, bytes_ - at);
    if (at + whole > file.size()) break;  // cut inside this block: the lengths tell
    piece.resize(static_cast<std::size_t>(whole));
    file.read(at, piece.data(), whole);
    FT_CHECK_FILE(!differs(at), changed, path_, ": byte ", at, ": changed since it was read");
  }
  FT_CHECK_FILE(file.size() == bytes_, changed, path_, ": byte ", common, ": had ", bytes_,
                " bytes when it was read, has ", file.size());
}

}  // namespace ftlib
