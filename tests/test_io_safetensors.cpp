// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ftlib/io/file.h"
#include "ftlib/io/safetensors.h"
#include "golden.h"
#include "hostile.h"
#include "temporary_folder.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

std::string sized(std::uint64_t bytes, std::string_view rest) {
  return std::string(reinterpret_cast<const char*>(&bytes), sizeof bytes).append(rest);
}

/// A file with this header and `data` bytes after it.
std::string st(const std::string& header, std::size_t data = 0) {
  return sized(header.size(), header) + std::string(data, '\1');
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"w\":" + entry(dtype, shape, offsets) + "}";
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

// Row by row of the catalogue of hostile files; 5, 41 and 42 have cases of their own below. Indexes of sharded models (43-45) are in
// test_io_files.cpp, NaN in a model (47) in test_model_hostile.cpp, names that meet (40) nowhere: none loses a prefix.
std::vector<HostileCase> hostile_cases() {
  const std::string u8 = entry("U8", "[4]", "[0,4]"), good = "{\"w\":" + u8 + "}";
  const std::string big_endian("\0\0\0\0\0\0\0\x02", 8);
  std::vector<HostileCase> cases = {
      {"1 empty", "", {Reason::trunc}},
      {"3 header longer than the file", sized(100, good), {Reason::trunc}},
      {"4 length wraps", sized(~0ull, good), {Reason::limit}},
      {"6 no header", sized(0, good), {Reason::json}},
      {"6 header of one byte", sized(1, "{}"), {Reason::json}},
      {"7 big-endian length", big_endian + "{}", {Reason::limit}, "big-endian"},
      {"8 space first", st(" " + good, 4), {Reason::json}},
      {"8 byte order mark first", st("\xEF\xBB\xBF" + good, 4), {Reason::json}},
      {"8 array", st("[" + u8 + "]", 4), {Reason::json}},
      {"9 trailing spaces", st(good + "   ", 4), {}},
      {"9 trailing NUL", st(good + std::string(1, '\0'), 4), {Reason::json}},
      {"9 trailing text", st(good + "x", 4), {Reason::json}},
      {"10 overlong UTF-8", st("{\"\xC0\x80\":" + u8 + "}", 4), {Reason::utf8}},
      {"10 bytes that no UTF-8 has", st("{\"\xFF\":" + u8 + "}", 4), {Reason::utf8}},
      {"11 cut in the middle", st(good.substr(0, 20), 4), {Reason::json}},
      {"12 deep objects", st(repeated("{\"a\":", 100000)), {Reason::limit}},
      {"12 deep arrays", st("{\"a\":{\"x\":" + repeated("[", 100000)), {Reason::limit}},
      {"13 same name twice", st("{\"w\":" + u8 + ",\"w\":" + u8 + "}", 4), {Reason::dup}},
      {"13 same name, other place",
       st("{\"w\":" + u8 + ",\"w\":" + entry("U8", "[4]", "[4,8]") + "}", 8),
       {Reason::dup}},
      {"14 same name by escape",
       st("{\"a\":" + u8 + ",\"\\u0061\":" + entry("U8", "[4]", "[4,8]") + "}", 8),
       {Reason::dup}},
      {"15 shape twice",
       st("{\"w\":{\"dtype\":\"U8\",\"shape\":[4],\"shape\":[4],\"data_offsets\":[0,4]}}", 4),
       {Reason::dup}},
      {"15 offsets twice",
       st("{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,4],\"data_offsets\":[0,4],\"shape\":[4]}}", 4),
       {Reason::dup}},
      {"16 metadata twice", st("{\"__metadata__\":{},\"__metadata__\":{}}"), {Reason::dup}},
      {"16 metadata key twice", st("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}"), {Reason::dup}},
      {"17 metadata number", st("{\"__metadata__\":{\"a\":1}}"), {Reason::schema}},
      {"17 metadata null", st("{\"__metadata__\":{\"a\":null}}"), {Reason::schema}},
      {"17 metadata object", st("{\"__metadata__\":{\"a\":{}}}"), {Reason::schema}},
      {"17 metadata is a string", st("{\"__metadata__\":\"a\"}"), {Reason::schema}},
      {"18 no dtype", st("{\"w\":{\"shape\":[4],\"data_offsets\":[0,4]}}", 4), {Reason::schema}, "dtype"},
      {"18 no shape", st("{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,4]}}", 4), {Reason::schema}, "shape"},
      {"18 no offsets", st("{\"w\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4), {Reason::schema}, "data_offsets"},
      {"18 a number for a tensor", st("{\"w\":4}", 4), {Reason::schema}},
      {"19 unknown dtype", st(one("F12", "[4]", "[0,6]"), 6), {Reason::dtype}, "F12"},
      {"19 dtype in lower case", st(one("f32", "[1]", "[0,4]"), 4), {Reason::dtype}},
      {"19 dtype is a number", st("{\"w\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,4]}}", 4), {Reason::dtype}},
      {"22 shape overflows", st(one("U8", "[8589934592,8589934592]", "[0,4]"), 4), {Reason::overflow}},
      {"23 bits overflow", st(one("F64", "[2305843009213693953]", "[0,8]"), 8), {Reason::overflow}},
      {"24 rank 10,000", st(one("U8", "[1" + repeated(",1", 9999) + "]", "[0,1]"), 1), {Reason::limit}},
      {"25 one offset", st(one("U8", "[4]", "[0]"), 4), {Reason::schema}},
      {"25 three offsets", st(one("U8", "[4]", "[0,4,8]"), 8), {Reason::schema}},
      {"25 no array", st(one("U8", "[4]", "4"), 4), {Reason::schema}},
      {"26 begin after end", st(one("U8", "[4]", "[4,0]"), 4), {Reason::layout}},
      {"27 end past the data", st(one("U8", "[5]", "[0,5]"), 4), {Reason::layout}},
      {"28 negative offset", st(one("U8", "[4]", "[-1,3]"), 4), {Reason::range}},
      {"28 offset 1.5", st(one("U8", "[4]", "[1.5,4]"), 4), {Reason::range}},
      {"28 offset 1e400", st(one("U8", "[4]", "[0,1e400]"), 4), {Reason::range}},
      {"29 one byte too many", st(one("F32", "[1]", "[0,5]"), 5), {Reason::mismatch}},
      {"29 one byte too few", st(one("F32", "[1]", "[0,3]"), 3), {Reason::mismatch}},
      {"31 overlap by a byte", st("{\"a\":" + u8 + ",\"b\":" + entry("U8", "[4]", "[3,7]") + "}", 7), {Reason::layout}},
      {"32 hole between", st("{\"a\":" + u8 + ",\"b\":" + entry("U8", "[4]", "[5,9]") + "}", 9), {Reason::layout}},
      {"32 hole at the start", st(one("U8", "[4]", "[1,5]"), 5), {Reason::layout}},
      {"33 trailing bytes", st(good, 4) + "PK\x03\x04", {Reason::layout}},
      {"34 half a byte", st(one("F4", "[3]", "[0,2]"), 2), {Reason::layout}},
      {"34 whole bytes of a sub-byte dtype", st(one("F6_E2M3", "[4]", "[0,3]"), 3), {}},
      {"35 data not aligned", st(one("F64", "[1]", "[0,8]") + " ", 8), {}},
      {"36 a scalar and nothing",
       st("{\"s\":" + entry("U8", "[]", "[0,1]") + ",\"n\":" + entry("F32", "[0,9]", "[1,1]") + "}", 1),
       {}},
      {"36 no tensors", st("{}"), {}},
      {"39 lone surrogate", st("{\"\\uD800\":" + u8 + "}", 4), {Reason::utf8}},
      {"46 zip", "PK\x03\x04 and more of it", {Reason::magic}, "zip"},
      {"46 pickle", "\x80\x02}q\x01(X\x06 and more", {Reason::magic}, "pickle"},
      {"46 HTML", "<!DOCTYPE html><html>", {Reason::magic}, "HTML"},
      {"46 git-lfs pointer",
       "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
       {Reason::magic},
       "git lfs pull"},
      {"46 GGUF", "GGUF\3\1\1\1 and more of it", {Reason::magic}, "GGUF"},
      {"unknown fields of an entry",
       st("{\"w\":{\"dtype\":\"U8\",\"x\":[{\"y\":[]}],\"shape\":[4],\"data_offsets\":[0,4]}}", 4),
       {}},
  };
  for (std::size_t bytes = 1; bytes < 8; ++bytes)
    cases.push_back({concat("2 ", bytes, " bytes"), std::string(bytes, '\1'), {Reason::trunc}});
  for (const std::string extent : {"-1", "2.0", "1e3", "\"2\"", "null", "[2]"})
    cases.push_back({"20 extent " + extent, st(one("U8", "[" + extent + "]", "[0,4]"), 4), {Reason::shape}});
  cases.push_back({"20 shape is a number", st(one("U8", "4", "[0,4]"), 4), {Reason::shape}});
  for (const std::string extent : {"9223372036854775808", "18446744073709551616", "123456789012345678901234567890"})
    cases.push_back({"21 extent " + extent, st(one("U8", "[" + extent + "]", "[0,4]"), 4), {Reason::range}});
  for (const std::string& name :
       {std::string(), std::string("a\\u0000b"), std::string("\\u001b[31m"), std::string(1 << 20, 'n'),
        std::string("../x"), std::string("/etc/x"), std::string("a/../b")})
    cases.push_back({"38 name " + name.substr(0, 20), st("{\"" + name + "\":" + u8 + "}", 4), {Reason::schema}});
  std::string amplified = "{", many = "{";
  for (int i = 0; i < 10000; ++i) amplified += concat(i ? "," : "", "\"t", i, "\":", u8);
  for (int i = 0; i < 600000; ++i)
    many += concat(i ? "," : "", "\"", i, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
  cases.push_back({"30 10,000 names for one range", st(amplified + "}", 4), {Reason::layout}});
  cases.push_back({"37 600,000 empty tensors", st(many + "}"), {Reason::limit}});
  const std::size_t bytes = std::size_t{12} << 20;
  const std::string skipped = "{\"w\":{\"x\":";
  std::string metadata = "{\"__metadata__\":{";
  for (int i = 0; i < 1'000'000; ++i) metadata += concat(i ? "," : "", "\"", i, "\":\"\"");
  cases.push_back({"37 a million entries of metadata", st(metadata + "}}"), {Reason::limit}});
  cases.push_back({"12 zeros without end", st(skipped + "[0" + repeated(",0", bytes / 2)), {Reason::json}});
  cases.push_back({"12 lists without end", st(skipped + "[[]" + repeated(",[]", bytes / 3)), {Reason::limit}});
  cases.push_back({"12 words without end", st(skipped + "[1" + repeated(",\nnull", bytes / 6)), {Reason::limit}});
  cases.push_back({"12 lines without end", st("{" + std::string(bytes, '\n') + "x"), {Reason::json}});
  cases.push_back({"12 a string without end", st("{\"" + std::string(bytes, 'n')), {Reason::limit}});
  cases.push_back({"12 escapes without end", st(skipped + "\"" + repeated("\\n", bytes / 2)), {Reason::limit}});
  cases.push_back({"12 a long string that ends badly",
                   st("{\"__metadata__\":{\"\":\"" + std::string(1'240'000, 'n') + "\x1f"),
                   {Reason::json}});
  return cases;
}

Reason reason_of_opening(const std::string& path) {
  try {
    const SafetensorsFile file(path);
  } catch (const Error& error) {
    CHECK(std::string_view(error.what()).starts_with(path));
    return error.reason();
  }
  return Reason::none;
}

}  // namespace

TEST_CASE("every malformed safetensors file of the catalogue is refused by name") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors", good = folder / "good.safetensors";
  write_raw(good, st(one("U8", "[4]", "[0,4]"), 4));
  for (const HostileCase& c : hostile_cases()) {
    write_raw(path, c.bytes);
    check_refused(path, c, static_cast<std::int64_t>(c.bytes.size()), [&] { const SafetensorsFile file(path); });
    CHECK(SafetensorsFile(good).tensors().size() == 1);
  }
}

TEST_CASE("a header beyond the limit is refused before anything is allocated") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  write_raw(path, sized(100'000'001, "{"));
  fs::resize_file(path, 8 + 100'000'001);
  check_refused(path, {"5 sparse", "", {Reason::limit}}, 0, [&] { const SafetensorsFile file(path); });
  if (FTLIB_COUNT_ALLOCATIONS) CHECK(allocations::peak_bytes() < 4096);
}

TEST_CASE("the longest header of zeros is refused at its end in bounded memory") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  std::string header = "{\"w\":{\"x\":[0";
  header.reserve(100'000'000);
  while (header.size() < 100'000'000 - 2) header += ",0";
  header.resize(100'000'000, '}');
  write_raw(path, st(header));
  check_refused(path, {"a comma or ]", "", {Reason::json}}, 100'000'000, [&] { const SafetensorsFile file(path); });
}

TEST_CASE("the longest metadata that is written is read") {
  const TemporaryFolder folder;
  const SafetensorsMetadata metadata = {{"a", "b"}, {"long", std::string(1'249'997, 'x')}};
  write_safetensors(folder / "t", {}, metadata);
  CHECK(SafetensorsFile(folder / "t").metadata() == metadata);
  write_raw(folder / "t", st("{\"__metadata__\":{\"k\":\"" + std::string(1'250'000, 'x') + "\"}}"));
  CHECK(reason_of_opening(folder / "t") == Reason::limit);
}

TEST_CASE("unknown fields of an entry are passed over whatever they hold") {
  const TemporaryFolder folder;
  for (const std::string value :
       {"1", "\"a\"", "null", "[]", "{}", "[[1,{\"dtype\":[]}],2]", "{\"shape\":{\"a\":[]}}"}) {
    CAPTURE(value);
    write_raw(folder / "t",
              st("{\"w\":{\"x\":" + value + ",\"dtype\":\"U8\",\"y\":" + value +
                     ",\"shape\":[4],\"data_offsets\":[0,4],\"z\":" + value + "},\"__metadata__\":{\"k\":\"v\"}}",
                 4));
    const SafetensorsFile file(folder / "t");
    CHECK(file.tensors().size() == 1);
    CHECK(file.tensors()[0].bytes == 4);
    CHECK(file.metadata().size() == 1);
  }
}

TEST_CASE("what is not a regular file is refused at once") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  fs::create_symlink("loop", folder / "loop");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder / "socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  for (const std::string& path : {folder.path(), folder / "fifo", folder / "loop", folder / "socket",
                                  std::string("/dev/zero"), folder / "absent"}) {
    CAPTURE(path);
    CHECK(reason_of_opening(path) == Reason::io);
  }
  ::close(socket);
}

TEST_CASE("a file that shrinks after it was opened is an error value") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  write_raw(path, st(one("U8", "[4]", "[0,4]"), 4));
  const SafetensorsFile file(path);
  fs::resize_file(path, fs::file_size(path) - 1);
  char data[4];
  try {
    file.read(file.tensors()[0], data);
    FAIL("read beyond the end");
  } catch (const Error& error) {
    CHECK(error.reason() == Reason::changed);
  }
}

TEST_CASE("a tensor of a dtype without data is listed, not read") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  write_raw(path, st(one("F8_E4M3", "[4]", "[0,4]"), 4));
  const SafetensorsFile file(path);
  char data[4];
  const std::string want = path + ": tensor \"w\": dtype F8_E4M3 is not supported";
  CHECK_THROWS_WITH_AS(file.read(file.tensors()[0], data), want.c_str(), Error);
  CHECK_THROWS_AS(file.read(file.tensors()[0], 3, 2, data), Error);
}

TEST_CASE("every prefix and bit flip of a safetensors header loads or is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.safetensors";
  const std::string good = st("{\"__metadata__\":{\"k\":\"v\"},\"a\":" + entry("F32", "[2,1]", "[0,8]") +
                                  ",\"b\\u00e9\":" + entry("U8", "[3]", "[8,11]") + "}",
                              11);
  check_every_prefix_and_flip(path, good, good.size() - 11, [&] {
    const SafetensorsFile file(path);
    std::vector<char> data(11);
    for (const SafetensorsTensor& tensor : file.tensors())
      if (core_dtype(tensor.dtype)) file.read(tensor, data.data());
  });
  check_out_of_memory([&] { const SafetensorsFile file(path); });
}

TEST_CASE("a file of the reference library is read, and written again byte for byte") {
  const std::string path = golden_path("io/reference.safetensors");
  const SafetensorsFile file(path);
  const Json expected = golden_json("io/reference.json");
  std::vector<std::vector<char>> data;
  std::vector<SafetensorsSource> sources;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    data.emplace_back(static_cast<std::size_t>(tensor.bytes) + 1);
    file.read(tensor, data.back().data());
    sources.push_back({tensor.name, tensor.dtype, tensor.shape, data.back().data(), {}});
    CHECK(describe(tensor) == expected.at("safetensors", path).at(tensor.name, path).as_string(path));
  }
  CHECK(file.tensors().size() == expected.at("safetensors", path).as_object(path).size());
  CHECK(safetensors_bytes(sources, file.metadata()) == read_file(path));
  const TemporaryFolder folder;
  for (SafetensorsSource& source : sources) {
    const SafetensorsTensor& tensor = *file.find(source.name);
    source.data = nullptr;
    source.fill = [&](void* out) { file.read(tensor, out); };
  }
  std::ranges::reverse(sources);
  write_safetensors(folder / "t.safetensors", sources, file.metadata());
  CHECK(read_file(folder / "t.safetensors") == read_file(path));
}

TEST_CASE("write_safetensors refuses what could not be read again") {
  const TemporaryFolder folder;
  const char data[8] = {};
  const auto refused = [&](std::vector<SafetensorsSource> sources, const SafetensorsMetadata& metadata = {}) {
    CHECK_THROWS_AS(write_safetensors(folder / "t", sources, metadata), Error);
    CHECK(fs::is_empty(folder.path()));
  };
  refused({{"a", SafetensorsDType::u8, {1}, data, {}}, {"a", SafetensorsDType::i8, {1}, data, {}}});
  refused({{"__metadata__", SafetensorsDType::u8, {1}, data, {}}});
  refused({{"a\n", SafetensorsDType::u8, {1}, data, {}}});
  refused({{"a", SafetensorsDType::u8, {-1}, data, {}}});
  refused({{"a", SafetensorsDType::u8, {1ll << 62, 4}, data, {}}});
  refused({{"a", SafetensorsDType::u8, {1}, nullptr, {}}});
  refused({{"a", SafetensorsDType::f8_e4m3, {1}, data, {}}});
  refused({{"a", SafetensorsDType::u8, {1, 1, 1, 1, 1, 1, 1, 1, 1}, data, {}}});
  refused({}, {{"k", "v"}, {"k", "w"}});
  refused({}, {{"k", std::string(1'249'998, 'v')}});
  refused({}, {{"k", std::string(210'000, '\x01')}});
  SafetensorsMetadata many;
  for (int i = 0; i <= 65'536; ++i) many.emplace_back(concat(i), "");
  refused({}, many);
}
