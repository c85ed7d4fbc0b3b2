// SPDX-License-Identifier: Apache-2.0
// What encode and decode promise for any bytes, any length and any number of threads.
#include <doctest/doctest.h>
#include <pthread.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "data/tokenizer_normalize.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/io/gguf.h"
#include "test_models.h"
#include "tokenizer_golden.h"

using namespace ftlib;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

Json tiny_json() { return golden_json("tokenizer_tiny.json"); }
Tokenizer load(const Json& json) { return Tokenizer::from_tokenizer_json(dump_json(json), "tiny"); }
const Tokenizer& tiny() {
  static const Tokenizer tokenizer = load(tiny_json());
  return tokenizer;
}

/// Valid text, cut and peppered with bytes that are not.
std::string damaged(SplitMix& draw, const GoldenStrings& strings) {
  std::string text = strings.make(static_cast<std::int64_t>(draw.below(24000)));
  for (std::size_t n = draw.below(6); n > 0; --n) {
    const std::size_t at = draw.below(text.size() + 1);
    switch (draw.below(3)) {
      case 0: text.insert(at, 1, static_cast<char>(draw.below(256))); break;
      case 1: text.erase(at, 1); break;
      default: text.insert(at, "\xED\xA0\x80\xC0\x80\xF5\xFF"); break;
    }
  }
  return text;
}

const GoldenStrings& strings() {
  static const GoldenStrings made(golden_json("tokenizer.json").at("recipe", ""));
  return made;
}

std::string repeat(std::string_view piece, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += piece;
  return text;
}

/// Runs `body` on a thread with a stack of `bytes`.
void on_small_stack(std::size_t bytes, std::function<void()> body) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, bytes) == 0);
  pthread_t thread;
  const auto entry = [](void* function) -> void* { return (*static_cast<std::function<void()>*>(function))(), nullptr; };
  REQUIRE(pthread_create(&thread, &attributes, entry, &body) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

Json with_pre_tokenizer(const char* variant) {
  Json json = tiny_json();
  const Json fixture = golden_json("tokenizer.json");
  for (const auto& [key, value] : fixture.at("variants", "").at(variant, "").at("patch", "").as_object(""))
    if (key != "model") json[key] = value;
  return json;
}

void check_spans(const Tokenizer& tokenizer, const std::string& text, bool special) {
  const Encoding encoding = tokenizer.encode_with_spans(text, special);
  REQUIRE(encoding.spans.size() == encoding.ids.size());
  CHECK(encoding.ids == tokenizer.encode(text, special));
  std::int64_t end = 0;
  bool exact = true;
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    const ByteSpan span = encoding.spans[i];
    exact &= span.begin == end && span.end > span.begin;
    const auto at = static_cast<std::size_t>(span.begin), bytes = static_cast<std::size_t>(span.end - span.begin);
    exact &= tokenizer.token_bytes(encoding.ids[i]) == std::string_view(text).substr(at, bytes);
    end = span.end;
  }
  CHECK(exact);
  CHECK(end == static_cast<std::int64_t>(text.size()));
}

}  // namespace

TEST_CASE("decode gives back every byte string, valid UTF-8 or not, and spans cover it") {
  SplitMix draw(1);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = damaged(draw, strings());
    for (const bool special : {false, true}) {
      CHECK(tiny().decode(tiny().encode(text, special)) == text);
      check_spans(tiny(), text, special);
    }
  }
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  check_spans(tiny(), all, false);
  CHECK(tiny().encode("").empty());
  CHECK(tiny().decode({}) == "");
}

TEST_CASE("invalid UTF-8 splits the text: what is valid around it is tokenised as texts of its own") {
  const auto joined = [](std::initializer_list<std::string_view> pieces) {
    std::vector<std::int32_t> ids;
    for (const std::string_view piece : pieces)
      for (const std::int32_t id : tiny().encode(piece)) ids.push_back(id);
    return ids;
  };
  CHECK(tiny().encode("one  \xFF  two") == joined({"one  ", "\xFF", "  two"}));
  CHECK(tiny().encode("é\xC3\x28") == joined({"é", "\xC3", "("}));
  CHECK(tiny().encode("\xED\xA0\x80") == std::vector<std::int32_t>{*tiny().token_id("\xED"), *tiny().token_id("\xA0"),
                                                                 *tiny().token_id("\x80")});
  CHECK(tiny().encode(std::string_view("a\0b", 3)) == joined({"a", std::string_view("\0", 1), "b"}));
}

TEST_CASE("a special token's text is plain text unless it is asked for; other added tokens always count") {
  const std::int32_t end = *tiny().token_id("<|im_end|>"), tool = *tiny().token_id("<tool>");
  const auto has = [](const std::vector<std::int32_t>& ids, std::int32_t id) { return std::ranges::count(ids, id) == 1; };
  const std::string text = "x<|im_end|>\n<tool>y";
  CHECK(!has(tiny().encode(text), end));
  CHECK(has(tiny().encode(text, true), end));
  CHECK(has(tiny().encode(text), tool));
  CHECK(tiny().is_special(end));
  CHECK(!tiny().is_special(tool));
  CHECK(tiny().decode(tiny().encode(text, true)) == text);
  CHECK(tiny().decode(tiny().encode(text, true), true) == "x\n<tool>y");
}

TEST_CASE("spans lead back through NFC, prefix blanks, stripped blanks and bytes without a token") {
  const auto spans = [](const Tokenizer& tokenizer, std::string_view text) {
    return tokenizer.encode_with_spans(text, true).spans;
  };
  const Tokenizer blank = load(with_pre_tokenizer("prefix blank"));
  CHECK(spans(blank, "q<|im_end|>q") == std::vector<ByteSpan>{{0, 0}, {0, 1}, {1, 11}, {11, 11}, {11, 12}});
  CHECK(spans(blank, " q") == std::vector<ByteSpan>{{0, 1}, {1, 2}});

  const Tokenizer nfc = load(with_pre_tokenizer("qwen 2"));
  CHECK(nfc.decode(nfc.encode("ae\xCC\x81z")) == "aéz");
  for (const ByteSpan span : spans(nfc, "ae\xCC\x81z")) CHECK((span.begin == 0 || span.begin == 1 || span.begin == 4));
  CHECK(spans(nfc, "ae\xCC\x81z").back() == ByteSpan{4, 5});

  const Tokenizer strip = load(with_pre_tokenizer("flags of added tokens"));
  CHECK(spans(strip, "q \n<strip>  q") == std::vector<ByteSpan>{{0, 1}, {1, 12}, {12, 13}});

  Json json = tiny_json();
  Json::Array merges = json["model"]["merges"].as_array("");
  std::erase_if(merges, [](const Json& merge) { return dump_json(merge).find("Ã") != std::string::npos; });
  json["model"]["merges"] = merges;
  Json vocab = Json::object();  // the byte C3 goes, and with it the tokens after it move down
  for (const auto& [token, id] : json["model"]["vocab"].as_object(""))
    if (token.find("Ã") == std::string::npos) vocab.append(token, static_cast<std::int64_t>(vocab.as_object("").size()));
  json["model"]["vocab"] = vocab;
  json["added_tokens"] = Json::array();
  const Tokenizer gap = load(json);
  CHECK(gap.missing_bytes() == "\xC3");
  CHECK(spans(gap, "qéq") == std::vector<ByteSpan>{{0, 1}, {2, 3}, {3, 4}});
}

TEST_CASE("an added token stands for its own text, whatever its letters mean as bytes") {
  const Tokenizer flags = load(with_pre_tokenizer("flags of added tokens"));
  const std::vector<std::int32_t> ids = flags.encode("qøé");
  CHECK(ids.back() == flags.token_id("øé"));
  CHECK(ids.back() >= 602);
  CHECK(flags.decode(ids) == "qøé");
  CHECK(flags.token_bytes(ids.back()) == "øé");
}

TEST_CASE("UTF-8 is what RFC 3629 says it is") {
  for (const std::string_view good : {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
                                      "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    CHECK(tokenizer::valid_prefix(good) == good.size());
  for (const std::string_view bad : {"\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xEF\xBF",
                                     "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    CHECK(tokenizer::valid_prefix(bad) == 0);
    CHECK(tokenizer::valid_prefix(std::string("plain text, more than eight bytes") + std::string(bad)) == 33);
    CHECK(tokenizer::invalid_prefix(bad) > 0);
  }
}

TEST_CASE("bytes that the vocabulary lacks are named, and give no token") {
  CHECK(tiny().missing_bytes().empty());
  const Tokenizer smollm = Tokenizer::from_gguf(GgufFile(test_model("SmolLM2-135M-Instruct.Q4_1.gguf")));
  CHECK(smollm.missing_bytes() ==
        std::string("\x04\x06\x13\x14\x16\x1d\xc0\xc1\xf1\xf2\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff"));
  const Encoding encoding = smollm.encode_with_spans("a\x04z");
  CHECK(smollm.decode(encoding.ids) == "az");
  CHECK(encoding.spans == std::vector<ByteSpan>{{0, 1}, {2, 3}});
  CHECK(smollm.encode("\x04").empty());
  SplitMix draw(2);
  for (int i = 0; i < 500; ++i) {
    std::string text = damaged(draw, strings());
    const std::string back = smollm.decode(smollm.encode(text));
    std::erase_if(text, [&](char c) { return smollm.missing_bytes().find(c) != std::string::npos; });
    CHECK(back == text);
  }
}

TEST_CASE("long runs take neither quadratic time nor stack") {
  std::string zwj = repeat("\U0001F469\u200D", kMiB), marks = "a" + repeat("\u0301\u0323\u0345", kMiB);
  const std::string texts[] = {std::string(kMiB, 'a'),  std::string(kMiB, '\n'), std::string(kMiB, ' ') + "x",
                               repeat("漢", kMiB),      repeat("\uFDFA", kMiB),  repeat("1", kMiB),
                               repeat("\n ", kMiB),     repeat("'s", kMiB),      repeat("\xFF", kMiB),
                               repeat("<|im_", kMiB),   repeat("\xFF" "a", kMiB), repeat("\u1161", kMiB),
                               std::string(kMiB, '\0'), zwj,                     marks};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr std::size_t kStack = 512 << 10;
#else
  constexpr std::size_t kStack = 64 << 10;
#endif
  for (const char* variant : {"as trained", "qwen 2", "gpt 4o"}) {
    CAPTURE(variant);
    const Tokenizer tokenizer = load(with_pre_tokenizer(variant));
    std::vector<std::string> back(std::size(texts));
    on_small_stack(kStack, [&] {
      for (std::size_t i = 0; i < back.size(); ++i) back[i] = tokenizer.decode(tokenizer.encode(texts[i], true));
    });
    for (std::size_t i = 0; i < back.size(); ++i) {
      CAPTURE(i);
      tokenizer::Nfc nfc;
      std::string want(std::string_view(variant) == "qwen 2" ? nfc.apply(texts[i]) : texts[i]);
      CHECK(back[i].size() == want.size());
      CHECK((back[i] == want));
    }
  }
}

TEST_CASE("NFC orders and composes as the Unicode standard does, and keeps what is not UTF-8") {
  tokenizer::Nfc nfc;
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"e\u0301", "\u00e9"},
      {"\u00e9\u0323", "\u1eb9\u0301"},
      {"q\u0307\u0323", "q\u0323\u0307"},
      {"\u212b", "\u00c5"},
      {"\u0958", "\u0915\u093c"},
      {"\u1100\u1161\u11a8", "\uac01"},
      {"\uac00\u11a7", "\uac00\u11a7"},
      {"\uac00\u11a8", "\uac01"},
      {"\U0002f8a6", "\u6148"},
      {"\xFF" "e\u0301\xCC", "\xFF" "\u00e9\xCC"},
      {"\u0301e", "\u0301e"},
      {"\u00e9e\u0301\u00e9", "\u00e9\u00e9\u00e9"}};
  for (const auto& [text, want] : cases) CHECK(nfc.apply(text) == want);
}

TEST_CASE("threads that share a tokenizer get the ids that one gets") {
  const auto all = [](const Tokenizer& tokenizer) {
    IdsDigest digest;
    for (std::int64_t i = 0; i < 400; ++i) digest.add(tokenizer.encode(strings().make(i), true));
    return digest.hex();
  };
  const std::string want = all(load(tiny_json()));
  const Tokenizer shared = load(tiny_json());
  std::vector<std::string> got(4);
  std::vector<std::thread> threads;
  for (std::string& result : got) threads.emplace_back([&result, &all, copy = shared] { result = all(copy); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : got) CHECK(result == want);
}

TEST_CASE("ids and texts out of range are errors") {
  const std::int32_t bad[] = {602};
  CHECK_THROWS_WITH_AS(tiny().decode(bad), "[decode] token id 602, want 0 to 601", Error);
  CHECK_THROWS_WITH_AS(tiny().token_bytes(-1), "[token_bytes] token id -1, want 0 to 601", Error);
  CHECK_THROWS_AS(tiny().is_special(602), Error);
  CHECK_THROWS_WITH_AS(tiny().encode(std::string_view("", std::size_t{1} << 31)),
                       "[encode] text of 2147483648 bytes, want at most 2147483647; split it at a line", Error);
  CHECK(!tiny().token_id("no such token"));
  for (std::int32_t id = 0; id < tiny().vocab_size(); ++id) CHECK(tiny().token_id(tiny().token_bytes(id)) == id);
}

TEST_CASE("the digest names everything that decides ids, and nothing else") {
  CHECK(tiny().digest() == "4d5843fec6adad78118b3a51c4bc388c8f44d085165e8fc37ff975e1b632b744");
  const auto changed = [](const std::function<void(Json&)>& change) {
    Json json = tiny_json();
    change(json);
    return load(json).digest() != tiny().digest();
  };
  CHECK(!changed([](Json& json) { json["truncation"] = Json::object(); }));
  CHECK(changed([](Json& json) { json["normalizer"] = parse_json(R"({"type":"NFC"})", ""); }));
  CHECK(changed([](Json& json) { json["model"]["ignore_merges"] = true; }));
  CHECK(changed([](Json& json) { json["model"]["unk_token"] = "<|im_end|>"; }));
  CHECK(changed([](Json& json) { json["pre_tokenizer"]["add_prefix_space"] = true; }));
  CHECK(changed([](Json& json) { json["pre_tokenizer"]["use_regex"] = false; }));
  CHECK(changed([](Json& json) {
    Json::Array merges = json["model"]["merges"].as_array("");
    std::swap(merges[0], merges[1]);
    json["model"]["merges"] = merges;
  }));
  for (const char* flag : {"special", "lstrip", "rstrip", "normalized"})
    CHECK(changed([&](Json& json) {
      Json::Array added = json["added_tokens"].as_array("");
      added[0][flag] = !added[0][flag].as_bool("");
      json["added_tokens"] = added;
    }));
}
