// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "ftlib/io/file.h"
#include "ftlib/io/gguf.h"
#include "golden.h"
#include "hostile.h"
#include "temporary_folder.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

using Strings = std::vector<std::string>;
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max(), kHalf = std::uint64_t{1} << 63;

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string text(std::string_view value) { return raw(std::uint64_t{value.size()}).append(value); }
std::string field(std::string_view key, std::uint32_t type, const std::string& value) {
  return text(key) + raw(type) + value;
}
std::string u32_field(std::string_view key, std::uint32_t value) { return field(key, 4, raw(value)); }
std::string array(std::uint32_t element, std::uint64_t count, const std::string& values = "") {
  return raw(element) + raw(count) + values;
}
std::string tensor(std::string_view name, const std::vector<std::uint64_t>& ne, std::uint32_t type,
                   std::uint64_t offset) {
  std::string out = text(name) + raw(static_cast<std::uint32_t>(ne.size()));
  for (const std::uint64_t extent : ne) out += raw(extent);
  return out + raw(type) + raw(offset);
}

std::string start(std::uint64_t tensors, std::uint64_t fields, std::uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(tensors) + raw(fields);
}

const std::string kArchitecture = field("general.architecture", 8, text("llama"));

/// A file with these fields after the architecture, these tensors and `data` bytes behind the padding.
std::string gg(const Strings& fields, const Strings& tensors = {}, std::size_t data = 0, std::size_t alignment = 32) {
  std::string out = start(tensors.size(), fields.size() + 1) + kArchitecture;
  for (const std::string& f : fields) out += f;
  for (const std::string& t : tensors) out += t;
  if (!tensors.empty()) out.append((alignment - out.size() % alignment) % alignment, '\0');
  return out + std::string(data, '\1');
}

/// One field, or one tensor with `data` bytes.
std::string with(const std::string& f) { return gg({f}); }
std::string with_tensor(const std::string& t, std::size_t data = 32) { return gg({}, {t}, data); }

// Row by row of the catalogue of hostile files. What a model asks of the container (GG 17 beyond its type, 29-34) is in
// test_model_hostile.cpp, the tokenizer (35-37) in test_tokenizer_files.cpp, adapters (39) in
// test_adapter_refusals.cpp, scales of NaN (40) in test_weight.cpp.
std::vector<HostileCase> container_cases() {
  const std::string good = tensor("w", {8}, 0, 0);
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += array(9, 1);
  return {
      {"1 empty", "", {Reason::trunc}},
      {"1 23 bytes", start(0, 0).substr(0, 23), {Reason::trunc}},
      {"2 wrong magic", "GGUX" + start(0, 0).substr(4), {Reason::magic}},
      {"2 older format", "tjgg" + start(0, 0).substr(4), {Reason::magic}, "older"},
      {"2 the oldest format", "GGML" + start(0, 0).substr(4), {Reason::magic}, "byte 0: want GGUF, got \"GGML\"; an older"},
      {"3 version 0", start(0, 0, 0), {Reason::version}},
      {"3 version 1", start(0, 0, 1), {Reason::version}},
      {"3 version 4", start(0, 0, 4), {Reason::version}},
      {"3 big-endian", start(0, 0, 0x03000000), {Reason::version}, "big-endian"},
      {"version 2", start(0, 1, 2) + kArchitecture, {}},
      {"4 2^64-1 tensors", start(kHuge, 0), {Reason::limit}},
      {"4 2^63 tensors", start(kHalf, 0), {Reason::limit}},
      {"4 tensors whose infos wrap", start(0x1D1D1D1D1D1D1D1D, 0), {Reason::limit}},
      {"5 2^32-1 fields", start(0, 0xFFFFFFFF) + std::string(76, '\0'), {Reason::limit}},
      {"5 2^64-1 fields", start(0, kHuge) + std::string(76, '\0'), {Reason::limit}},
      {"6 empty key", with(field("", 4, raw(1u))), {Reason::range}},
      {"6 key too long", with(field(std::string(65536, 'k'), 4, raw(1u))), {Reason::range}},
      {"6 key of 2^31", with(raw(std::uint64_t{1} << 31) + std::string(16, 'k')), {Reason::range}},
      {"6 key of 2^64-1", with(raw(kHuge) + std::string(16, 'k')), {Reason::range}},
      {"6 key longer than the file", with(raw(std::uint64_t{100}) + std::string(16, 'k')), {Reason::trunc}},
      {"7 key not ASCII", with(u32_field("\xC3\xA9", 1)), {Reason::utf8}},
      {"7 key with NUL", with(u32_field(std::string_view("a\0b", 3), 1)), {Reason::schema}},
      {"8 string one too long", with(field("s", 8, raw(std::uint64_t{4}) + "abc")), {Reason::trunc}},
      {"8 string of 2^63", with(field("s", 8, raw(kHalf) + "abc")), {Reason::trunc}},
      {"8 string of 2^64-1", with(field("s", 8, raw(kHuge) + "abc")), {Reason::trunc}},
      {"9 value type 13", with(field("s", 13, raw(1u))), {Reason::schema}},
      {"9 value type 255", with(field("s", 255, raw(1u))), {Reason::schema}},
      {"9 value type -1", with(field("s", ~0u, raw(1u))), {Reason::schema}},
      {"9 element type 13", with(field("s", 9, array(13, 1))), {Reason::schema}},
      {"10 array of arrays", with(field("s", 9, array(9, 1, array(4, 0)))), {Reason::unsupported}},
      {"10 arrays 100,000 deep", with(field("s", 9, deep)), {Reason::unsupported}, "an array of arrays"},
      {"11 size of an array wraps",
       with(field("s", 9, array(4, (std::uint64_t{1} << 62) + 1, raw(1u)))),
       {Reason::overflow}},
      {"12 2^40 bytes", with(field("s", 9, array(0, std::uint64_t{1} << 40))), {Reason::trunc}},
      {"12 2^61 strings", with(field("s", 9, array(8, std::uint64_t{1} << 61))), {Reason::trunc}},
      {"12 a string of an array too long", with(field("s", 9, array(8, 1, raw(kHuge)))), {Reason::trunc}},
      {"13 boolean 2", with(field("s", 7, "\2")), {Reason::schema}},
      {"13 boolean 2 in an array", with(field("s", 9, array(7, 3, "\1\1\2"))), {Reason::schema}},
      {"14 key twice", gg({u32_field("k", 1), u32_field("k", 2)}), {Reason::dup}},
      {"15 alignment 16", gg({u32_field("general.alignment", 16)}, {good}, 32, 16), {}},
      {"16 alignment is i32", with(field("general.alignment", 5, raw(32))), {Reason::schema}},
      {"16 alignment is a string", with(field("general.alignment", 8, text("32"))), {Reason::schema}},
      {"17 no architecture", start(0, 0), {Reason::schema}, "general.architecture"},
      {"17 architecture is a number", start(0, 1) + u32_field("general.architecture", 1), {Reason::schema}},
      {"38 part of a model",
       gg({field("split.count", 2, raw(std::uint16_t{2})), field("split.no", 2, raw(std::uint16_t{0}))}),
       {Reason::unsupported},
       "--merge"},
      {"38 part beyond the count",
       gg({field("split.count", 2, raw(std::uint16_t{2})), field("split.no", 2, raw(std::uint16_t{2}))}),
       {Reason::mismatch}},
      {"a lone part", gg({field("split.count", 2, raw(std::uint16_t{1}))}), {}},
  };
}

std::vector<HostileCase> tensor_cases() {
  const std::uint64_t big = std::uint64_t{1} << 62;
  std::vector<HostileCase> cases = {
      {"good", with_tensor(tensor("w", {8}, 0, 0)), {}},
      {"18 name of 64 bytes", with_tensor(tensor(std::string(64, 'n'), {8}, 0, 0)), {}},
      {"18 name of 65 bytes", with_tensor(tensor(std::string(65, 'n'), {8}, 0, 0)), {Reason::limit}},
      {"18 name of 2^63 bytes", with_tensor(raw(kHalf) + std::string(64, 'n')), {Reason::limit}},
      {"18 empty name", with_tensor(tensor("", {8}, 0, 0)), {Reason::limit}},
      {"18 name with NUL", with_tensor(tensor(std::string_view("w\0x", 3), {8}, 0, 0)), {Reason::schema}},
      {"18 name not UTF-8", with_tensor(tensor("\xFF", {8}, 0, 0)), {Reason::utf8}},
      {"18 same name twice", gg({}, {tensor("w", {8}, 0, 0), tensor("w", {8}, 0, 32)}, 64), {Reason::dup}},
      {"19 no axes", with_tensor(tensor("w", {}, 0, 0)), {Reason::shape}},
      {"19 five axes", with_tensor(tensor("w", {1, 1, 1, 1, 8}, 0, 0)), {Reason::shape}},
      {"19 2^32-1 axes", with_tensor(text("w") + raw(~0u) + std::string(64, '\1')), {Reason::shape}},
      {"20 extent 0", with_tensor(tensor("w", {8, 0}, 0, 0)), {Reason::shape}},
      {"20 extent 2^63", with_tensor(tensor("w", {kHalf}, 0, 0)), {Reason::shape}},
      {"21 product overflows", with_tensor(tensor("w", {big, 4}, 24, 0)), {Reason::overflow}},
      {"21 bytes overflow", with_tensor(tensor("w", {big}, 0, 0)), {Reason::overflow}},
      {"23 rows that are no whole blocks", with_tensor(tensor("w", {8}, 2, 0)), {Reason::shape}},
      {"24 offset not aligned", gg({}, {tensor("a", {8}, 0, 0), tensor("b", {8}, 0, 33)}, 96), {Reason::layout}},
      {"25 offset past the data", with_tensor(tensor("w", {8}, 0, 1 << 20)), {Reason::layout}},
      {"25 offset and size wrap", with_tensor(tensor("w", {8}, 0, kHuge - 31)), {Reason::layout}},
      {"26 overlap by a block", gg({}, {tensor("a", {64}, 2, 0), tensor("b", {32}, 2, 32)}, 96), {Reason::layout}},
      {"26 gap", gg({}, {tensor("a", {8}, 0, 0), tensor("b", {8}, 0, 64)}, 96), {Reason::layout}},
      {"27 padded sizes wrap",
       with_tensor(tensor("w", {0x7fffffffffffffff}, 24, 0)),
       {Reason::trunc, Reason::overflow}},
      {"27 sum wraps",
       gg({}, {tensor("a", {big}, 24, 0), tensor("b", {big}, 24, big)}, 32),
       {Reason::trunc, Reason::overflow}},
      {"28 one byte short", with_tensor(tensor("w", {8}, 0, 0), 31), {Reason::trunc}, "is the file complete?"},
      {"28 no data at all", with_tensor(tensor("w", {8}, 0, 0), 0), {Reason::trunc}},
      {"28 last padding missing", with_tensor(tensor("w", {2}, 0, 0), 8), {}},
  };
  for (const std::uint32_t type : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 42u, 255u, ~0u})
    cases.push_back({concat("22 type ", type), with_tensor(tensor("w", {256}, type, 0), 2048), {Reason::dtype}});
  for (const std::uint32_t alignment : {0u, 3u, 13u, 4u, 1u << 31})
    cases.push_back(
        {concat("15 alignment ", alignment), with(u32_field("general.alignment", alignment)), {Reason::range}});
  return cases;
}

std::vector<GgufSource> sources_of(const GgufFile& file) {
  std::vector<GgufSource> sources;
  for (const GgufTensor& t : file.tensors())
    sources.push_back({t.name, t.type, t.shape, nullptr, [&](void* out) { file.read(t, out); }});
  return sources;
}

}  // namespace

TEST_CASE("every malformed GGUF file of the catalogue is refused by name") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.gguf", good = folder / "good.gguf";
  write_raw(good, with_tensor(tensor("w", {8}, 0, 0)));
  for (const auto& cases : {container_cases(), tensor_cases()})
    for (const HostileCase& c : cases) {
      write_raw(path, c.bytes);
      check_refused(path, c, static_cast<std::int64_t>(c.bytes.size()), [&] { const GgufFile file(path); });
      CHECK(GgufFile(good).tensors().size() == 1);
    }
}

TEST_CASE("a count that cannot be true costs no memory") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.gguf";
  write_raw(path, start(0, 0xFFFFFFFF) + std::string(76, '\0'));
  check_refused(path, {"5", "", {Reason::limit}}, 0, [&] { const GgufFile file(path); });
  if (FTLIB_COUNT_ALLOCATIONS) CHECK(allocations::peak_bytes() < 1 << 20);
}

TEST_CASE("a GGUF file that shrinks after it was opened is an error value") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.gguf";
  write_raw(path, with_tensor(tensor("w", {8}, 0, 0)));
  const GgufFile file(path);
  fs::resize_file(path, fs::file_size(path) - 1);
  float data[8];
  try {
    file.read(*file.find_tensor("w"), data);
    FAIL("read beyond the end");
  } catch (const Error& error) {
    CHECK(error.reason() == Reason::changed);
  }
  CHECK_THROWS_AS(file.read(*file.find_tensor("w"), 30, 3, data), Error);
}

TEST_CASE("every prefix and bit flip of a GGUF header loads or is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "t.gguf";
  const std::string words = array(8, 3, text("a") + text("") + text("\xC3\xA9"));
  const std::string good = gg({u32_field("llama.block_count", 1), field("t.words", 9, words), field("t.bool", 7, "\1"),
                               field("t.f32", 6, raw(0.5f)), field("t.ints", 9, array(5, 2, raw(1) + raw(2)))},
                              {tensor("a", {8}, 0, 0), tensor("b.weight", {32, 2}, 8, 32)}, 100);
  check_every_prefix_and_flip(path, good, good.size() - 100, [&] {
    const GgufFile file(path);
    std::vector<char> data(4096);
    for (const GgufTensor& t : file.tensors())
      if (t.bytes <= 4096) file.read(t, data.data());
    for (const auto& [key, value] : file.metadata())
      if (value.type() == GgufType::array && value.as_array(key).element_type() == GgufType::string)
        for (std::size_t i = 0; i < value.as_array(key).size(); ++i) value.as_array(key).string(i, key);
  });
  check_out_of_memory([&] { const GgufFile file(path); });
}

TEST_CASE("a file of gguf-py is read, and written again byte for byte") {
  const std::string path = golden_path("io/reference.gguf");
  const GgufFile file(path);
  CHECK(file.version() == 3);
  CHECK(file.at("t.u8").as_integer("") == 255);
  CHECK(file.at("t.i8").as_integer("") == -128);
  CHECK(file.at("t.u16").as_integer("") == 65535);
  CHECK(file.at("t.i16").as_integer("") == -32768);
  CHECK(file.at("t.u32").as_integer("") == 0xFFFFFFFF);
  CHECK(file.at("t.i32").as_integer("") == std::numeric_limits<std::int32_t>::min());
  CHECK(file.at("t.f32").as_number("") == double{1e-5f});
  CHECK(file.at("t.bool").as_bool(""));
  CHECK(file.at("t.string").as_string("") == "caf\xC3\xA9");
  CHECK(file.at("t.i64").as_integer("") == std::numeric_limits<std::int64_t>::min());
  CHECK(file.at("t.f64").as_number("") == 3.141592653589793);
  const GgufArray &words = file.at("t.words").as_array(""), &ints = file.at("t.ints").as_array("", GgufType::i32);
  CHECK(words.size() == 6);
  CHECK(words.string(0, "") == "");
  CHECK(words.string(3, "") == "\xC3\xA9\xE4\xB8\xAD");
  CHECK(words.string(5, "") == std::string(300, 'x'));
  CHECK(ints.integer(1, "") == -2);
  CHECK(ints.number(2, "") == 3);
  CHECK(file.at("t.floats").as_array("").number(1, "") == -1.5);
  CHECK(file.at("t.bools").as_array("").integer(0, "") == 1);
  const Json expected = golden_json("io/reference.json");
  for (const auto& [name, row] : expected.at("gguf", path).as_object(path)) {
    const GgufTensor* t = file.find_tensor(name);
    REQUIRE(t != nullptr);
    const Json::Array &want = row.as_array(name), &ne = want[1].as_array(name);
    CHECK(ggml_type_info(t->type).name == want[0].as_string(name));
    REQUIRE(t->ne.size() == ne.size());
    for (std::size_t i = 0; i < ne.size(); ++i) CHECK(t->ne[i] == ne[i].as_integer(name));
    CHECK(std::equal(t->ne.begin(), t->ne.end(), t->shape.rbegin()));
    CHECK(t->offset == want[2].as_integer(name));
    CHECK(t->bytes == want[3].as_integer(name));
  }
  CHECK(file.find_tensor("absent") == nullptr);
  const TemporaryFolder folder;
  write_gguf(folder / "t.gguf", file.metadata(), sources_of(file));
  CHECK(read_file(folder / "t.gguf") == read_file(path));
}

TEST_CASE("GGUF metadata of another type than asked for is an error that names it") {
  const GgufFile file(golden_path("io/reference.gguf"));
  CHECK_THROWS_WITH_AS(file.at("t.u8").as_string("t.u8"), "t.u8: want a string, got u8", Error);
  CHECK_THROWS_WITH_AS(file.at("t.bool").as_integer("t.bool"), "t.bool: want a whole number, got bool", Error);
  CHECK_THROWS_WITH_AS(file.at("t.words").as_array("k", GgufType::f32), "k: want an array of f32, got string", Error);
  CHECK_THROWS_WITH_AS(file.at("t.u64").as_integer("k"), "k: 18446744073709551615 does not fit 63 bits", Error);
  CHECK_THROWS_WITH_AS(file.at("t.u8").as_integer("k", 1, 9), "k: want 1 to 9, got 255", Error);
  CHECK_THROWS_WITH_AS(file.at("t.words").as_array("k").number(0, "k"), "k: want an array of whole numbers, got string",
                       Error);
  const std::string want = file.path() + ": absent: is missing";
  CHECK_THROWS_WITH_AS(file.at("absent"), want.c_str(), Error);
}

TEST_CASE("write_gguf refuses what could not be read again") {
  const TemporaryFolder folder;
  const char data[64] = {};
  const GgufField architecture{"general.architecture", GgufValue::string("llama")};
  const auto refused = [&](std::vector<GgufField> fields, std::vector<GgufSource> sources) {
    CHECK_THROWS_AS(write_gguf(folder / "t", fields, sources), Error);
    CHECK(fs::is_empty(folder.path()));
  };
  refused({}, {});
  refused({architecture, architecture}, {});
  refused({architecture, {"a b", GgufValue::u32(1)}}, {});
  refused({architecture, {"general.alignment", GgufValue::u32(12)}}, {});
  refused({architecture}, {{"w", GgmlType::q4_0, {16}, data, {}}});
  refused({architecture}, {{"w", GgmlType::f32, {}, data, {}}});
  refused({architecture}, {{"w", GgmlType::f32, {0}, data, {}}});
  refused({architecture}, {{"w", GgmlType::f32, {1}, nullptr, {}}});
  refused({architecture}, {{"w", GgmlType::f32, {1}, data, {}}, {"w", GgmlType::f32, {1}, data, {}}});
  refused({architecture}, {{std::string(65, 'n'), GgmlType::f32, {1}, data, {}}});
  write_gguf(folder / "t", std::vector{architecture, GgufField{"general.alignment", GgufValue::u32(64)}},
             std::vector{GgufSource{"a", GgmlType::i8, {3}, data, {}}, GgufSource{"b", GgmlType::i8, {3}, data, {}}});
  const GgufFile file(folder / "t");
  CHECK(file.alignment() == 64);
  CHECK(file.tensors()[1].offset - file.tensors()[0].offset == 64);
}
