// SPDX-License-Identifier: Apache-2.0
// Rows JL 1-19 of the catalogue of hostile files. Elsewhere: 12-14 in test_supervision.cpp (a record without a trained
// token is refused with its line, not skipped), 17 and 18 also in test_run.cpp. A role is the template's business (9):
// a chat template that does not know one raises, and the record is refused with its line. Not read: 16, pairs of
// preferences; and what gzip holds (15).
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>

#include "error_of.h"
#include "ftlib/core/digest.h"
#include "ftlib/data/record.h"
#include "temporary_folder.h"

using namespace ftlib;

namespace {

struct File {
  TemporaryFolder folder;
  std::string path = folder / "data.jsonl";
  explicit File(std::string_view content) { std::ofstream(path, std::ios::binary) << content; }
};

/// What reading a file with this content ends with: "REASON path-less message", or "".
std::string failure(std::string_view content) {
  const File file(content);
  const Error error = error_of([&] { read_records(file.path); });
  if (error.status() == Status::ok) return "";
  std::string message = error.what();
  if (message.starts_with(file.path)) message.erase(0, file.path.size());
  return concat(reason_name(error.reason()), " ", message);
}

}  // namespace

TEST_CASE("a file's records come in order with their lines, ids, groups and weights") {
  const std::string content =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"content\": \"b\", \"role\": \"assistant\"}]}\n"
      "\n"
      "{\"id\": \"x\", \"group\": \"g\", \"weight\": 0.5, \"prompt\": \"p\", \"completion\": \"c\"}\r\n"
      "  \t\r\n"
      "{\"id\": 7, \"weight\": 3, \"text\": \"t\\n\\u00e9\"}\n"
      "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"completion\": [{\"role\": \"assistant\", "
      "\"content\": \"r\"}]}";
  const File file(content);
  const RecordFile read = read_records(file.path);
  REQUIRE(read.records.size() == 4);
  CHECK(read.digest == sha256_hex(content));
  CHECK(read.records[0].kind == Record::Kind::messages);
  CHECK(read.records[0].id == "1");
  CHECK(read.records[0].weight == 1);
  CHECK(read.records[0].messages == std::vector<Message>{{"user", "a"}, {"assistant", "b"}});
  CHECK(read.records[1].kind == Record::Kind::completion);
  CHECK(read.records[1].id == "x");
  CHECK(read.records[1].group == "g");
  CHECK(read.records[1].weight == 0.5);
  CHECK(read.records[1].prompt + read.records[1].completion == "pc");
  CHECK(read.records[1].line == 3);
  CHECK(read.records[2].kind == Record::Kind::text);
  CHECK(read.records[2].id == "7");
  CHECK(read.records[2].text == "t\n\xc3\xa9");
  CHECK(read.records[3].kind == Record::Kind::messages);
  CHECK(read.records[3].messages.size() == 2);
  CHECK(read.records[3].prompt_messages == 1);
  CHECK(read.records[0].prompt_messages == 0);
  CHECK(read.records[3].id == "6");
}

TEST_CASE("a byte order mark before the first record is read over") {
  const File file("\xEF\xBB\xBF{\"text\": \"a\"}\n");
  CHECK(read_records(file.path).records.size() == 1);
  CHECK(failure("{\"text\": \"a\"}\n\xEF\xBB\xBF{\"text\": \"a\"}\n")
            .starts_with("JSON :2:1: begins with a byte order mark"));
}

TEST_CASE("what is wrong with a record is said with line, column and reason") {
  const auto begins = [](std::string_view content, std::string_view message) {
    const std::string got = failure(content);
    INFO(got);
    CHECK(got.starts_with(message));
  };
  begins("", "SCHEMA : has no record");
  begins(" \n\r\n\t", "SCHEMA : has no record");
  begins("{\"text\": \"a\"}\n{\"text\": a}\n", "JSON :2:10: text: want a value, got \"a}\"");
  begins("{\"text\": \"\xc3\xa9\xe6\x97\xa5\", x", "JSON :1:16: ");
  begins("{\"text\": \"a\"}\n{\"text\": \"b", "TRUNC :2:12: text: want a closing quote, the text ends");
  begins("{\"text\": \"b\n{}", "TRUNC :1:12: ");
  begins("{\"text\": \"b\"", "TRUNC ");
  begins("{\"text\": \"b\",}", "JSON ");
  begins("{\"text\": \"b\"} x", "JSON :1:15: want nothing after the document");
  begins("{\"text\": \"\xff\"}", "UTF8 :1:11: ");
  begins("{\"text\": \"\\uD83D\"}", "UTF8 :1:");
  begins(std::string_view("\xff\xfe{\0", 4), "UTF8 :1:1: is UTF-16");
  begins(std::string_view("{\0\"\0t\0", 6), "UTF8 :1:2: a NUL byte");
  begins(std::string_view("{\"text\": \"a\0b\"}", 15), "UTF8 :1:12: a NUL byte");
  begins("[1]", "SCHEMA :1:1: [0]: want a record as an object, got a list");
  begins("5", "SCHEMA :1:1: ");
  begins("null", "SCHEMA :1:1: ");
  begins("{}", "SCHEMA :1:2: want either messages, or prompt and completion, or text");
  begins("{\"text\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}", "SCHEMA ");
  begins("{\"prompt\": \"b\"}", "SCHEMA :1:15: a prompt without a completion");
  begins("{\"completion\": \"b\"}", "SCHEMA :1:19: a completion without a prompt");
  begins("{\"prompt\": \"b\", \"completion\": [{\"role\": \"a\", \"content\": \"b\"}]}", "SCHEMA ");
  begins("{\"prompt\": 5, \"completion\": \"b\"}", "SCHEMA :1:12: ");
  begins("{\"text\": \"a\", \"txet\": \"b\"}", "SCHEMA :1:15: txet: unknown key \"txet\"");
  begins("{\"text\": \"a\", \"text\": \"b\"}", "DUP :1:15: ");
  begins("{\"prompt\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}", "DUP ");
  begins("{\"prompt\": \"a\", \"pr\\u006fmpt\": \"b\", \"completion\": \"c\"}", "DUP ");
  begins("{\"text\": null}", "SCHEMA :1:10: text: want text as a string, got null");
  begins("{\"text\": \"a\", \"id\": 1.5}", "SCHEMA :1:21: ");
  begins("{\"text\": \"a\", \"id\": 1180591620717411303424}", "RANGE ");
  begins("{\"text\": \"a\", \"id\": null}", "SCHEMA ");
  begins("{\"text\": \"a\", \"group\": 5}", "SCHEMA ");
  begins("{\"text\": \"a\", \"weight\": \"1\"}", "SCHEMA ");
  begins("{\"text\": \"a\", \"weight\": -1}", "RANGE :1:25: weight: want a weight from 0 to the largest float, got -1");
  begins("{\"text\": \"a\", \"weight\": 1e39}", "RANGE ");
  begins("{\"text\": \"a\", \"weight\": 1e999}", "RANGE ");
  begins("{\"text\": \"a\", \"weight\": NaN}", "JSON ");
  begins("{\"messages\": []}", "SCHEMA :1:15: messages: messages is empty");
  begins("{\"messages\": {}}", "SCHEMA ");
  begins("{\"messages\": [\"a\"]}", "SCHEMA :1:15: messages[0]: want a message as an object, got a string");
  begins("{\"messages\": [{\"role\": \"user\"}]}", "SCHEMA ");
  begins("{\"messages\": [{\"content\": \"user\"}]}", "SCHEMA ");
  begins("{\"messages\": [{}]}", "SCHEMA ");
  begins("{\"messages\": [{\"role\": \"user\", \"content\": null}]}",
         "SCHEMA :1:43: messages[0].content: want content as a string");
  begins("{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"name\": \"b\"}]}",
         "SCHEMA :1:48: messages[0].name: unknown key \"name\"");
  begins("{\"messages\": [{\"role\": \"user\", \"role\": \"a\", \"content\": \"a\"}]}", "DUP ");
  begins("{\"messages\": [{\"role\": 5, \"content\": \"a\"}]}", "SCHEMA ");
  begins("{\"text\": " + std::string(100'000, '['), "SCHEMA ");
  begins("{\"prompt\": [" + std::string(100'000, '['), "SCHEMA ");
  begins(std::string(100'000, '{'), "JSON ");
  begins("{\t\"text\"\t:\t\"\xc3\xa9\\n\xe6\x97\xa5\"\t,\tx}", "JSON :1:21: text: want a key in quotes, got \"x}\"");
  begins("{\"text\": \"\xc3\xa9\\u00e9\t\"}",
         "JSON :1:18: text: want no control character in a string, got \"\\x09\"}\"");
  begins("{\"text\": \"\xf0\x9f\x98\x80\", \"weight\": 01}", "JSON :1:26: weight: want a comma or }, got \"1}\"");
  begins("{\"text\": \"\", \"weight\": 1e400}", "RANGE :1:24: weight: number 1e400 does not fit a double");
  begins("{\"text\": \"a\", \"weight\": -", "TRUNC :1:26: weight: want a digit, the text ends");
  begins("{\"text\": \"a\", \"weight\": 1", "TRUNC :1:26: weight: want a comma or }, the text ends");
  begins("{\"text\": \"a\"\r,\r\n", "TRUNC :1:15: text: want a key in quotes, the text ends");
  begins("{\"text\": \"\\", "TRUNC :1:12: text: want a closing quote");
  begins("{\"text\": tru", "JSON :1:10: text: want a value, got \"tru\"");
  begins("{\"te\\ud800xt\": 1}", "UTF8 :1:5: want both halves of a surrogate pair");
  begins("{\"messages\": [{\"role\": \"a\", \"content\": \"b\"}, 5]}",
         "SCHEMA :1:46: messages[1]: want a message as an object, got a number");
  begins("{\"messages\": [{\"role\": \"a\", \"content\": \"b\"}], \"text\": \"a\"}",
         "SCHEMA :1:58: want either messages");
  begins("{\"prompt\": [{\"role\": \"a\", \"content\": \"b\"}], \"completion\": \"a\"}",
         "SCHEMA :1:62: want prompt and completion both");
  begins("{\"text\": \"a\", \"id\": true}", "SCHEMA :1:21: id: want id as a string, got true or false");
}

TEST_CASE("a weight of minus zero is zero") {
  const Record record = parse_record("{\"text\": \"a\", \"weight\": -0.0}", "x", 1);
  CHECK_FALSE(std::signbit(record.weight));
}

TEST_CASE("files of other kinds are named, not parsed") {
  for (const auto& [bytes, word] : {std::pair<std::string_view, std::string_view>{"\x1f\x8b\x08\x00", "gzip"},
                                    {"PK\x03\x04", "zip"},
                                    {"\x80\x04\x95", "pickle"},
                                    {"PAR1", "Parquet"},
                                    {"\x28\xb5\x2f\xfd", "zstd"},
                                    {"\xfd"
                                     "7zXZ",
                                     "xz"},
                                    {"BZh9", "bzip2"},
                                    {"ARROW1", "Arrow"}}) {
    const std::string got = failure(bytes);
    INFO(got);
    CHECK(got.starts_with("MAGIC "));
    CHECK(got.find(word) != got.npos);
  }
}

TEST_CASE("a folder, a pipe and a missing file are refused at once") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(error_of([&] { read_records(folder.path()); }).status() == Status::io_error);
  CHECK(error_of([&] { read_records(folder / "pipe"); }).status() == Status::io_error);
  CHECK(error_of([&] { read_records(folder / "nothing"); }).status() == Status::not_found);
}

TEST_CASE("a line of 16 MiB is read, a longer one is refused without being held") {
  const std::size_t frame = std::string_view("{\"text\": \"\"}").size();
  const std::string longest = "{\"text\": \"" + std::string((std::size_t{16} << 20) - frame, 'a') + "\"}";
  const File fits(longest + "\n{\"text\": \"b\"}\n");
  CHECK(read_records(fits.path).records.size() == 2);
  CHECK(failure(longest + " \n").starts_with("LIMIT :1:1: a line of more than 16777216 bytes"));

  const TemporaryFolder folder;
  const std::string endless = folder / "endless.jsonl";
  std::ofstream(endless) << "{";
  REQUIRE(::truncate(endless.c_str(), std::int64_t{10} << 30) == 0);  // sparse: ten GiB without a line end
  struct rusage before {}, after {};
  ::getrusage(RUSAGE_SELF, &before);
  CHECK(error_of([&] { read_records(endless); }).reason() == Reason::limit);
  ::getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < 64 * 1024);
}

TEST_CASE("a file that shrinks, grows or is replaced while it is read is an error") {
  std::string content;
  for (int i = 0; i < 30'000; ++i) content += "{\"text\": \"some text to fill the file with\"}\n";
  const auto disturbed = [&](const auto& disturb) {
    const File file(content);
    RecordReader reader(file.path);
    reader.next();
    disturb(file);
    return error_of([&] { while (reader.next()) {} }).reason();
  };
  CHECK(disturbed([](const File& file) { REQUIRE(::truncate(file.path.c_str(), 100) == 0); }) == Reason::changed);
  CHECK(disturbed([](const File& file) { std::ofstream(file.path, std::ios::app) << "{}"; }) == Reason::changed);
  CHECK(disturbed([&](const File& file) {
          std::ofstream(file.folder / "new") << content;
          REQUIRE(::rename((file.folder / "new").c_str(), file.path.c_str()) == 0);
        }) == Reason::changed);
  CHECK(disturbed([](const File&) {}) == Reason::none);
}

TEST_CASE("lines that straddle the reader's pieces come out whole") {
  std::string content;
  for (int i = 0; i < 300; ++i)
    content += "{\"text\": \"" + std::string(static_cast<std::size_t>(i * 37 % 5000), 'x') + "\"}\n";
  const File file(content);
  RecordReader reader(file.path);
  for (int i = 0; i < 300; ++i) {
    const auto record = reader.next();
    REQUIRE(record.has_value());
    CHECK(record->text.size() == static_cast<std::size_t>(i * 37 % 5000));
    CHECK(record->line == i + 1);
  }
  CHECK(reader.digest().empty());
  CHECK_FALSE(reader.next().has_value());
  CHECK_FALSE(reader.next().has_value());
  CHECK(reader.count() == 300);
  CHECK(reader.digest() == sha256_hex(content));
}

TEST_CASE("a list of messages on one line is read as the commands read it") {
  CHECK(parse_messages("[{\"role\": \"user\", \"content\": \"a\"}]", "stdin", 4) ==
        std::vector<Message>{{"user", "a"}});
  CHECK(parse_messages(" [ {\"content\": \"b\", \"role\": \"a\"} , {\"role\": \"c\", \"content\": \"\"} ] ", "stdin",
                       4) == std::vector<Message>{{"a", "b"}, {"c", ""}});
  CHECK(std::string(error_of([] { parse_messages("7", "stdin", 4); }).what()) ==
        "stdin:4:1: want a list of messages as a list, got a number");
  const Error error = error_of([] { parse_messages("[]", "stdin", 4); });
  CHECK(std::string(error.what()).starts_with("stdin:4:2: "));
  CHECK(error_of([] { parse_messages("{}", "stdin", 1); }).reason() == Reason::schema);
  CHECK(error_of([] { parse_messages("[{\"role\": \"user\", \"content\": \"a\"}] 1", "stdin", 1); }).reason() ==
        Reason::json);
}
