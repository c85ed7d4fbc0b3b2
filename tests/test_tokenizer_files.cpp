// SPDX-License-Identifier: Apache-2.0
// What a tokenizer's file may say, and what it is refused for: by name, with its JSON path. Rows TK 1-23 of the
// catalogue of hostile files and GG 35-37. Refused as a whole, so that their rows have nothing to test: byte_fallback
// (14), Unigram and its charsmap (17, 21), WordPiece (22). TK 13 is in test_cli_hostile.cpp, 24-27 are in
// test_tokenizer_limits.cpp.
#include <doctest/doctest.h>

#include <fstream>
#include <functional>

#include "ftlib/data/chat_template.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/io/gguf.h"
#include "golden.h"
#include "temporary_folder.h"

using namespace ftlib;

namespace {

const Json& tiny() {
  static const Json json = golden_json("tokenizer_tiny.json");
  return json;
}

Tokenizer load(const Json& json) { return Tokenizer::from_tokenizer_json(dump_json(json), "t.json"); }

Json parse(const std::string& text) { return parse_json(text, "test"); }

/// Loading fails with this reason and a message that has `says` and no control character; a good file then loads.
void check_refused(const std::function<void()>& loading, Reason reason, const std::string& says) {
  CAPTURE(says);
  try {
    loading();
    FAIL_CHECK("not refused");
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(error.status() == Status::invalid_file);
    CHECK_MESSAGE(error.reason() == reason, reason_name(error.reason()), " ", message);
    CHECK_MESSAGE(message.find(says) != message.npos, message);
    CHECK(message.size() < 500);
    for (const char c : message) CHECK_MESSAGE(static_cast<unsigned char>(c) >= 0x20, message);
  }
  CHECK(load(tiny()).vocab_size() == 602);
}

struct Refusal {
  const char* path;   // keys from the root, separated by dots
  const char* value;  // JSON that replaces the value
  Reason reason;
  const char* says;
};

Json replaced(Json json, std::string path, const Json& value) {
  Json* at = &json;
  for (std::size_t dot; (dot = path.find('.')) != path.npos; path.erase(0, dot + 1)) at = &(*at)[path.substr(0, dot)];
  (*at)[path] = value;
  return json;
}

constexpr Refusal kRefusals[] = {
    {"version", R"("2.0")", Reason::version, R"(t.json: $.version: "2.0", want "1.0")"},
    {"surprise", "1", Reason::unsupported, R"(t.json: $: "surprise" is not a field)"},
    {"truncation", "3", Reason::schema, "$.truncation: want an object"},
    {"padding", R"({"length":9223372036854775808})", Reason::range, "padding"},
    {"model", "null", Reason::schema, "$.model"},
    {"model.type", R"("WordPiece")", Reason::unsupported, R"($.model.type: "WordPiece", supported is "BPE")"},
    {"model.type", R"("Unigram")", Reason::unsupported, "Unigram"},
    {"model.type", "null", Reason::unsupported, "$.model.type is missing"},
    {"model.dropout", "0.1", Reason::unsupported, "$.model.dropout: got 0.1, supported is null"},
    {"model.unk_token", R"("<unk>")", Reason::mismatch, R"($.model.unk_token: "<unk>" is no token)"},
    {"model.continuing_subword_prefix", R"("##")", Reason::unsupported, "continuing_subword_prefix"},
    {"model.end_of_word_suffix", R"("</w>")", Reason::unsupported, "end_of_word_suffix"},
    {"model.byte_fallback", "true", Reason::unsupported, "$.model.byte_fallback: got true, supported is false"},
    {"model.ignore_merges", "1", Reason::schema, "$.model.ignore_merges: want true or false"},
    {"model.cache", "1", Reason::unsupported, R"($.model: "cache" is not a field)"},
    {"model.vocab", "[]", Reason::schema, "$.model.vocab: want an object"},
    {"model.vocab", "{}", Reason::schema, "\"<tool>\" has id 600, want 3"},
    {"model.vocab.zz", "-1", Reason::range, R"($.model.vocab."zz": token id -1)"},
    {"model.vocab.zz", "1.5", Reason::schema, R"($.model.vocab."zz": want a token id)"},
    {"model.vocab.zz", "2147483648", Reason::range, "token id 2147483648"},
    {"model.vocab.zz", R"("7")", Reason::schema, "got a string"},
    {"model.vocab.zz", "7", Reason::dup, "token id 7 is taken by"},
    {"model.vocab.zz", "700", Reason::mismatch, "token id 700 of 601 tokens"},
    {"model.merges", R"(["ab"])", Reason::schema, R"($.model.merges[0]: "ab", want two tokens)"},
    {"model.merges", R"(["a b c"])", Reason::schema, "$.model.merges[0]"},
    {"model.merges", R"([" b"])", Reason::schema, "$.model.merges[0]"},
    {"model.merges", R"(["a "])", Reason::schema, "$.model.merges[0]"},
    {"model.merges", R"([["a","b","c"]])", Reason::schema, "$.model.merges[0]: 3 parts"},
    {"model.merges", R"([["a",1]])", Reason::schema, "$.model.merges[0]: want two strings"},
    {"model.merges", R"([["\u0120","\u0120"],"a b"])", Reason::schema, "$.model.merges[1]: got a string"},
    {"model.merges", R"([1])", Reason::schema, "$.model.merges[0]: got a number"},
    {"model.merges", R"([["\u0120","nothing"]])", Reason::mismatch, R"($.model.merges[0]: "nothing" is no token)"},
    {"model.merges", R"([["<","t"]])", Reason::mismatch, R"("<t" is no token of $.model.vocab)"},
    {"model.merges", R"([["\u0120","\u0120"],["\u0120","\u0120"]])", Reason::dup, "$.model.merges[1]"},
    {"model.merges", R"([["",""]])", Reason::mismatch, "$.model.merges[0]"},
    {"added_tokens", "{}", Reason::schema, "$.added_tokens: want an array"},
    {"added_tokens", R"([{"id":600,"content":""}])", Reason::schema, "$.added_tokens[0].content is empty"},
    {"added_tokens", R"([{"id":3,"content":"<x>"}])", Reason::dup, R"(id 3 of "<x>" is taken by)"},
    {"added_tokens", R"([{"id":601,"content":"<x>"}])", Reason::schema, R"("<x>" has id 601, want 600)"},
    {"added_tokens", R"([{"id":9,"content":"<|im_end|>"}])", Reason::mismatch, "has id 9 here and 2 before"},
    {"added_tokens", R"([{"id":600,"content":"<x>"},{"id":600,"content":"<x>"}])", Reason::dup, "appears twice"},
    {"added_tokens", R"([{"id":-1,"content":"<x>"}])", Reason::range, "$.added_tokens[0].id"},
    {"added_tokens", R"([{"id":600,"content":"<x>","single_word":true}])", Reason::unsupported, "single_word: got true"},
    {"added_tokens", R"([{"id":600,"content":"<x>","color":1}])", Reason::unsupported, R"("color" is not a field)"},
    {"added_tokens", R"([{"id":130,"content":"\u00c3"}])", Reason::unsupported, "is also the token of byte 195"},
    {"normalizer", R"({"type":"NFKC"})", Reason::unsupported, R"($.normalizer.type: "NFKC", supported are null and "NFC")"},
    {"normalizer", R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]})", Reason::unsupported,
     "$.normalizer.normalizers[1].type: \"Lowercase\""},
    {"pre_tokenizer", "null", Reason::unsupported, "$.pre_tokenizer: no ByteLevel step"},
    {"pre_tokenizer", R"({"type":"Whitespace"})", Reason::unsupported, R"($.pre_tokenizer.type: "Whitespace")"},
    {"pre_tokenizer", R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false},{"type":"Digits"}]})",
     Reason::unsupported, "$.pre_tokenizer.pretokenizers[1]: a step after ByteLevel"},
    {"pre_tokenizer", R"({"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"ByteLevel"}]})", Reason::schema,
     "add_prefix_space"},
    {"pre_tokenizer", R"({"type":"Split","pattern":{"String":"x"},"behavior":"Isolated"})", Reason::unsupported,
     R"($.pre_tokenizer.pattern: "String" is not a field)"},
    {"pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Removed"})", Reason::unsupported,
     R"($.pre_tokenizer.behavior: got "Removed", supported is "Isolated")"},
    {"pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Isolated","invert":true})",
     Reason::unsupported, "$.pre_tokenizer.invert: got true"},
    {"post_processor", R"({"type":"BertProcessing"})", Reason::unsupported, R"($.post_processor.type: "BertProcessing")"},
    {"post_processor", R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}],"special_tokens":{}})",
     Reason::mismatch, R"("<s>" is not among special_tokens)"},
    {"post_processor",
     R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|im_start|>"}}],
         "special_tokens":{"<|im_start|>":{"id":"<|im_start|>","ids":[7]}}})",
     Reason::mismatch, "id 7 is not the token \"<|im_start|>\""},
    {"decoder", "null", Reason::unsupported, "$.decoder: 0 steps"},
    {"decoder", R"({"type":"WordPiece"})", Reason::unsupported, R"($.decoder.type: "WordPiece")"},
};

Json split_by(const std::string& pattern) {
  Json step = parse(R"({"type":"Split","pattern":{"Regex":""},"behavior":"Isolated","invert":false})");
  step["pattern"]["Regex"] = pattern;
  Json steps = parse(R"({"type":"Sequence","pretokenizers":[]})");
  steps["pretokenizers"].push_back(step);
  steps["pretokenizers"].push_back(parse(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})"));
  return replaced(tiny(), "pre_tokenizer", steps);
}

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

}  // namespace

TEST_CASE("tokenizer.json is refused by field for what is wrong or not supported") {
  for (const Refusal& c : kRefusals) {
    CAPTURE(c.path);
    CAPTURE(c.value);
    check_refused([&] { load(replaced(tiny(), c.path, parse_json(c.value, "t.json: padding"))); }, c.reason, c.says);
  }
}

TEST_CASE("tokenizer.json is refused before it is understood") {
  const std::string good = dump_json(tiny());
  const auto from = [](const std::string& text) { return [text] { Tokenizer::from_tokenizer_json(text, "t.json"); }; };
  check_refused(from(""), Reason::json, "t.json");
  check_refused(from("hello"), Reason::json, "t.json");
  check_refused(from("[]"), Reason::schema, "t.json: $: want an object");
  check_refused(from("\xEF\xBB\xBF" + good), Reason::json, "byte order mark");
  check_refused(from(std::string("\xFF\xFE{\0}\0", 6)), Reason::utf8, "t.json");
  check_refused(from(std::string(100000, '[')), Reason::limit, "t.json");
  check_refused(from(good.substr(0, good.find("merges"))), Reason::json, "t.json");
  check_refused(from(good + "x"), Reason::json, "t.json");
  check_refused(from("{\"model\":{\"vocab\":{\"a\":0,\"a\":1}}}"), Reason::dup, "t.json");
  check_refused(from("{\"version\":\"\\ud800\"}"), Reason::utf8, "t.json");
  std::string deep = R"({"type":"NFC"})";
  for (int i = 0; i < 10000; ++i) deep = R"({"type":"Sequence","normalizers":[)" + deep + "]}";
  check_refused(from("{\"normalizer\":" + deep + "}"), Reason::limit, "t.json");
  check_refused(from("{\"\\u001b[31m\\u0000\":1}"), Reason::unsupported, "\\x1b[31m\\x00");
}

TEST_CASE("a tokenizer.json of 2 GB is refused before it is read, and merges cost time in proportion") {  // TK 10, 23
  const TemporaryFolder folder;
  write(folder / "tokenizer.json", "{");
  std::filesystem::resize_file(folder / "tokenizer.json", std::int64_t{2} << 30);
  check_refused([&] { Tokenizer::from_huggingface(folder.path()); }, Reason::limit, "tokenizer.json");
  std::string merges, vocab;
  for (int i = 0; i < 100000; ++i) {
    merges += concat(i ? "," : "", "\"a", i, " b\"");
    vocab += concat(",\"a", i, "\":", 2 * i + 1, ",\"a", i, "b\":", 2 * i + 2);
  }
  const Json model = parse(concat(R"({"type":"BPE","vocab":{"b":0)", vocab, R"(},"merges":[)", merges, "]}"));
  CHECK(load(replaced(replaced(tiny(), "model", model), "added_tokens", Json::array())).vocab_size() == 200001);
}

TEST_CASE("a chat template of 10 MB loads with its file and is refused where it is used") {  // GG 37
  const TemporaryFolder folder;
  write(folder / "tokenizer.json", dump_json(tiny()));
  write(folder / "chat_template.jinja", std::string(10 << 20, 'x'));
  const Tokenizer tokenizer = Tokenizer::from_huggingface(folder.path());
  check_refused([&] { ChatTemplate(*tokenizer.chat_template(), "", ""); }, Reason::limit, "chat template");
}

TEST_CASE("patterns that mean two things, or nothing, are refused with their byte") {
  const std::pair<const char*, const char*> cases[] = {
      {"(", "missing"},         {"[a", "closing bracket"},     {"[]a]", "an empty class"},   {"a**", "a repeat of a repeat"},
      {"a{2}+", "counted"},     {"x{,2}", "{n}, {n,}"},        {"(a)\\1", "\\x5c1"},          {"(?<=a)b", "supported groups"},
      {"(?m:a.)", "groups"},    {"(?<n>a)", "groups"},         {"(?#c)a", "groups"},         {"\\h+", "supported escapes"},
      {"\\w+", "escapes"},      {"\\bx", "escapes"},           {"\\Ga", "escapes"},          {"[[:alpha:]]", "classes within"},
      {"[a&&b]", "classes"},    {"[\\S]", "escapes"},          {"[\\d-z]", "range"},         {"[a-\\d]", "range"},
      {"\\pL", "a property is written"},  {"\\p{Alphabetic}", "pattern"}, {"\\p{L", "written"},        {"\\p{1}", "properties"},
      {"(?i:ss)", "plain"},     {"(?i:\\p{Lu})", "plain"},     {"(?i:é)", "ASCII"},          {"a*", "can match nothing"},
      {"(?=a)", "can match"},   {"\\u12", "hexadecimal"},      {"z{100000}", "pattern"},     {"(?:(?:(?:a{999}){999}){999})", "pattern"},
      {"\\", "escapes"},        {"é)", "pattern"},           {"a^*", "cannot be repeated"}, {"(?=a)?b", "be repeated"},
      {"((a|$)b){2}", "be repeated"}};
  for (const auto& row : cases) {
    CAPTURE(row.first);
    check_refused([&] { load(split_by(row.first)); }, Reason::unsupported, row.second);
  }
  check_refused([] { load(split_by(std::string(1 << 20, 'a'))); }, Reason::unsupported, "a pattern of 1048576 bytes");
  check_refused([] { load(split_by(std::string(5000, '('))); }, Reason::unsupported, "$.pre_tokenizer");
}

TEST_CASE("a pattern that needs too many steps is an error, not a hang") {
  const std::string text(100000, 'a');
  for (const char* pattern : {"(a+)+[bc]", "(?:a|aa)+[bc]", "a+[bc]", "a++[bc]", "a+[bc]|a", "(?=a+[bc])a", "(?:a+){3}[bc]"}) {
    CAPTURE(pattern);
    const Tokenizer tokenizer = load(split_by(pattern));
    try {
      tokenizer.encode(text);
      FAIL_CHECK("no error");
    } catch (const Error& error) {
      CHECK(error.status() == Status::unsupported);
      CHECK(error.reason() == Reason::limit);
      CHECK(std::string(error.what()).find("of 100000") != std::string::npos);
    }
    CHECK(tokenizer.decode(tokenizer.encode("aab aac b")) == "aab aac b");
  }
  const Tokenizer linear = load(split_by("(a+)+$"));
  CHECK(linear.decode(linear.encode(text)) == text);
}

TEST_CASE("a Hugging Face folder gives special tokens and the chat template") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(Tokenizer::from_huggingface(folder.path()), Error);
  write(folder / "tokenizer.json", dump_json(tiny()));
  const Tokenizer bare = Tokenizer::from_huggingface(folder.path());
  CHECK(!bare.bos_id());
  CHECK(!bare.eos_id());
  CHECK(!bare.adds_bos());
  CHECK(!bare.chat_template());
  CHECK(bare.eos_token().empty());
  write(folder / "special_tokens_map.json", R"({"bos_token":{"content":"<|im_start|>"},"eos_token":"<|endoftext|>"})");
  CHECK(Tokenizer::from_huggingface(folder.path()).eos_token() == "<|endoftext|>");
  write(folder / "tokenizer_config.json", R"({"eos_token":"<|im_end|>","pad_token":null,"unk_token":{"content":"<tool>"},
    "add_bos_token":true,"add_prefix_space":false,"added_tokens_decoder":{"2":{"content":"<|im_end|>"}},
    "chat_template":[{"name":"other","template":"no"},{"name":"default","template":"yes"}]})");
  const Tokenizer full = Tokenizer::from_huggingface(folder.path());
  CHECK(full.bos_token() == "<|im_start|>");
  CHECK(full.eos_id() == 2);
  CHECK(!full.pad_id());
  CHECK(full.unk_id() == 600);
  CHECK(full.adds_bos());
  CHECK(full.chat_template() == "yes");
  CHECK(full.encode("x") == bare.encode("x"));
  CHECK(full.digest() != bare.digest());
  write(folder / "chat_template.jinja", "from the file");
  CHECK(Tokenizer::from_huggingface(folder.path()).chat_template() == "from the file");
  std::filesystem::remove(folder / "chat_template.jinja");

  const auto config = [&](const std::string& text) {
    return [&folder, text] {
      write(folder / "tokenizer_config.json", text);
      Tokenizer::from_huggingface(folder.path());
    };
  };
  check_refused(config(R"({"eos_token":"</s>"})"), Reason::range, R"(eos_token: "</s>" is no token)");
  check_refused(config(R"({"eos_token":7})"), Reason::schema, "tokenizer_config.json: eos_token: want a string");
  check_refused(config(R"({"add_prefix_space":true})"), Reason::mismatch, "add_prefix_space is true");
  check_refused(config(R"({"added_tokens_decoder":{"900":{"content":"<new>"}}})"), Reason::range, "<new>");
  check_refused(config(R"({"added_tokens_decoder":{"3":{"content":"<|im_end|>"}}})"), Reason::mismatch, "is token 2");
  check_refused(config("[]"), Reason::schema, "tokenizer_config.json");
  check_refused(config(R"({"chat_template":3})"), Reason::schema, "chat_template");
  write(folder / "special_tokens_map.json", "{}");
  check_refused(config(R"({"add_bos_token":true})"), Reason::mismatch, "there is no bos_token");
}

TEST_CASE("a post-processor that begins texts with a token decides adds_bos, unless the config does") {
  const Json processor = parse(R"({"type":"Sequence","processors":[{"type":"ByteLevel","trim_offsets":false},
    {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|im_start|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
     {"SpecialToken":{"id":"<|im_end|>","type_id":0}}],"pair":[],"special_tokens":{
     "<|im_start|>":{"id":"<|im_start|>","ids":[1],"tokens":["<|im_start|>"]}}}]})");
  const Json json = replaced(tiny(), "post_processor", processor);
  CHECK(load(json).adds_bos());
  CHECK(load(json).bos_id() == 1);
  CHECK(load(json).encode("") == std::vector<std::int32_t>{});
  const TemporaryFolder folder;
  write(folder / "tokenizer.json", dump_json(json));
  CHECK(Tokenizer::from_huggingface(folder.path()).adds_bos());
  write(folder / "tokenizer_config.json", R"({"bos_token":"<|im_start|>","add_bos_token":false})");
  CHECK(!Tokenizer::from_huggingface(folder.path()).adds_bos());
  write(folder / "tokenizer_config.json", R"({"bos_token":"<|im_end|>"})");
  check_refused([&] { Tokenizer::from_huggingface(folder.path()); }, Reason::mismatch, "begins a text with token 1");
}

namespace {

/// Metadata of the tiny vocabulary as GGUF writes it.
std::vector<GgufField> gguf_fields() {
  std::vector<std::string> tokens(602), merges;
  std::vector<std::int32_t> types(602, 1);
  for (const auto& [token, id] : tiny().find("model")->find("vocab")->as_object(""))
    tokens[static_cast<std::size_t>(id.as_integer(""))] = token;
  for (const Json& token : tiny().find("added_tokens")->as_array("")) {
    const auto id = static_cast<std::size_t>(token.find("id")->as_integer(""));
    tokens[id] = token.find("content")->as_string("");
    types[id] = token.find("special")->as_bool("") ? 3 : 4;
  }
  for (const Json& merge : tiny().find("model")->find("merges")->as_array(""))
    merges.push_back(merge.as_array("")[0].as_string("") + " " + merge.as_array("")[1].as_string(""));
  return {{"general.architecture", GgufValue::string("llama")},
          {"tokenizer.ggml.model", GgufValue::string("gpt2")},
          {"tokenizer.ggml.pre", GgufValue::string("gpt-2")},
          {"tokenizer.ggml.tokens", GgufValue::array(GgufArray::strings(tokens))},
          {"tokenizer.ggml.token_type", GgufValue::array(GgufArray::i32(types))},
          {"tokenizer.ggml.merges", GgufValue::array(GgufArray::strings(merges))},
          {"tokenizer.ggml.bos_token_id", GgufValue::u32(1)},
          {"tokenizer.ggml.eos_token_id", GgufValue::u32(2)},
          {"tokenizer.chat_template", GgufValue::string("{{ x }}")}};
}

Tokenizer from_fields(const std::vector<GgufField>& fields) {
  const TemporaryFolder folder;
  write_gguf(folder / "t.gguf", fields, {});
  return Tokenizer::from_gguf(GgufFile(folder / "t.gguf"));
}

std::vector<GgufField> with(const std::string& key, const GgufValue& value) {
  std::vector<GgufField> fields = gguf_fields();
  std::erase_if(fields, [&](const GgufField& field) { return field.first == key; });
  fields.emplace_back(key, value);
  return fields;
}

std::vector<GgufField> without(const std::string& key) {
  std::vector<GgufField> fields = gguf_fields();
  std::erase_if(fields, [&](const GgufField& field) { return field.first == key; });
  return fields;
}

}  // namespace

TEST_CASE("GGUF metadata gives the tokenizer that tokenizer.json gives") {
  const Tokenizer from_gguf = from_fields(gguf_fields()), from_json = load(tiny());
  CHECK(from_gguf.vocab_size() == 602);
  CHECK(from_gguf.bos_token() == "<|im_start|>");
  CHECK(from_gguf.eos_id() == 2);
  CHECK(!from_gguf.adds_bos());
  CHECK(from_gguf.chat_template() == "{{ x }}");
  const std::string text = "Hello <|im_end|> 123<tool>x don't\n\n  naïve 漢字";
  for (const bool special : {false, true}) CHECK(from_gguf.encode(text, special) == from_json.encode(text, special));
  for (const std::string_view name : gguf_pre_tokenizers()) {
    CAPTURE(name);
    const Tokenizer named = from_fields(with("tokenizer.ggml.pre", GgufValue::string(std::string(name))));
    CHECK(named.decode(named.encode(text)) == text);
    CHECK(named.adds_bos() == (name.substr(0, 5) == "llama"));
  }
  CHECK(from_fields(with("tokenizer.ggml.add_bos_token", GgufValue::boolean(true))).adds_bos());
  CHECK(!from_fields(without("tokenizer.chat_template")).chat_template());
}

TEST_CASE("GGUF metadata is refused by key") {
  const auto strings = [](std::vector<std::string> values) { return GgufValue::array(GgufArray::strings(values)); };
  const std::vector<std::int32_t> bad_types(602, 7), byte_types(602, 6);
  const auto refused = [](const std::vector<GgufField>& fields, Reason reason, const std::string& says) {
    check_refused([&] { from_fields(fields); }, reason, says);
  };
  for (const char* key : {"tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"})
    refused(without(key), Reason::schema, key);
  refused(without("tokenizer.ggml.pre"), Reason::unsupported, "tokenizer.ggml.pre is missing, supported are gpt-2");
  refused(with("tokenizer.ggml.pre", GgufValue::string("tekken")), Reason::unsupported, R"(pre: "tekken", supported are)");
  refused(with("tokenizer.ggml.pre", GgufValue::u32(1)), Reason::schema, "tokenizer.ggml.pre");
  refused(with("tokenizer.ggml.model", GgufValue::string("llama")), Reason::unsupported, R"("llama", supported is "gpt2")");
  refused(with("tokenizer.ggml.model", GgufValue::string("bert")), Reason::unsupported, "WordPiece");
  refused(with("tokenizer.ggml.tokens", strings({})), Reason::mismatch, "");
  refused(with("tokenizer.ggml.tokens", strings({"a", "b"})), Reason::mismatch, "token_type has 602 elements");
  refused(with("tokenizer.ggml.token_type", GgufValue::array(GgufArray::i32(bad_types))), Reason::range, "token_type[0]: 7");
  refused(with("tokenizer.ggml.token_type", GgufValue::array(GgufArray::i32(byte_types))), Reason::unsupported, "byte token");
  for (const char* merge : {"ab", "a b c", " b", "a ", ""})
    refused(with("tokenizer.ggml.merges", strings({merge})), Reason::schema, "tokenizer.ggml.merges[0]");
  refused(with("tokenizer.ggml.merges", strings({"a zzz"})), Reason::mismatch, R"("zzz" is no token)");
  refused(with("tokenizer.ggml.bos_token_id", GgufValue::u32(602)), Reason::range, "tokenizer.ggml.bos_token_id");
  refused(with("tokenizer.ggml.eos_token_id", GgufValue::i32(-1)), Reason::range, "tokenizer.ggml.eos_token_id");
  refused(with("tokenizer.ggml.normalizer.lowercase", GgufValue::boolean(true)), Reason::unsupported, "lowercase");
  std::vector<GgufField> no_bos = without("tokenizer.ggml.bos_token_id");
  no_bos.emplace_back("tokenizer.ggml.add_bos_token", GgufValue::boolean(true));
  refused(no_bos, Reason::mismatch, "bos_token_id is missing");
}
