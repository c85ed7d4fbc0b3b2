// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ftlib/core/digest.h"
#include "ftlib/track/journal.h"
#include "track/journal_line.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kPiece = std::int64_t{1} << 20;

bool supersedes(const Json& event, std::int64_t& step) {
  const Json *name = event.find("event"), *value = event.find("step");
  if (*name != Json("resume") || value == nullptr || !value->is_integer()) return false;
  step = value->as_integer("step");
  return true;
}

}  // namespace

std::string journal_tail(std::string_view body) {
  const std::uint32_t crc = crc32c(body.data(), body.size());
  std::string tail = ",\"crc\":\"";
  for (int shift = 28; shift >= 0; shift -= 4) tail += "0123456789abcdef"[(crc >> shift) & 15];
  return tail + "\"}\n";
}

JournalReader::JournalReader(std::string path) : file_(std::move(path)) {}

/// Loads more of the file behind what is not used yet; false at its end.
bool JournalReader::refill() {
  const std::int64_t piece = std::min(kPiece, file_.size() - loaded_);
  if (piece == 0) return false;
  buffer_.erase(0, used_);
  used_ = 0;
  const std::size_t kept = buffer_.size();
  buffer_.resize(kept + static_cast<std::size_t>(piece));
  file_.read(loaded_, buffer_.data() + kept, piece);
  loaded_ += piece;
  return true;
}

/// The next whole line without its line feed, once its CRC and its place are right.
std::optional<std::string_view> JournalReader::next_line() {
  if (!damage_.empty()) return std::nullopt;
  std::size_t end = buffer_.find('\n', used_);
  while (end == buffer_.npos && buffer_.size() - used_ <= kJournalLineBytes) {
    const std::size_t searched = buffer_.size() - used_;
    if (!refill()) break;
    end = buffer_.find('\n', used_ + searched);
  }
  if (used_ == buffer_.size()) return std::nullopt;
  if (end == buffer_.npos || end - used_ >= kJournalLineBytes) {
    damage_ = end == buffer_.npos && loaded_ == file_.size() ? "the last line is unfinished" : "the line is too long";
    return std::nullopt;
  }
  const std::string_view line(buffer_.data() + used_, end + 1 - used_);
  const std::string_view body = line.substr(0, line.size() - std::min(line.size(), kJournalTailBytes));
  if (line.substr(body.size()) != journal_tail(body)) {
    damage_ = "the checksum is wrong";
    return std::nullopt;
  }
  check_place(line);
  used_ = end + 1;
  bytes_ += static_cast<std::int64_t>(line.size());
  ++lines_;
  return line.substr(0, line.size() - 1);
}

void JournalReader::check_place(std::string_view line) const {
  const std::string where = concat(file_.path(), ": line ", lines_ + 1, " (byte ", bytes_, ")");
  if (lines_ > 0 && line.starts_with(concat("{\"seq\":", lines_, ",\"event\":\""))) return;
  const Json event = parse_json(line.substr(0, line.size() - 1), where);
  const std::int64_t seq = event.at("seq", where).as_integer(where + ": seq");
  FT_CHECK_FILE(seq == lines_, layout, where, ": seq, got ", seq, ", want ", lines_,
                ": lines are missing, or of another journal");
  const std::string& name = event.at("event", where).as_string(where + ": event");
  if (lines_ > 0) return;
  FT_CHECK_FILE(name == "journal", schema, where, ": want the event \"journal\", got \"", excerpt(name), "\"");
  const std::int64_t format = event.at("format", where).as_integer(where + ": format");
  FT_CHECK_FILE(format <= kJournalFormat, version, where, ": journal format ", format, " is newer than ",
                kJournalFormat, ", the newest that ftlib " FTLIB_VERSION " reads; upgrade ftlib");
  FT_CHECK_FILE(format >= 1, range, where, ": format, got ", format, ", want 1 or more");
}

std::optional<Json> JournalReader::next() {
  const std::int64_t begin = bytes_;
  const auto line = next_line();
  if (!line) return std::nullopt;
  const std::string where = concat(file_.path(), ": line ", lines_, " (byte ", begin, ")");
  Json event = parse_json(*line, where);
  event.at("event", where).as_string(where + ": event");
  return event;
}

/// Lines that begin behind the good ones, the unfinished one included.
std::int64_t JournalReader::lines_left() {
  std::int64_t count = 0;
  bool open = false;
  do {
    for (; used_ < buffer_.size(); ++used_) {
      count += !open;
      open = buffer_[used_] != '\n';
    }
  } while (refill());
  return count;
}

std::vector<Json> read_journal(const std::string& path) {
  JournalReader reader(path);
  std::vector<Json> events;
  while (auto event = reader.next()) {
    if (std::int64_t step = 0; supersedes(*event, step))
      std::erase_if(events, [&](const Json& earlier) {
        const Json* its = earlier.find("step");
        return its != nullptr && its->is_integer() && its->as_integer("step") > step;
      });
    events.push_back(std::move(*event));
  }
  return events;
}

}  // namespace ftlib
