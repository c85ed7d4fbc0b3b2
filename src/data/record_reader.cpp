// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ftlib/core/digest.h"
#include "ftlib/data/record.h"
#include "ftlib/io/file.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::size_t kMaxLine = std::size_t{16} << 20, kPiece = std::size_t{256} << 10;

struct Magic {
  std::string_view bytes, what;
};
constexpr Magic kForeign[] = {{"\x1f\x8b", "gzip; unpack it with gunzip"},
                              {"PK\x03\x04", "a zip archive; unpack it"},
                              {"\x28\xb5\x2f\xfd", "zstd; unpack it with unzstd"},
                              {"\xfd" "7zXZ", "xz; unpack it with unxz"},
                              {"BZh", "bzip2; unpack it with bunzip2"},
                              {"PAR1", "a Parquet file; convert it to JSON lines"},
                              {"ARROW1", "an Arrow file; convert it to JSON lines"},
                              {"\x80\x02", "a Python pickle, which is never read; convert it to JSON lines"},
                              {"\x80\x03", "a Python pickle, which is never read; convert it to JSON lines"},
                              {"\x80\x04", "a Python pickle, which is never read; convert it to JSON lines"},
                              {"\x80\x05", "a Python pickle, which is never read; convert it to JSON lines"}};

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

}  // namespace

struct RecordReader::Impl {
  InputFile file;
  Sha256 hash;
  FileFingerprint fingerprint;
  std::string buffer, digest;  // buffer: read and not yet handed out, from `begin`
  std::size_t begin = 0;
  std::int64_t offset = 0, line = 0, count = 0;

  explicit Impl(const std::string& path) : file(path), fingerprint(file) {
    refill();
    check_begin();
  }

  void refill() {
    buffer.erase(0, begin);
    begin = 0;
    const auto size = std::min(static_cast<std::int64_t>(kPiece), file.size() - offset);
    const std::size_t old = buffer.size();
    buffer.resize(old + static_cast<std::size_t>(size));
    file.read(offset, buffer.data() + old, size);
    hash.update(buffer.data() + old, static_cast<std::size_t>(size));
    fingerprint.update(buffer.data() + old, static_cast<std::size_t>(size));
    offset += size;
  }

  void check_begin() {
    for (const Magic& magic : kForeign)
      FT_CHECK_FILE(!buffer.starts_with(magic.bytes), magic, file.path(), ": want JSON lines, this looks like ",
                    magic.what);
    FT_CHECK_FILE(!buffer.starts_with("\xFF\xFE") && !buffer.starts_with("\xFE\xFF"), utf8, file.path(),
                  ":1:1: is UTF-16; save it as UTF-8");
    if (buffer.starts_with("\xEF\xBB\xBF")) begin = 3;
  }

  /// The next line without its end; false at the end of the file.
  bool take_line(std::string_view& text) {
    std::size_t searched = begin;
    for (;;) {
      const std::size_t end = buffer.find('\n', searched);
      const std::size_t size = std::min(end, buffer.size()) - begin;
      FT_CHECK_FILE(size <= kMaxLine, limit, file.path(), ":", line + 1, ":1: a line of more than ", kMaxLine,
                    " bytes");
      if (end != buffer.npos || offset == file.size()) {
        const bool last = end == buffer.npos;
        if (last && size == 0) return false;
        text = std::string_view(buffer).substr(begin, size);
        begin += size + (last ? 0 : 1);
        ++line;
        return true;
      }
      searched = buffer.size() - begin;
      refill();
    }
  }

  void finish() {
    if (!digest.empty()) return;
    FT_CHECK_FILE(file_stamp(file.path()) == file.stamp(), changed, file.path(), ": changed while it was read");
    FT_CHECK_FILE(count > 0, schema, file.path(), ": has no record");
    digest = hash.hex();
  }
};

RecordReader::RecordReader(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
RecordReader::RecordReader(RecordReader&&) noexcept = default;
RecordReader& RecordReader::operator=(RecordReader&&) noexcept = default;
RecordReader::~RecordReader() = default;

std::optional<Record> RecordReader::next() {
  std::string_view text;
  while (impl_->take_line(text)) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (is_blank(text)) continue;
    Record record = parse_record(text, impl_->file.path(), impl_->line);
    ++impl_->count;
    return record;
  }
  impl_->finish();
  return std::nullopt;
}

std::int64_t RecordReader::count() const noexcept { return impl_->count; }
const std::string& RecordReader::digest() const noexcept { return impl_->digest; }
const FileFingerprint& RecordReader::fingerprint() const noexcept { return impl_->fingerprint; }

RecordFile read_records(const std::string& path) {
  RecordReader reader(path);
  RecordFile file;
  while (std::optional<Record> record = reader.next()) file.records.push_back(std::move(*record));
  file.digest = reader.digest();
  file.fingerprint = reader.fingerprint();
  return file;
}

}  // namespace ftlib
