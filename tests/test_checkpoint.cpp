// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>

#include "ftlib/core/digest.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/checkpoint.h"
#include "ftlib/io/file.h"
#include "hostile.h"
#include "io_faults.h"
#include "io_trace.h"
#include "temporary_folder.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

std::string bytes_for(std::int64_t step, std::size_t count) {
  std::mt19937 bits(static_cast<unsigned>(step));
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(bits());
  return bytes;
}

Json meta_for(std::int64_t step) {
  Json meta;
  meta["position"] = step * 16;
  return meta;
}

void save(const std::string& folder, std::int64_t step, int keep = 3, std::size_t bytes = 2000) {
  const std::string adapter = bytes_for(step, bytes), optimizer = bytes_for(step + 1000, 2 * bytes);
  const CheckpointPart parts[] = {{"adapter", std::as_bytes(std::span(adapter))},
                                  {"optimizer", std::as_bytes(std::span(optimizer))},
                                  {"empty", {}}};
  save_checkpoint(folder, step, parts, meta_for(step), keep);
}

bool is_whole(const Checkpoint& c, std::size_t bytes = 2000) {
  return c.part("adapter") == bytes_for(c.step, bytes) && c.part("optimizer") == bytes_for(c.step + 1000, 2 * bytes) &&
         c.part("empty").empty() && c.meta == meta_for(c.step);
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

bool has_leftovers(const std::string& folder) {
  return std::ranges::any_of(names_in(folder), [](const std::string& name) { return name.find(".tmp-") != name.npos; });
}

/// Writes a manifest with another text and a digest that fits it.
void edit_manifest(const std::string& path, std::string_view from, std::string_view to) {
  std::string text = read_file(path);
  const std::size_t at = text.find(from);
  REQUIRE(at != text.npos);
  text.replace(at, from.size(), to);
  const std::string rest = text.substr(43);
  write_raw(path, "{\"xxh3\":\"" + xxh3_hex(rest.data(), rest.size()) + "\"," + rest);
}

/// Newest-valid of a folder with sound steps 1 and 2, where step 2 was damaged: falls back to 1 and names `part`.
void check_falls_back(const std::string& folder, std::string_view part) {
  const CheckpointSearch search = newest_valid_checkpoint(folder);
  REQUIRE(search.checkpoint);
  CHECK(search.checkpoint->step == 1);
  REQUIRE(search.skipped.size() == 1);
  CHECK(search.skipped[0].name == "step-2");
  CHECK(search.skipped[0].why.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("a checkpoint comes back as it was saved, and only the newest are kept") {
  const TemporaryFolder temporary;
  const std::string folder = temporary / "run/checkpoints";
  for (const std::int64_t step : {1, 2, 10, 9}) save(folder, step, 2);
  CHECK(checkpoint_steps(folder) == std::vector<std::int64_t>{10, 9});
  CHECK(names_in(folder) == std::vector<std::string>{"step-10", "step-9"});
  const CheckpointSearch search = newest_valid_checkpoint(folder);
  REQUIRE(search.checkpoint);
  CHECK(search.checkpoint->step == 10);
  CHECK(is_whole(*search.checkpoint));
  CHECK(search.checkpoint->library == FTLIB_VERSION);
  CHECK(search.skipped.empty());
  CHECK_THROWS_WITH_AS(search.checkpoint->part("rng"), "checkpoint of step 10: part rng is missing", Error);
}

TEST_CASE("the committed checkpoint of format 1 is read by every later build") {
  const Checkpoint c = load_checkpoint(FTLIB_TESTS_DIR "/formats/v1/checkpoint", 3);
  CHECK(dump_json(c.meta) == R"({"run":"sample","position":48,"seed":9007199254740993,"lr":0.0002})");
  REQUIRE(c.parts.size() == 2);
  for (std::size_t i = 0; i < 64; ++i) {
    CHECK(c.part("adapter")[i] == static_cast<char>(i * 7));
    CHECK(c.part("optimizer")[i] == static_cast<char>(i * 11));
  }
}

TEST_CASE("no folder is no checkpoint") {
  const CheckpointSearch search = newest_valid_checkpoint("/nonexistent/checkpoints");
  CHECK_FALSE(search.checkpoint);
  CHECK(search.skipped.empty());
}

TEST_CASE("the checkpoint just saved is kept even when older ones have larger numbers") {
  const TemporaryFolder temporary;
  for (const std::int64_t step : {12, 11}) save(temporary.path(), step, 1);
  CHECK(checkpoint_steps(temporary.path()) == std::vector<std::int64_t>{11});
}

TEST_CASE("saving a step again replaces its checkpoint") {
  const TemporaryFolder temporary;
  save(temporary.path(), 2, 3, 100);
  write_raw(temporary / "step-2/adapter", "rot");
  save(temporary.path(), 2, 3, 200);
  CHECK(is_whole(load_checkpoint(temporary.path(), 2), 200));
  CHECK(names_in(temporary.path()) == std::vector<std::string>{"step-2"});
}

TEST_CASE("save_checkpoint refuses names and numbers that cannot be") {
  const TemporaryFolder temporary;
  const CheckpointPart odd[] = {{"../x", {}}}, twice[] = {{"a", {}}, {"a", {}}}, reserved[] = {{"manifest.json", {}}};
  CHECK_THROWS_AS(save_checkpoint(temporary.path(), 1, odd, {}, 1), Error);
  CHECK_THROWS_WITH_AS(save_checkpoint(temporary.path(), 1, twice, {}, 1), "[save_checkpoint] part a twice", Error);
  CHECK_THROWS_AS(save_checkpoint(temporary.path(), 1, reserved, {}, 1), Error);
  CHECK_THROWS_AS(save_checkpoint(temporary.path(), -1, {}, {}, 1), Error);
  CHECK_THROWS_AS(save_checkpoint(temporary.path(), 1, {}, {}, 0), Error);
  CHECK(names_in(temporary.path()).empty());
}

TEST_CASE("a damaged checkpoint is skipped with the part that is damaged") {
  const TemporaryFolder temporary;
  const std::string& folder = temporary.path();
  save(folder, 1);
  for (const std::string part : {"adapter", "optimizer", "manifest.json"}) {
    CAPTURE(part);
    const std::string path = temporary / ("step-2/" + part);
    const auto damage = [&](const auto& how) {
      save(folder, 2);
      how(read_file(path));
      check_falls_back(folder, "step-2/" + part);
    };
    damage([&](const std::string&) { fs::remove(path); });
    damage([&](const std::string& bytes) { write_raw(path, bytes.substr(1)); });
    damage([&](const std::string& bytes) { write_raw(path, bytes + "x"); });
    damage([&](const std::string&) { write_raw(path, ""); });
    damage([&](const std::string& bytes) { write_raw(path, std::string(bytes.size(), '\0')); });
    damage([&](const std::string& bytes) {
      fs::remove(path), write_raw(temporary / "elsewhere", bytes), fs::create_symlink("../elsewhere", path);
    });
    damage([&](const std::string&) { fs::remove(path), fs::create_directory(path); });
    fs::remove(temporary / "elsewhere");
  }
}

TEST_CASE("every flipped bit of a checkpoint is found") {
  const TemporaryFolder temporary;
  save(temporary.path(), 1);
  save(temporary.path(), 2, 3, 300);
  for (const std::string part : {"manifest.json", "adapter", "optimizer"}) {
    const std::string path = temporary / ("step-2/" + part), good = read_file(path);
    for (std::size_t bit = 0; bit < good.size() * 8; bit += part == "manifest.json" ? 1 : 7) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      write_raw(path, bad);
      try {
        load_checkpoint(temporary.path(), 2);
        FAIL("bit ", bit, " of ", part, " was not noticed");
      } catch (const Error& error) {
        if (std::string_view(error.what()).find(part) == std::string::npos) FAIL(part, " is not in ", error.what());
      }
    }
    write_raw(path, good);
  }
  CHECK(is_whole(load_checkpoint(temporary.path(), 2), 300));
}

TEST_CASE("parts of two checkpoints are not mixed") {
  const TemporaryFolder temporary;
  save(temporary.path(), 1);
  save(temporary.path(), 2);
  fs::copy_file(temporary / "step-1/optimizer", temporary / "step-2/optimizer", fs::copy_options::overwrite_existing);
  check_falls_back(temporary.path(), "step-2/optimizer");
  fs::remove_all(temporary / "step-2");
  fs::copy(temporary / "step-1", temporary / "step-2", fs::copy_options::recursive);
  check_falls_back(temporary.path(), "is of step 1, want step 2");
}

TEST_CASE("a checkpoint of a newer format is refused by name, not passed over") {
  const TemporaryFolder temporary;
  save(temporary.path(), 1);
  save(temporary.path(), 2);
  edit_manifest(temporary / "step-2/manifest.json", "\"version\":1,\"library\":\"" FTLIB_VERSION "\"",
                "\"version\":2,\"library\":\"9.9.0\"");
  const std::string want = temporary / "step-2/manifest.json" +
                           ": checkpoint format version 2 of ftlib 9.9.0; this build, ftlib " FTLIB_VERSION
                           ", reads version 1; use the newer program";
  CHECK_THROWS_WITH_AS(newest_valid_checkpoint(temporary.path()), want.c_str(), Error);
}

TEST_CASE("a manifest that was forged with a fitting digest is still checked") {
  const TemporaryFolder temporary;
  save(temporary.path(), 1);
  const auto forged = [&](std::string_view from, std::string_view to, std::string_view message) {
    save(temporary.path(), 2);
    edit_manifest(temporary / "step-2/manifest.json", from, to);
    check_falls_back(temporary.path(), message);
  };
  forged("\"adapter\"", "\"../step-1/adapter\"", "not a name for a part");
  forged("\"bytes\":2000", "\"bytes\":-1", "2000 bytes, want -1");
  forged("\"bytes\":2000", "\"bytes\":9223372036854775807", "2000 bytes, want 9223372036854775807");
  forged("\"step\":2", "\"step\":2,\"step\":2", "appears twice");
  forged("\"parts\":[", "\"parts\":[3,", "want an object, got number");
}

TEST_CASE("a symbolic link is not taken for a checkpoint") {
  const TemporaryFolder temporary, elsewhere;
  save(temporary.path(), 1);
  save(elsewhere.path(), 2);
  fs::create_directory_symlink(elsewhere / "step-2", temporary / "step-2");
  check_falls_back(temporary.path(), "symbolic link");
  save(temporary.path(), 2);
  CHECK(is_whole(load_checkpoint(elsewhere.path(), 2)));
  CHECK(is_whole(load_checkpoint(temporary.path(), 2)));
  CHECK_FALSE(has_leftovers(temporary.path()));
}

TEST_CASE("what a killed saver leaves is no checkpoint and goes with the next save") {
  const TemporaryFolder temporary;
  save(temporary.path(), 1);
  fs::copy(temporary / "step-1", temporary / "step-7.tmp-1-1", fs::copy_options::recursive);
  for (const char* name : {"step-", "step--1", "step-01", "step-1x", "step-99999999999999999999"})
    fs::create_directory(temporary / name);
  CHECK(newest_valid_checkpoint(temporary.path()).checkpoint->step == 1);
  CHECK(checkpoint_steps(temporary.path()) == std::vector<std::int64_t>{1});
  save(temporary.path(), 2);
  CHECK_FALSE(fs::exists(temporary / "step-7.tmp-1-1"));
  CHECK(fs::exists(temporary / "step-1x"));
}

TEST_CASE("one saver at a time") {
  const TemporaryFolder temporary;
  const DirectoryLock lock(temporary.path());
  try {
    save(temporary.path(), 1);
    FAIL("saved under another's lock");
  } catch (const Error& error) {
    CHECK(error.status() == Status::busy);
    CHECK(std::string_view(error.what()).ends_with(concat(":", ::getpid())));
  }
}

TEST_CASE("a folder that cannot be written says so") {
  CHECK_THROWS_AS(save("/proc/ftlib", 1), Error);
  const TemporaryFolder temporary;
  write_raw(temporary / "file", "");
  CHECK_THROWS_AS(save(temporary / "file", 1), Error);
}

TEST_CASE("whichever call to the system fails, a save is whole or leaves no trace") {
  for (const IoFault fault : kIoFaults)
    for (const bool sticky : {false, true})
      for (const std::int64_t step : {3, 2}) {  // a new checkpoint; one that replaces another
        bool struck = true;
        for (int k = 0; struck && k < 400; ++k) {
          const TemporaryFolder temporary;
          const std::string folder = temporary / "checkpoints";
          {
            const IoFaults none(fault, IoFaults::kNever, false);
            save(folder, 1), save(folder, 2);
          }
          INFO(
              concat("fault ", static_cast<int>(fault), sticky ? " sticky" : " once", " at call ", k, ", step ", step));
          const std::ptrdiff_t before = open_files();
          bool saved = true;
          std::string message;
          {
            const IoFaults faults(fault, k, sticky);
            try {
              save(folder, step, 2, 500);
            } catch (const Error& error) {
              saved = false;
              message = error.what();
            }
            struck = faults.struck();
          }
          CHECK(open_files() == before);
          const CheckpointSearch search = newest_valid_checkpoint(folder);
          REQUIRE(search.checkpoint);
          CHECK(search.skipped.empty());
          CHECK(search.checkpoint->step >= 2);
          if (saved)
            CHECK(is_whole(load_checkpoint(folder, step), 500));
          else if (step == 3)
            CHECK(is_whole(load_checkpoint(folder, 2)));
          if (!saved) CHECK(is_whole(load_checkpoint(folder, 1)));
          if (!saved && fault == IoFault::no_space) CHECK(message.find(" bytes are free") != message.npos);
          if (fault == IoFault::short_write || (fault == IoFault::interrupted && !sticky)) CHECK(saved);
          if (fault != IoFault::io_error) CHECK_FALSE(has_leftovers(folder));
          const IoFaults none(fault, IoFaults::kNever, false);
          save(folder, 4, 1);
          CHECK(names_in(folder) == std::vector<std::string>{"step-4"});
        }
        CHECK_FALSE(struck);
      }
}

TEST_CASE("every byte is on the disk before the name is, and the name before anything old goes") {
  const TemporaryFolder temporary;
  save(temporary.path(), 1);
  save(temporary.path(), 2);
  std::vector<std::string> calls;
  {
    const IoTrace trace(temporary.path(), calls);
    save(temporary.path(), 3, 2);
  }
  const auto at = [&](std::string_view call) {
    const auto found = std::ranges::find(calls, call);
    INFO(call);
    REQUIRE(found != calls.end());
    return found - calls.begin();
  };
  const auto renamed = at("rename step-3.tmp step-3");
  for (const std::string part : {"adapter", "optimizer", "manifest.json"}) {
    CHECK(at("write step-3.tmp/" + part) < at("fsync step-3.tmp/" + part));
    CHECK(at("fsync step-3.tmp/" + part) < at("fsync step-3.tmp"));
  }
  CHECK(at("fsync step-3.tmp") < renamed);
  CHECK(at("pread step-3.tmp/optimizer") < renamed);
  CHECK(renamed < at("fsync ."));
  CHECK(at("fsync .") < at("rename step-1 step-1.tmp"));
  CHECK(std::ranges::count(calls, "fsync .") == 1);
}

TEST_CASE("a saver killed at any moment has lost nothing that it had acknowledged") {
  std::mt19937 bits(20);
  const TemporaryFolder temporary;
  const auto begin = std::chrono::steady_clock::now();
  save(temporary.path(), 1, 2);
  const auto save_us =
      static_cast<unsigned>(1 + (std::chrono::steady_clock::now() - begin) / std::chrono::microseconds(1));
  std::int64_t first = 2;
  for (int round = 0; round < 20; ++round) {
    int acknowledged[2];
    REQUIRE(::pipe(acknowledged) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      for (std::int64_t step = first;; ++step) {
        try {
          save(temporary.path(), step, 2);
        } catch (...) {
          ::_exit(1);
        }
        if (::write(acknowledged[1], &step, sizeof step) != sizeof step) ::_exit(1);
      }
    }
    ::close(acknowledged[1]);
    std::int64_t last = first - 1, step = 0;
    const auto acknowledge = [&] {
      if (::read(acknowledged[0], &step, sizeof step) != sizeof step) return false;
      last = step;
      return true;
    };
    if (round % 2 == 0) REQUIRE(acknowledge());
    ::usleep(static_cast<useconds_t>(bits() % (2 * save_us)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    while (acknowledge()) {
    }
    ::close(acknowledged[0]);
    const CheckpointSearch search = newest_valid_checkpoint(temporary.path());
    const std::int64_t found = search.checkpoint ? search.checkpoint->step : 0;
    CHECK(found >= last);
    CHECK(found <= last + 1);
    CHECK(search.skipped.empty());
    if (search.checkpoint) CHECK(is_whole(*search.checkpoint));
    first = found + 1;
  }
  CHECK(first > 11);
  save(temporary.path(), first, 2);
  CHECK_FALSE(has_leftovers(temporary.path()));
}
