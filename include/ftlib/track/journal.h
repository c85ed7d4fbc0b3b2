// SPDX-License-Identifier: Apache-2.0
// The run journal: everything that happened in a run, one JSON object a line, appended and never rewritten.
//
// Line n (from 0), ended by one line feed:
//   {"seq":n,"event":"step","time_ms":1767225600000,...,"crc":"e3069283"}
// `time_ms` is wall time since 1970 and only a label. `crc` is always the last member: eight lower-case hex digits of
// CRC-32C over the bytes of the line before `,"crc":`. Line 0 is the event "journal" with `format`, this file's, and
// `ftlib`, the library's version. The framing is the same in all formats; numbers that are not finite are null.
//
// An event "resume" with an integer `step` says that the run went back to that step: earlier lines with a larger `step`
// no longer count, but stay.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/io/file.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::int64_t kJournalFormat = 1;

/// Reads the good lines of a journal, front to back. Move-only; not thread-safe.
class JournalReader {
 public:
  /// Throws Error{not_found | io_error, IO}.
  explicit JournalReader(std::string path);

  /// The next event; nothing at the end, or where the file is damaged: see damage(). An unfinished last line, as a
  /// crash leaves it, is damage. Throws Error{invalid_file}: VERSION for a newer format, LAYOUT where a whole line has
  /// another `seq` than its place (lines were removed or files mixed), JSON or SCHEMA where it is no event.
  std::optional<Json> next();

  std::int64_t lines() const noexcept { return lines_; }             ///< good lines so far
  std::int64_t bytes() const noexcept { return bytes_; }             ///< that they take
  const std::string& damage() const noexcept { return damage_; }     ///< why next() ended early; else empty

 private:
  friend class Journal;
  std::optional<std::string_view> next_line();
  bool refill();
  void check_place(std::string_view line) const;
  std::int64_t lines_left();

  InputFile file_;
  std::string buffer_;
  std::size_t used_ = 0;
  std::int64_t lines_ = 0, bytes_ = 0, loaded_ = 0;
  std::string damage_;
};

/// The events in force, in order: without those that a later "resume" took back. Throws as JournalReader does.
std::vector<Json> read_journal(const std::string& path);

/// Appends to a journal. Move-only; not thread-safe; one writer a file (the trainer's lock on the folder sees to it).
class Journal {
 public:
  /// A new file with its line 0. Throws Error{io_error, IO}, also where the file exists.
  static Journal create(const std::string& path);

  /// Goes on with a journal, or creates a missing one. What follows the last good line is cut off and reported.
  /// `durable_lines`: how many lines were synced for certain (a checkpoint knows); if fewer are good, the file was
  /// damaged at rest: Error{invalid_file, CHANGED}, and nothing is cut. Throws also as JournalReader does.
  static Journal resume(const std::string& path, std::int64_t durable_lines = 0);

  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&& other) noexcept;
  ~Journal();

  /// Writes one whole line. `fields` is an object (or null) without the members seq, event, time_ms and crc. After an
  /// error the journal is as before the call and stays usable. Throws Error{invalid_argument} on those names or a line
  /// over 16 MiB, Error{io_error, IO} naming the bytes needed and free on a full disk.
  void append(std::string_view event, const Json& fields = {});

  /// Brings all lines to the disk; append() does so itself after each MiB. After a failed sync the lines since the last
  /// good one are written anew, because the kernel may have dropped them. Throws Error{io_error, IO}.
  void sync();

  std::int64_t lines() const noexcept { return lines_; }

  /// What resume() cut off.
  struct Cut {
    std::int64_t lines = 0, bytes = 0;
    std::string why;  ///< empty: nothing was cut
  };
  const Cut& cut() const noexcept { return cut_; }

 private:
  Journal(std::string path, int fd) noexcept;
  void write(std::string_view line);
  void restore();

  std::string path_;
  int fd_ = -1;
  std::int64_t lines_ = 0, bytes_ = 0, synced_bytes_ = 0;
  std::string unsynced_;                        ///< the lines since the last sync
  bool torn_ = false, doubtful_ = false;        ///< bytes beyond bytes_; lines since the last sync may be lost
  bool folder_synced_ = false;
  Cut cut_;
};

}  // namespace ftlib
