// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "ftlib/core/digest.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/track/journal.h"
#include "io/sys.h"
#include "temporary_folder.h"

using namespace ftlib;

namespace {

Json step_fields(int step) { return Json(Json::Object{{"step", step}, {"loss", 3.5 / step}}); }

/// Line 0 and `steps` steps.
std::string sample(const std::string& path, int steps = 3) {
  Journal journal = Journal::create(path);
  for (int step = 1; step <= steps; ++step) journal.append("step", step_fields(step));
  return read_file(path);
}

std::string sealed(const std::string& body) {
  std::string crc = "00000000";
  std::uint32_t value = crc32c(body.data(), body.size());
  for (std::size_t i = 8; i-- > 0; value >>= 4) crc[i] = "0123456789abcdef"[value & 15];
  return body + ",\"crc\":\"" + crc + "\"}\n";
}

std::int64_t good_lines(const std::string& path) {
  JournalReader reader(path);
  while (reader.next()) {
  }
  return reader.lines();
}

/// Fails chosen calls: the ones from `first` on, `count` of them, each counted by kind.
struct Faults {
  static inline int first = -1, count = 1, seen = 0, error = 0;
  static inline bool short_writes = false;
  static inline sys::Calls table = sys::kSystem;
  static bool hit() {
    const int index = seen++;
    if (first < 0 || index < first || index >= first + count) return false;
    errno = error;
    return true;
  }
  Faults(int at, int how_many, int code) {
    first = at, count = how_many, seen = 0, error = code, short_writes = false;
    table = sys::kSystem;
    table.write = [](int fd, const void* data, std::size_t bytes) -> ssize_t {
      if (!hit()) return sys::kSystem.write(fd, data, short_writes && bytes > 7 ? 7 : bytes);
      if (error == ENOSPC && bytes > 5) static_cast<void>(sys::kSystem.write(fd, data, 5));
      errno = error;
      return -1;
    };
    table.fsync = [](int fd) { return hit() ? -1 : sys::kSystem.fsync(fd); };
    table.ftruncate = [](int fd, off_t bytes) { return hit() ? -1 : sys::kSystem.ftruncate(fd, bytes); };
    table.open = [](const char* path, int flags, mode_t mode) {
      return hit() ? -1 : sys::kSystem.open(path, flags, mode);
    };
    sys::replace_calls(&table);
  }
  ~Faults() { sys::replace_calls(nullptr); }
};

}  // namespace

TEST_CASE("a journal gives back its events in order, numbers exact, format first") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  sample(path);
  const auto events = read_journal(path);
  REQUIRE(events.size() == 4);
  CHECK(events[0].at("event", "").as_string("") == "journal");
  CHECK(events[0].at("format", "").as_integer("") == kJournalFormat);
  CHECK(events[3].at("seq", "").as_integer("") == 3);
  CHECK(events[3].at("loss", "").as_number("") == 3.5 / 3);
  CHECK(events[3].at("time_ms", "").as_integer("") > 1700000000000);
}

TEST_CASE("a journal's line is what its header says, byte by byte") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  const std::string text = sample(path, 1);
  const std::string line = text.substr(text.find('\n') + 1);
  CHECK(line.starts_with("{\"seq\":1,\"event\":\"step\",\"time_ms\":"));
  CHECK(line == sealed(line.substr(0, line.find(",\"crc\":"))));
}

TEST_CASE("create refuses an existing journal, fields may not use the journal's own names") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  sample(path);
  CHECK_THROWS_WITH_AS(Journal::create(path), doctest::Contains("File exists"), Error);
  Journal journal = Journal::resume(path);
  CHECK_THROWS_WITH_AS(journal.append("x", Json(Json::Object{{"crc", 1}})),
                       "[journal] the member \"crc\" is the journal's own", Error);
  CHECK(journal.lines() == 4);
  CHECK(journal.cut().why.empty());
}

TEST_CASE("cut at any byte, a journal keeps its whole lines and goes on behind them") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  const std::string text = sample(path);
  for (std::size_t bytes = 0; bytes <= text.size(); ++bytes) {
    const std::string torn = text.substr(0, bytes);
    write_file_atomic(path, std::string_view(torn));
    const auto whole = std::count(torn.begin(), torn.end(), '\n');
    const bool clean = torn.empty() || torn.ends_with('\n');
    {
      Journal journal = Journal::resume(path);
      CHECK(journal.lines() == std::max<std::int64_t>(whole, 1));
      CHECK(journal.cut().lines == (clean ? 0 : 1));
      CHECK(journal.cut().why == (clean ? "" : "the last line is unfinished"));
      CHECK(journal.cut().bytes == static_cast<std::int64_t>(torn.size() - (torn.rfind('\n') + 1)));
      journal.append("end");
    }
    CHECK(read_journal(path).back().at("event", "").as_string("") == "end");
    CHECK(good_lines(path) == std::max<std::int64_t>(whole, 1) + 1);
  }
}

TEST_CASE("every flipped bit is noticed: the line that has it and what follows are cut off") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  const std::string text = sample(path);
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    std::ofstream(path, std::ios::binary) << flipped;
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bit / 8), '\n');
    JournalReader reader(path);
    while (reader.next()) {
    }
    CHECK(reader.lines() == line);
    CHECK(!reader.damage().empty());
  }
}

TEST_CASE("damage among lines that were safe on the disk is refused, and nothing is cut") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  std::string text = sample(path);
  text[text.find("\"loss\"") + 1] = 'L';
  write_file_atomic(path, std::string_view(text));
  CHECK_THROWS_WITH_AS(Journal::resume(path, 2), doctest::Contains("line 2 (byte"), Error);
  CHECK(read_file(path) == text);
  const Journal journal = Journal::resume(path, 1);
  CHECK(journal.lines() == 1);
  CHECK(journal.cut().lines == 3);
  CHECK(journal.cut().why == "the checksum is wrong");
}

TEST_CASE("a missing line, a newer format and a file that is no journal are refused by name") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  const std::string text = sample(path);
  const std::size_t second = text.find('\n') + 1, third = text.find('\n', second) + 1;
  write_file_atomic(path, std::string_view(text.substr(0, second) + text.substr(third)));
  CHECK_THROWS_WITH_AS(Journal::resume(path), doctest::Contains("seq, got 2, want 1: lines are missing"), Error);
  CHECK_THROWS_AS(read_journal(path), Error);
  write_file_atomic(path, std::string_view(sealed(R"({"seq":0,"event":"journal","time_ms":1,"format":2)")));
  CHECK_THROWS_WITH_AS(Journal::resume(path), doctest::Contains("journal format 2 is newer than 1"), Error);
  write_file_atomic(path, std::string_view(sealed(R"({"seq":0,"event":"step","time_ms":1)")));
  CHECK_THROWS_WITH_AS(Journal::resume(path), doctest::Contains("want the event \"journal\", got \"step\""), Error);
  write_file_atomic(path, std::string_view(text + sealed(R"({"seq":4,"event":"step","x":)")));
  CHECK_THROWS_WITH_AS(read_journal(path), doctest::Contains("line 5 (byte"), Error);
  CHECK_THROWS_AS(Journal::resume(folder.path()), Error);
}

TEST_CASE("a resume takes back the later steps before it and nothing else") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  sample(path, 5);
  {
    Journal journal = Journal::resume(path);
    journal.append("resume", Json(Json::Object{{"step", 3}}));
    journal.append("step", step_fields(4));
  }
  std::string seen;
  for (const Json& event : read_journal(path))
    seen += concat(event.at("event", "").as_string("")[0], event.at("seq", "").as_integer(""), " ");
  CHECK(seen == "j0 s1 s2 s3 r6 s7 ");
  CHECK(good_lines(path) == 8);
}

TEST_CASE("a fault at any call leaves the journal whole and usable, and what was synced stays") {
  for (const int error : {ENOSPC, EIO, EINTR})
    for (const int many : {1, 3})
      for (int at = 0; at < 24; ++at) {
        TemporaryFolder folder;
        const std::string path = folder / "journal.jsonl";
        Journal journal = Journal::create(path);
        std::int64_t appended = 1;
        {
          Faults faults(at, many, error);
          Faults::short_writes = at % 2 == 1;
          for (int step = 1; step <= 6; ++step) {
            try {
              journal.append("step", step_fields(step));
              ++appended;
              journal.sync();
            } catch (const Error& failure) {
              CHECK(error != EINTR);
              CHECK(failure.status() == Status::io_error);
            }
          }
        }
        journal.append("end");
        journal.sync();
        CHECK(journal.lines() == appended + 1);
        CHECK(good_lines(path) == appended + 1);
        JournalReader reader(path);
        while (reader.next()) {
        }
        CHECK(reader.damage().empty());
      }
}

TEST_CASE("after a failed sync the lines since the last good one are written anew") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  Journal journal = Journal::create(path);
  journal.sync();
  journal.append("step", step_fields(1));
  {
    Faults faults(0, 1, EIO);
    CHECK_THROWS_AS(journal.sync(), Error);
  }
  const std::string text = read_file(path);
  std::string lost = text;
  std::fill(lost.begin() + static_cast<std::ptrdiff_t>(text.find('\n')) + 1, lost.end(), '\0');
  std::ofstream(path, std::ios::binary | std::ios::in) << lost;  // what a kernel that dropped the page may show
  CHECK(good_lines(path) == 1);
  journal.sync();
  CHECK(read_file(path) == text);
}

TEST_CASE("a journal larger than the reader's pieces is read whole") {
  TemporaryFolder folder;
  const std::string path = folder / "journal.jsonl";
  {
    Journal journal = Journal::create(path);
    for (int i = 0; i < 30; ++i)
      journal.append("text", Json(Json::Object{{"value", std::string(static_cast<std::size_t>(i) * 9973, 'x')}}));
    CHECK_THROWS_WITH_AS(journal.append("text", Json(Json::Object{{"value", std::string(17 << 20, 'x')}})),
                         doctest::Contains("the limit is 16777216"), Error);
  }
  CHECK(read_journal(path).size() == 31);
}
