// SPDX-License-Identifier: Apache-2.0
#include "ftlib/track/journal.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "io/sys.h"
#include "track/journal_line.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kSyncBytes = std::int64_t{1} << 20;

std::int64_t unix_milliseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string body_of(std::int64_t seq, std::string_view event, const Json& fields) {
  constexpr std::string_view kOwn[] = {"seq", "event", "time_ms", "crc"};
  Json line = Json::object();
  line.append("seq", seq), line.append("event", event), line.append("time_ms", unix_milliseconds());
  if (!fields.is_null())
    for (const Json::Member& member : fields.as_object("[journal] fields")) {
      FT_CHECK(std::ranges::find(kOwn, member.first) == std::end(kOwn), invalid_argument, "[journal] the member \"",
               member.first, "\" is the journal's own");
      line.append(member.first, member.second);
    }
  std::string text = dump_json(line);
  text.pop_back();
  return text;
}

void truncate(int fd, const std::string& path, std::int64_t bytes) {
  if (sys::retry([&] { return sys::calls().ftruncate(fd, bytes); }) != 0) sys::fail(errno, path, "cannot shorten");
}

}  // namespace

Journal::Journal(std::string path, int fd) noexcept : path_(std::move(path)), fd_(fd) {}

Journal::Journal(Journal&& other) noexcept : fd_(-1) { *this = std::move(other); }

Journal& Journal::operator=(Journal&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(unsynced_, other.unsynced_);
  std::swap(cut_, other.cut_);
  lines_ = other.lines_, bytes_ = other.bytes_, synced_bytes_ = other.synced_bytes_;
  torn_ = other.torn_, doubtful_ = other.doubtful_, folder_synced_ = other.folder_synced_;
  return *this;
}

Journal::~Journal() { sys::Fd(fd_).reset(); }

Journal Journal::create(const std::string& path) {
  sys::Fd fd = sys::open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
  Journal journal(path, fd.release());
  journal.append("journal", Json(Json::Object{{"format", kJournalFormat}, {"ftlib", FTLIB_VERSION}}));
  return journal;
}

Journal Journal::resume(const std::string& path, std::int64_t durable_lines) {
  sys::Fd fd = sys::open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK);
  JournalReader reader(path);
  while (reader.next_line()) {
  }
  FT_CHECK_FILE(reader.lines() >= durable_lines, changed, path, ": line ", reader.lines() + 1, " (byte ",
                reader.bytes(), "): ", reader.damage().empty() ? "the file ends here" : reader.damage(), ", though ",
                durable_lines, " lines were safe on the disk; restore the file, or begin a new run in another folder");
  Journal journal(path, fd.release());
  journal.lines_ = reader.lines(), journal.bytes_ = journal.synced_bytes_ = reader.bytes();
  if (!reader.damage().empty()) {
    journal.cut_ = {reader.lines_left(), reader.file_.size() - reader.bytes(), reader.damage()};
    truncate(journal.fd_, path, reader.bytes());
  }
  journal.sync();
  if (journal.lines_ == 0)
    journal.append("journal", Json(Json::Object{{"format", kJournalFormat}, {"ftlib", FTLIB_VERSION}}));
  return journal;
}

void Journal::append(std::string_view event, const Json& fields) {
  const std::string body = body_of(lines_, event, fields);
  FT_CHECK(body.size() < kJournalLineBytes - kJournalTailBytes, invalid_argument, "[journal] event ", excerpt(event),
           ": a line of ", body.size(), " bytes, the limit is ", kJournalLineBytes);
  if (static_cast<std::int64_t>(unsynced_.size()) >= kSyncBytes) sync();
  restore();
  write(body + journal_tail(body));
}

void Journal::write(std::string_view line) {
  const auto bytes = static_cast<std::int64_t>(line.size());
  unsynced_.reserve(unsynced_.size() + line.size());
  torn_ = true;
  try {
    sys::write_all(fd_, path_, line.data(), bytes, bytes);
  } catch (const Error&) {
    torn_ = sys::calls().ftruncate(fd_, bytes_) != 0;
    throw;
  }
  torn_ = false;
  unsynced_ += line;
  bytes_ += bytes;
  ++lines_;
}

/// Makes the file hold what this object says it holds.
void Journal::restore() {
  if (!torn_ && !doubtful_) return;
  truncate(fd_, path_, doubtful_ ? synced_bytes_ : bytes_);
  torn_ = false;
  if (!doubtful_) return;
  const auto bytes = static_cast<std::int64_t>(unsynced_.size());
  sys::write_all(fd_, path_, unsynced_.data(), bytes, bytes);
  doubtful_ = false;
}

void Journal::sync() {
  restore();
  doubtful_ = true;
  sys::sync(fd_, path_);
  if (!folder_synced_) sys::sync_directory(sys::parent_directory(path_));
  doubtful_ = false;
  folder_synced_ = true;
  synced_bytes_ = bytes_;
  unsynced_.clear();
}

}  // namespace ftlib
