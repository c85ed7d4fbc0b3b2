// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/sys.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

FileStamp stamp_of(const struct stat& info) {
  return {info.st_size, info.st_mtim.tv_sec * std::int64_t{1000000000} + info.st_mtim.tv_nsec, info.st_ino,
          info.st_dev};
}

}  // namespace

// O_NONBLOCK: opening a FIFO that nobody writes to returns at once; it changes nothing for regular files.
InputFile::InputFile(std::string path, Symlinks symlinks) : path_(std::move(path)) {
  sys::Fd fd = sys::open(path_, O_RDONLY | O_NONBLOCK | (symlinks == Symlinks::refuse ? O_NOFOLLOW : 0));
  struct stat info {};
  if (sys::calls().fstat(fd.get(), &info) != 0) sys::fail(errno, path_, "cannot stat");
  if (!S_ISREG(info.st_mode))
    throw Error(Status::io_error, Reason::io, concat(path_, ": want a regular file, got ", kind_of(info.st_mode)));
  stamp_ = stamp_of(info);
  fd_ = fd.release();
}

InputFile::InputFile(std::string name, std::span<const std::byte> content)
    : path_(std::move(name)), content_(content.data()), stamp_{static_cast<std::int64_t>(content.size()), 0, 0, 0} {}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      content_(other.content_),
      stamp_(other.stamp_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(content_, other.content_);
  std::swap(stamp_, other.stamp_);
  return *this;
}

InputFile::~InputFile() { sys::Fd(fd_).reset(); }

void InputFile::read(std::int64_t offset, void* out, std::int64_t bytes) const {
  FT_CHECK_FILE(offset >= 0 && bytes >= 0 && offset <= size() && bytes <= size() - offset, trunc, path_, ": byte ",
                offset, ": want ", bytes, " bytes, the file has ", size());
  if (content_ && bytes > 0) {
    std::memcpy(out, content_ + offset, static_cast<std::size_t>(bytes));
    return;
  }
  constexpr std::int64_t kPiece = std::int64_t{1} << 30;  // Linux copies at most 2 GiB a call
  char* next = static_cast<char*>(out);
  while (bytes > 0) {
    const auto piece = static_cast<std::size_t>(std::min(bytes, kPiece));
    const ssize_t got = sys::retry([&] { return sys::calls().pread(fd_, next, piece, offset); });
    if (got < 0) sys::fail(errno, path_, concat("cannot read at byte ", offset));
    FT_CHECK_FILE(got > 0, changed, path_, ": byte ", offset, ": the file ends here now; it had ", size(),
                  " bytes when it was opened");
    next += got;
    offset += got;
    bytes -= got;
  }
}

FileStamp file_stamp(const std::string& path) { return InputFile(path).stamp(); }

std::string read_file(const std::string& path, std::int64_t limit, Symlinks symlinks) {
  const InputFile file(path, symlinks);
  FT_CHECK_FILE(file.size() <= limit, limit, path, ": ", file.size(), " bytes, the limit is ", limit);
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, text.data(), file.size());
  return text;
}

}  // namespace ftlib
