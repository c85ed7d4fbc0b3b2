// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdlib>

#include "comma_locale.h"
#include "ftlib/io/json.h"
#include "golden.h"
#include "hostile.h"

using namespace ftlib;

namespace {

struct Refused {
  std::string text;
  Reason reason;
};

Reason reason_of(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "t.json", limits);
  } catch (const Error& error) {
    const std::string_view message = error.what();
    CHECK(message.starts_with("t.json"));
    CHECK(message.size() < 400);
    CHECK(std::ranges::all_of(message, [](char letter) { return letter >= 0x20 && letter < 0x7f; }));
    return error.reason();
  }
  return Reason::none;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

}  // namespace

TEST_CASE("JSON is what RFC 8259 says and nothing more") {
  const Refused cases[] = {
      {"", Reason::json},
      {" ", Reason::json},
      {"{", Reason::json},
      {"[", Reason::json},
      {"]", Reason::json},
      {"[1,]", Reason::json},
      {"{\"a\":1,}", Reason::json},
      {"[,1]", Reason::json},
      {"[1 2]", Reason::json},
      {"{\"a\" 1}", Reason::json},
      {"{\"a\":}", Reason::json},
      {"{a:1}", Reason::json},
      {"{1:1}", Reason::json},
      {"{'a':1}", Reason::json},
      {"[1}", Reason::json},
      {"{\"a\":1]", Reason::json},
      {"1 1", Reason::json},
      {"{} {}", Reason::json},
      {"nul", Reason::json},
      {"True", Reason::json},
      {"NaN", Reason::json},
      {"Infinity", Reason::json},
      {"-Infinity", Reason::json},
      {"-", Reason::json},
      {"+1", Reason::json},
      {"01", Reason::json},
      {"-01", Reason::json},
      {"1.", Reason::json},
      {".5", Reason::json},
      {"1e", Reason::json},
      {"1e+", Reason::json},
      {"0x1", Reason::json},
      {"1.5.5", Reason::json},
      {"// a\n1", Reason::json},
      {"/* a */1", Reason::json},
      {"\"", Reason::json},
      {"\"\\\"", Reason::json},
      {"\"\\x41\"", Reason::json},
      {"\"\\u12\"", Reason::json},
      {"\"\\u12G4\"", Reason::json},
      {"\"\\u12\\n\"", Reason::json},
      {"\"\\uD83D\\u1\\\\\"", Reason::json},
      {"\"\\u-123\"", Reason::json},
      {"\"a\nb\"", Reason::json},
      {std::string("\"\0\"", 3), Reason::json},
      {std::string("1\0", 2), Reason::json},
      {"\"\x1b\"", Reason::json},
      {"\xEF\xBB\xBF{}", Reason::json},
      {" \xEF\xBB\xBF{}", Reason::json},
      {"[\xEF\xBB\xBF]", Reason::json},
      {"\xEF\xBB", Reason::json},
      {std::string("\0", 1), Reason::json},
      {std::string("1\0 1", 4), Reason::json},
      {std::string("1 \0", 3), Reason::json},
      {std::string("{}\0{}", 5), Reason::json},
      {std::string("[1\0]", 4), Reason::json},
      {std::string("{\0}", 3), Reason::json},
      {std::string("{\"a\"\0:1}", 7), Reason::json},
      {"1,", Reason::json},
      {"1:2", Reason::json},
      {"1-2", Reason::json},
      {"1\"a\"", Reason::json},
      {"[1}2]", Reason::json},
      {"[1,,2]", Reason::json},
      {"[:1]", Reason::json},
      {"[\"a\":1]", Reason::json},
      {"{,\"a\":1}", Reason::json},
      {"{\"a\"::1}", Reason::json},
      {"{\"a\":1 \"b\":2}", Reason::json},
      {"{\"a\"}", Reason::json},
      {"{true:1}", Reason::json},
      {"truefalse", Reason::json},
      {"nulll", Reason::json},
      {"--1", Reason::json},
      {"-.5", Reason::json},
      {".5", Reason::json},
      {"1.e5", Reason::json},
      {"00", Reason::json},
      {"1\v", Reason::json},
      {"1\xC2\xA0", Reason::json},
      {"\"\\", Reason::json},
      {"\"\\u", Reason::json},
      {"\"\\uD83D\\uDE0\"", Reason::json},
      {"\"\\U0041\"", Reason::json},
      {"\"\x01\"", Reason::json},
      {"\"\t\"", Reason::json},
      {"{\"\r\":1}", Reason::json},
      {"\"\xC0\x80\"", Reason::utf8},
      {"\"\xE0\x80\x80\"", Reason::utf8},
      {"\"\xF0\x80\x80\x80\"", Reason::utf8},
      {"\"\xED\xA0\x80\"", Reason::utf8},
      {"\"\xF4\x90\x80\x80\"", Reason::utf8},
      {"\"\xF8\x88\x80\x80\x80\"", Reason::utf8},
      {"\"\x80\"", Reason::utf8},
      {"\"\xC3\"", Reason::utf8},
      {"\"\xE4\xB8\"", Reason::utf8},
      {"\"\xFF\"", Reason::utf8},
      {"\"\\uD83D\"", Reason::utf8},
      {"\"\\uD83Dx\"", Reason::utf8},
      {"\"\\uD83D\\u0041\"", Reason::utf8},
      {"\"\\uDE00\"", Reason::utf8},
      {"\"\\uD83D\\n\"", Reason::utf8},
      {"\"\\uD83D\\\\\"", Reason::utf8},
      {"\"\\uD83D\\uD83D\"", Reason::utf8},
      {"{\"\\uD800\":1}", Reason::utf8},
      {"{\"\xED\xA0\x80\":1}", Reason::utf8},
      {"[\"\xC3\xA9\xC3\"]", Reason::utf8},
      {std::string("\xFF\xFE{\0}\0", 6), Reason::utf8},
      {"9223372036854775808", Reason::range},
      {"-9223372036854775809", Reason::range},
      {"1e999", Reason::range},
      {"[1180591620717411303424]", Reason::range},
      {"-1e999", Reason::range},
      {"1e400", Reason::range},
      {"{\"a\":[1e-400]}", Reason::range},
      {"18446744073709551615", Reason::range},
      {"18446744073709551616", Reason::range},
      {repeated("9", 100000), Reason::range},
      {"{\"a\":1,\"a\":1}", Reason::dup},
      {"{\"a\":1,\"\\u0061\":2}", Reason::dup},
      {"[{\"x\":{\"\":1,\"\":2}}]", Reason::dup},
  };
  for (const Refused& c : cases) {
    CAPTURE(c.text.substr(0, 40));
    const Reason got = reason_of(c.text);
    CHECK_MESSAGE(got == c.reason, std::string(reason_name(got)), " instead of ", std::string(reason_name(c.reason)));
  }
}

TEST_CASE("JSON that is valid is read exactly") {
  CHECK(parse_json(" [ ] ", "t") == Json::array());
  CHECK(parse_json("\t{\r\n}", "t") == Json::object());
  CHECK(parse_json("-0", "t") == Json(0));
  CHECK(std::signbit(parse_json("-0.0", "t").as_number("")));
  CHECK(parse_json("[-0,1 ,\t-2\n]", "t") == Json(Json::Array{0, 1, -2}));
  CHECK(parse_json("\r\n\t [ 1 , { \"a : b , \" : \"  x  \" } ]\r\n", "t") ==
        Json(Json::Array{1, Json::Object{{"a : b , ", "  x  "}}}));
  CHECK(parse_json("[[],{},true,false,null]", "t") ==
        Json(Json::Array{Json::array(), Json::object(), true, false, nullptr}));
  CHECK(parse_json("\"\"", "t") == Json(""));
  CHECK(parse_json(" \n9", "t") == Json(9));
  CHECK(parse_json("1.7976931348623157e308", "t").as_number("") == 1.7976931348623157e308);
  CHECK(parse_json("[2.2250738585072011e-308]", "t").as_array("")[0].as_number("") == 2.2250738585072011e-308);
  CHECK(parse_json("9223372036854775807", "t").as_integer("") == INT64_MAX);
  CHECK(parse_json("-9223372036854775808", "t").as_integer("") == INT64_MIN);
  CHECK(parse_json("1E3", "t") == Json(1000.0));
  CHECK(parse_json("0.1", "t").as_number("") == 0.1);
  CHECK(parse_json("5e-324", "t").as_number("") > 0);
  CHECK(parse_json("0." + repeated("0", 300) + "1e301", "t").as_number("") == 1.0);
  CHECK(parse_json(R"("\"\\\/\b\f\n\r\t\u0000\u00e9\uD83D\uDE00")", "t") ==
        Json(std::string("\"\\/\b\f\n\r\t\0\xC3\xA9\xF0\x9F\x98\x80", 15)));
  CHECK(parse_json("\"\x7f\xC3\xA9\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\"", "t").as_string("").size() == 13);
  CHECK(dump_json(parse_json(R"({"b":[1,{"a":null}],"a":true})", "t")) == R"({"b":[1,{"a":null}],"a":true})");
}

TEST_CASE("JSON errors say where") {
  CHECK_THROWS_WITH_AS(parse_json("{\"a\": [1, {\"b\": tru}]}", "f.json"),
                       "f.json: byte 16: a[1].b: want a value, got \"tru}]}\"", Error);
  CHECK_THROWS_WITH_AS(parse_json("[1, 2", "f.json"), "f.json: byte 5: [1]: want a comma or ], the text ends", Error);
  CHECK_THROWS_WITH_AS(parse_json("{\"k\": 1, \"k\": 2}", "f.json"),
                       "f.json: byte 15: key \"k\" appears twice in the object that ends here", Error);
  CHECK_THROWS_WITH_AS(parse_json("{\"\x1b[31m\": 1}", "f.json"),
                       "f.json: byte 2: want no control character in a string, got \"\\x1b[31m\": 1}\"", Error);
  const auto says = [](std::string_view text, const std::string& message) {
    CHECK_THROWS_WITH_AS(parse_json(text, "f"), ("f: " + message).c_str(), Error);
  };
  says("", "byte 0: want a value, the text ends");
  says(" \n\t", "byte 3: want a value, the text ends");
  says("{\"\xC3\xA9\\n\\u00e9\": [1,\r\n\t x]}", "byte 22: \\xc3\\xa9\\x5cn\\x5cu00e9[1]: want a value, got \"x]}\"");
  says("{\"a\": 1,  b}", "byte 10: a: want a key in quotes, got \"b}\"");
  says("{\"a\"  1}", "byte 6: a: want a colon, got \"1}\"");
  says("{\"a\": [] ]", "byte 9: a: want a comma or }, got \"]\"");
  says("[10  , 2  3]", "byte 10: [1]: want a comma or ], got \"3]\"");
  says("[1,]", "byte 3: [1]: want a value, got \"]\"");
  says("[[1], [2, [3, 4 5]]]", "byte 16: [1][1][1]: want a comma or ], got \"5]]]\"");
  says("01", "byte 1: want nothing after the document, got \"1\"");
  says("[-]", "byte 2: [0]: want a digit, got \"]\"");
  says("-", "byte 1: want a digit, the text ends");
  says("1.", "byte 2: want a digit, the text ends");
  says("[1e+ ]", "byte 4: [0]: want a digit, got \" ]\"");
  says("+1", "byte 0: want a value, got \"+1\"");
  says("[.5]", "byte 1: [0]: want a value, got \".5]\"");
  says("[NaN]", "byte 1: [0]: want a value, got \"NaN]\"");
  says("[0, 1e400 ]", "byte 4: [1]: number 1e400 does not fit a double");
  says("[ 18446744073709551615]", "byte 2: [0]: want a whole number of 64 bits, got 18446744073709551615");
  says(std::string_view("1 \0 1", 5), "byte 2: want nothing after the document, got \"\\x00 1\"");
  says("{} \n x", "byte 5: want nothing after the document, got \"x\"");
  says("[\"\\n\xC3\xA9\xC3\"]", "byte 6: [0]: want UTF-8, got \"\\xc3\"]\"");
  says("[\"ab\\u00e9 \\q\"]", "byte 11: [0]: want one of \"\\/bfnrtu after a backslash, got \"\\x5cq\"]\"");
  says("\"\\u12G4\"", "byte 1: want four hex digits after \\u, got \"\\x5cu12G4\"\"");
  says("\"\\\\\\uD83Dx\"", "byte 3: want both halves of a surrogate pair, got \"\\x5cuD83Dx\"\"");
  says("\"\\uD83D\\uD83D\"", "byte 7: want both halves of a surrogate pair, got \"\\x5cuD83D\"\"");
  says("\"\\uDE00", "byte 1: want both halves of a surrogate pair, got \"\\x5cuDE00\"");
  says("\"abc", "byte 4: want a closing quote, the text ends");
  says("\"abc\\", "byte 5: want a closing quote, the text ends");
  const Json value = parse_json("{\"r\": 8.5, \"n\": -1}", "f.json");
  CHECK_THROWS_WITH_AS(value.at("r", "f.json").as_integer("f.json: r"), "f.json: r: want an integer, got number",
                       Error);
  CHECK_THROWS_WITH_AS(value.at("n", "f.json").as_integer("f.json: n", 1, 9), "f.json: n: want 1 to 9, got -1", Error);
  CHECK_THROWS_WITH_AS(value.at("x", "f.json"), "f.json: \"x\" is missing", Error);
}

TEST_CASE("JSON has limits of depth and size") {
  for (const std::string open : {"[", "{\"a\":"}) {
    const std::string bomb = repeated(open, 1'000'000);
    allocations::reset_peak();
    CHECK(reason_of(bomb) == Reason::limit);
    if (FTLIB_COUNT_ALLOCATIONS) CHECK(allocations::peak_bytes() < 1 << 20);
  }
  CHECK(reason_of(repeated("[", 128) + repeated("]", 128)) == Reason::none);
  CHECK(reason_of(repeated("[", 129) + repeated("]", 129)) == Reason::limit);
  CHECK(reason_of("[[]]", {100, 1}) == Reason::limit);
  CHECK(reason_of(std::string(101, ' '), {100, 1}) == Reason::limit);
}

TEST_CASE("what one piece of JSON may take is limited, white space is not") {
  const auto reason = [](const std::string& text) {
    return reason_of(text, {.bytes = 1 << 24, .depth = 9, .token = 1000});
  };
  const std::string blanks(10'000, '\n'), fits(997, 'a'), words = repeated("null,", 199);
  CHECK(reason("\"" + fits + "\"") == Reason::none);
  CHECK(reason("[\"" + fits + "\",\"" + fits + "\",\"" + fits + "\"]") == Reason::none);
  CHECK(reason("[\"" + fits + "aaaa\"]") == Reason::limit);
  CHECK(reason("[\"" + fits + "aaaa") == Reason::limit);
  CHECK(reason("[" + words + "1," + words + "1]") == Reason::none);
  CHECK(reason("[" + words + words + "1]") == Reason::limit);
  CHECK(reason("[" + repeated("9", 1001) + "]") == Reason::limit);
  CHECK(reason(blanks + "{" + blanks + "\"a\"" + blanks + ":" + blanks + "1" + blanks + "," + blanks +
               "\"b\":" + "null" + blanks + "," + blanks + "\"c\" : {" + blanks + "} }" + blanks) == Reason::none);
}

TEST_CASE("a refusal holds no white space and a long string only a few times") {
  constexpr std::int64_t kBytes = std::int64_t{8} << 20;
  const auto peak = [](const std::string& text) {
    allocations::reset_peak();
    CHECK(reason_of(text) == Reason::json);
    return FTLIB_COUNT_ALLOCATIONS ? allocations::peak_bytes() : 0;
  };
  CHECK(peak(repeated("\n", kBytes) + "x") < 1 << 16);
  CHECK(peak("[1" + repeated("\r\n\t ", kBytes / 4) + ",x") < 1 << 16);
  CHECK(peak("[\"a\",\n" + repeated("\n", kBytes) + "\"\x01") < 1 << 16);
  CHECK(peak("\"" + std::string(kBytes, 'a')) < 16 * kBytes);
}

TEST_CASE("a string of a megabyte and an object of many keys are read in linear memory") {
  const std::string megabyte = "\"" + repeated("a\\n", 1 << 19) + "\"";
  CHECK(parse_json(megabyte, "t").as_string("").size() == 1 << 20);
  std::string object = "{";
  for (int i = 0; i < 200'000; ++i) object += concat(i ? "," : "", "\"key", i, "\":", i);
  object += "}";
  const Json value = parse_json(object, "t");
  CHECK(value.as_object("").size() == 200'000);
  CHECK(dump_json(value) == object);
  object.back() = ',';
  CHECK(reason_of(object + "\"key77777\":0}") == Reason::dup);
}

TEST_CASE("a host's comma-decimal locale changes no number") {
  const CommaLocale german;
  REQUIRE(german.set());
  CHECK(parse_json("[1.5, -2.25e-3]", "t") == Json(Json::Array{1.5, -0.00225}));
  CHECK(dump_json(Json(1234567.5)) == "1234567.5");
}

TEST_CASE("JSON is written as Python's json module writes it") {
  const Json expected = golden_json("io/reference.json");
  for (const Json& row : expected.at("json", "").as_array("")) {
    const std::string &dumps = row.at("dumps", "").as_string(""), &pretty = row.at("pretty", "").as_string("");
    const Json value = parse_json(dumps, "dumps");
    CHECK(dump_json(value, kPythonJson) == dumps);
    CHECK(dump_json(value, kPythonPrettyJson) == pretty);
    CHECK(dump_json(value) == row.at("compact", "").as_string(""));
  }
}

TEST_CASE("what JSON has no word for is written as null, and what is no UTF-8 is replaced") {
  CHECK(dump_json(Json(Json::Array{std::nan(""), INFINITY, -INFINITY})) == "[null,null,null]");
  CHECK(dump_json(Json("a\xFFz\xC3")) == "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
  CHECK(dump_json(Json("a\xFFz"), kPythonJson) == "\"a\\ufffdz\"");
}

TEST_CASE("every prefix and bit flip of a JSON text is read or refused") {
  const std::string good = R"({"a":[1,-2.5e-3,true,false,null,"x\n\u00e9\uD83D\uDE00é"],"b":{"c":{}}})";
  const auto read_or_refused = [](const std::string& text) {
    try {
      const Json value = parse_json(text, "t");
      CHECK(parse_json(dump_json(value), "t") == value);
      return true;
    } catch (const Error& error) {
      return error.status() != Status::invalid_file;
    }
  };
  CHECK(read_or_refused(good));
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) CHECK_FALSE(read_or_refused(good.substr(0, bytes)));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    read_or_refused(bad);
  }
  check_out_of_memory([&] { parse_json(good, "t"); });
}

TEST_CASE("excerpts are short and printable") {
  CHECK(excerpt("plain") == "plain");
  CHECK(excerpt("a\n\x1b\xFF\\") == "a\\x0a\\x1b\\xff\\x5c");
  CHECK(excerpt(std::string(1000, 'x')).size() == 64);
  CHECK(excerpt(std::string(1000, '\n')).size() <= 64);
  CHECK(excerpt(std::string(1000, 'x')).ends_with("..."));
}
