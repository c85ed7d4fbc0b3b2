// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "ftlib/io/atomic_file.h"
#include "ftlib/io/file.h"
#include "ftlib/io/safetensors.h"
#include "hostile.h"
#include "io_faults.h"
#include "io_trace.h"
#include "temporary_folder.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

std::size_t entries_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

std::optional<Error> error_of(const auto& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

std::string shard(const std::string& name, int bytes) {
  const std::string header =
      concat("{\"", name, "\":{\"dtype\":\"U8\",\"shape\":[", bytes, "],\"data_offsets\":[0,", bytes, "]}}");
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header +
         std::string(static_cast<std::size_t>(bytes), 'x');
}

/// a (4 bytes) and z (1 byte).
std::string two_tensors() {
  const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"z":{"dtype":"U8","shape":[1],)"
                             R"("data_offsets":[4,5]}})";
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + "xxxxx";
}

constexpr std::string_view kIndex = "/model.safetensors.index.json";
constexpr std::string_view kGoodIndex =
    R"({"metadata":{"total_size":7},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})";

/// Two shards with a (4 bytes) and b (3 bytes), and their index.
struct ShardedModel : TemporaryFolder {
  ShardedModel() {
    write_raw(*this / "one.safetensors", shard("a", 4));
    write_raw(*this / "two.safetensors", shard("b", 3));
    index(kGoodIndex);
  }
  void index(std::string_view text) const { write_raw(concat(path(), kIndex), text); }
  Reason reason() const {
    const auto error = error_of([&] { const SafetensorsModel model(path()); });
    if (error) CHECK(std::string_view(error->what()).find(path()) != std::string_view::npos);
    return error ? error->reason() : Reason::none;
  }
};

}  // namespace

TEST_CASE("a sharded model is one list of tensors") {
  const ShardedModel folder;
  const SafetensorsModel model(folder.path());
  REQUIRE(model.tensors().size() == 2);
  std::string data(3, '\0');
  const SafetensorsModel::Tensor& b = model.at("b");
  b.file->read(*b.tensor, data.data());
  CHECK(data == "xxx");
  CHECK(b.file->path() == folder / "two.safetensors");
  CHECK(model.find("c") == nullptr);
  const std::string want = folder.path() + ": tensor \"c\" is missing";
  CHECK_THROWS_WITH_AS(model.at("c"), want.c_str(), Error);
}

TEST_CASE("an index that does not fit its shards is refused") {
  const ShardedModel folder;
  const auto reason_with = [&](std::string_view text) {
    folder.index(text);
    return folder.reason();
  };
  CHECK(folder.reason() == Reason::none);
  CHECK(reason_with(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})") == Reason::none);
  CHECK(reason_with(R"({"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})") ==
        Reason::mismatch);
  CHECK(reason_with(R"({"weight_map":{"a":"one.safetensors","b":"three.safetensors"}})") == Reason::io);
  CHECK(reason_with(R"({"weight_map":{"a":"one.safetensors"}})") == Reason::none);
  CHECK(reason_with(R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})") == Reason::mismatch);
  CHECK(reason_with(R"({"weight_map":{"a":"two.safetensors","b":"one.safetensors"}})") == Reason::mismatch);
  CHECK(reason_with(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}})") ==
        Reason::mismatch);
  write_raw(folder / "one.safetensors", two_tensors());
  CHECK(reason_with(kGoodIndex) == Reason::mismatch);  // "z" is in no list
  write_raw(folder / "one.safetensors", shard("a", 4));
  CHECK(reason_with(kGoodIndex) == Reason::none);
  CHECK(reason_with(R"({"weight_map":{}})") == Reason::schema);
  CHECK(reason_with(R"({"weight_map":[]})") == Reason::schema);
  CHECK(reason_with(R"({"weight_map":{"a":1}})") == Reason::schema);
  CHECK(reason_with(R"({})") == Reason::schema);
  for (const std::string name : {"../one.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", "one\\u0000"})
    CHECK(reason_with("{\"weight_map\":{\"a\":\"" + name + "\"}}") == Reason::schema);
  write_raw(folder / "two.safetensors", shard("a", 3));
  CHECK(reason_with(kGoodIndex) == Reason::dup);
}

TEST_CASE("a shard may be a link within the folder or into a Hugging Face cache, nowhere else") {
  const TemporaryFolder cache, outside;
  const std::string snapshot = cache / "snapshots/1";
  fs::create_directories(snapshot);
  fs::create_directories(cache / "blobs");
  write_raw(cache / "blobs/aa", shard("a", 4));
  write_raw(outside / "aa", shard("a", 4));
  write_raw(concat(snapshot, kIndex), R"({"weight_map":{"a":"one.safetensors"}})");
  const auto reason_with = [&](const std::string& target) {
    fs::remove(snapshot + "/one.safetensors");
    fs::create_symlink(target, snapshot + "/one.safetensors");
    const auto error = error_of([&] { const SafetensorsModel model(snapshot); });
    return error ? error->reason() : Reason::none;
  };
  CHECK(reason_with("../../blobs/aa") == Reason::none);
  CHECK(reason_with(outside / "aa") == Reason::schema);
  CHECK(reason_with("absent") == Reason::io);
  CHECK(reason_with("one.safetensors") == Reason::io);
}

TEST_CASE("a folder without safetensors says what it has") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { const SafetensorsModel model(folder.path()); })->status() == Status::not_found);
  write_raw(folder / "pytorch_model.bin", "PK");
  const auto error = error_of([&] { const SafetensorsModel model(folder.path()); });
  CHECK(error->status() == Status::unsupported);
  CHECK(std::string_view(error->what()).find("convert") != std::string_view::npos);
}

TEST_CASE("read_file reads a file whole, within its limit") {
  const TemporaryFolder folder;
  write_raw(folder / "f", "hello");
  CHECK(read_file(folder / "f") == "hello");
  CHECK(error_of([&] { read_file(folder / "f", 4); })->reason() == Reason::limit);
  CHECK(error_of([&] { read_file(folder / "g"); })->status() == Status::not_found);
  CHECK(error_of([&] { read_file(std::string("f\0g", 3)); })->status() == Status::io_error);
  fs::create_symlink("f", folder / "link");
  CHECK(read_file(folder / "link") == "hello");
  CHECK(error_of([&] { read_file(folder / "link", 10, Symlinks::refuse); })->reason() == Reason::io);
  const InputFile file(folder / "f");
  char bytes[8];
  for (const auto& range :
       {std::pair<std::int64_t, std::int64_t>{-1, 1}, {0, -1}, {0, 6}, {6, 0}, {INT64_MAX, 1}, {1, INT64_MAX}})
    CHECK(error_of([&] { file.read(range.first, bytes, range.second); })->reason() == Reason::trunc);
  file.read(5, bytes, 0);
}

TEST_CASE("a stamp changes with the file") {
  const TemporaryFolder folder;
  write_raw(folder / "f", "hello");
  const InputFile file(folder / "f");
  CHECK(file_stamp(folder / "f") == file.stamp());
  CHECK(file.stamp().bytes == 5);
  write_file_atomic(folder / "f", "world");
  CHECK_FALSE(file_stamp(folder / "f") == file.stamp());
}

TEST_CASE("write_file_atomic replaces a file whole, whichever call fails") {
  for (const IoFault fault : kIoFaults)
    for (const bool sticky : {false, true}) {
      bool struck = true;
      for (int k = 0; struck && k < 100; ++k) {
        const TemporaryFolder folder;
        write_raw(folder / "f", "old");
        INFO(concat("fault ", static_cast<int>(fault), sticky ? " sticky" : " once", " at call ", k));
        const std::ptrdiff_t before = open_files();
        std::optional<Error> error;
        {
          const IoFaults faults(fault, k, sticky);
          error = error_of([&] { write_file_atomic(folder / "f", std::string(1000, 'n')); });
          struck = faults.struck();
        }
        const std::string now = read_file(folder / "f");
        const bool whole = now == std::string(1000, 'n');
        CHECK((whole || now == "old"));
        if (!error) CHECK(whole);
        if (fault == IoFault::short_write || (fault == IoFault::interrupted && !sticky)) CHECK_FALSE(error);
        if (error) CHECK(error->status() == Status::io_error);
        if (error && fault == IoFault::no_space)
          CHECK(std::string_view(error->what()).find("; it needs 1000 bytes, ") != std::string_view::npos);
        if (fault != IoFault::io_error || !sticky) CHECK(entries_in(folder.path()) == 1);
        CHECK(open_files() == before);
      }
      CHECK_FALSE(struck);
    }
}

TEST_CASE("a file is on the disk before it has its name, and then the name is") {
  const TemporaryFolder folder;
  std::vector<std::string> calls;
  {
    const IoTrace trace(folder.path(), calls);
    write_file_atomic(folder / "f", "x");
  }
  CHECK(calls == std::vector<std::string>{"write f.tmp", "fsync f.tmp", "rename f.tmp f", "fsync ."});
}

TEST_CASE("a file that was not committed leaves no trace") {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "f");
    file.write("abc", 3);
    CHECK(entries_in(folder.path()) == 1);
  }
  CHECK(entries_in(folder.path()) == 0);
  CHECK(error_of([&] { write_file_atomic(folder / "absent/f", "x"); })->status() == Status::not_found);
}

TEST_CASE("a staged folder arrives whole, or everything is as it was, whichever call fails") {
  const auto fill = [](const std::string& out) {
    StagedFolder staged(out);
    write_file_atomic(staged.path() + "/weights", "new");
    write_file_atomic(staged.path() + "/config", "new");
    staged.commit("config");
  };
  for (const IoFault fault : kIoFaults)
    for (const bool there : {false, true}) {
      bool struck = true;
      for (int k = 0; struck && k < 100; ++k) {
        INFO(concat("fault ", static_cast<int>(fault), there ? " in a folder that is there" : "", " at call ", k));
        const TemporaryFolder folder;
        const std::string out = folder / "out";
        if (there) {
          fs::create_directory(out);
          for (const char* name : {"/weights", "/config", "/mine"}) write_raw(out + name, "old");
        }
        std::optional<Error> error;
        {
          const IoFaults faults(fault, k, false);
          error = error_of([&] { fill(out); });
          struck = faults.struck();
        }
        const auto content = [&](const char* name) { return fs::exists(out + name) ? read_file(out + name) : ""; };
        const std::string config = content("/config"), weights = content("/weights");
        if (!error) CHECK(config + weights == "newnew");
        if (config == "old") CHECK(weights == "old");
        if (config == "new") CHECK(weights == "new");
        if (there) CHECK(content("/mine") == "old");
        if (!there && config.empty() && weights.empty()) CHECK(entries_in(folder.path()) <= (error ? 1 : 0));
        for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
          if (error) CHECK(entry.path().filename().string().find(".tmp-") == std::string::npos);
      }
      CHECK_FALSE(struck);
    }
  const TemporaryFolder folder;
  {
    const StagedFolder abandoned(folder / "a/b");
    write_file_atomic(abandoned.path() + "/x", "x");
  }
  CHECK(fs::is_empty(folder / "a"));
}

TEST_CASE("folders are made and removed with all in them, links not followed") {
  const TemporaryFolder folder;
  make_directories(folder / "a/b/c/");
  make_directories(folder / "a/b");
  CHECK(fs::is_directory(folder / "a/b/c"));
  write_raw(folder / "kept", "x");
  write_raw(folder / "a/b/c/f", "x");
  fs::create_symlink("../../kept", folder / "a/b/link");
  fs::create_directory_symlink(folder.path(), folder / "a/up");
  remove_tree(folder / "a");
  remove_tree(folder / "a");
  CHECK_FALSE(fs::exists(folder / "a"));
  CHECK(fs::exists(folder / "kept"));
  CHECK(error_of([&] { make_directories(folder / "kept"); })->status() == Status::io_error);
  CHECK(error_of([&] { make_directories(folder / "kept/x"); }).has_value());
  remove_tree(folder / "kept");
  CHECK(entries_in(folder.path()) == 0);
}

TEST_CASE("a folder is locked for one holder at a time, who is named") {
  const TemporaryFolder folder;
  {
    const DirectoryLock lock(folder.path());
    const auto error = error_of([&] { const DirectoryLock second(folder.path()); });
    REQUIRE(error);
    CHECK(error->status() == Status::busy);
    CHECK(std::string_view(error->what()).starts_with(folder.path() + ": in use by "));
    CHECK(std::string_view(error->what()).ends_with(concat(":", ::getpid())));
  }
  CHECK(entries_in(folder.path()) == 0);
  const DirectoryLock again(folder.path());
}

TEST_CASE("the lock of a holder that died is free") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      new DirectoryLock(folder.path());
    } catch (...) {
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(fs::exists(folder / ".lock"));
  const DirectoryLock lock(folder.path());
}

TEST_CASE("a lock in a folder that is not there is an error") {
  CHECK(error_of([&] { const DirectoryLock lock("/nonexistent"); })->status() == Status::not_found);
}
