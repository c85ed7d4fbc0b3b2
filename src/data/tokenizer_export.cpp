// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_export.h"

#include <algorithm>
#include <filesystem>

#include "data/tokenizer_json.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

enum TokenType : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

constexpr std::string_view kFiles[] = {"tokenizer.json", "tokenizer_config.json",   "special_tokens_map.json",
                                       "vocab.json",     "merges.txt",              "added_tokens.json",
                                       "chat_template.jinja", "generation_config.json"};

Json byte_level(bool use_regex) {
  return Json::Object{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json pre_tokenizer_json(const tokenizer::NamedPreTokenizer& named) {
  const bool gpt2 = named.pattern == tokenizer::kGpt2Pattern;
  Json::Array steps;
  if (named.digits_first) steps.push_back(Json::Object{{"type", "Digits"}, {"individual_digits", true}});
  if (!gpt2)
    steps.push_back(Json::Object{{"type", "Split"},
                                 {"pattern", Json::Object{{"Regex", named.pattern}}},
                                 {"behavior", "Isolated"},
                                 {"invert", false}});
  steps.push_back(byte_level(gpt2));
  return steps.size() == 1 ? steps[0] : Json(Json::Object{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}});
}

/// Begins every text with one token, as transformers' fast tokenizers are told to.
Json begin_with(const std::string& token, std::int32_t id) {
  const auto piece = [](const char* kind, const std::string& name, int type) {
    return Json(Json::Object{{kind, Json::Object{{"id", name}, {"type_id", type}}}});
  };
  const Json special =
      Json::Object{{"id", token}, {"ids", Json::Array{std::int64_t{id}}}, {"tokens", Json::Array{token}}};
  return Json::Object{
      {"type", "TemplateProcessing"},
      {"single", Json::Array{piece("SpecialToken", token, 0), piece("Sequence", "A", 0)}},
      {"pair", Json::Array{piece("SpecialToken", token, 0), piece("Sequence", "A", 0), piece("SpecialToken", token, 1),
                           piece("Sequence", "B", 1)}},
      {"special_tokens", Json::Object{{token, special}}}};
}

/// tokenizer.ggml.* as the members of tokenizer.json and tokenizer_config.json.
class GgufTokenizer {
 public:
  explicit GgufTokenizer(const GgufFile& file)
      : file_(file),
        tokenizer_(Tokenizer::from_gguf(file)),
        named_(*tokenizer::find_pre_tokenizer(file.at("tokenizer.ggml.pre").as_string("tokenizer.ggml.pre"))),
        tokens_(array("tokenizer.ggml.tokens")) {}

  const Tokenizer& tokenizer() const { return tokenizer_; }

  Json tokenizer_json() const {
    Json json = Json::object();
    json["version"] = "1.0";
    json["truncation"] = nullptr, json["padding"] = nullptr;
    json["added_tokens"] = added_tokens();
    json["normalizer"] = nullptr;
    json["pre_tokenizer"] = pre_tokenizer_json(named_);
    json["post_processor"] = tokenizer_.adds_bos()
                                 ? begin_with(std::string(tokenizer_.bos_token()), *tokenizer_.bos_id())
                                 : byte_level(true);
    json["decoder"] = byte_level(true);
    json["model"] = model();
    return json;
  }

  Json config_json() const {
    Json json = Json::object();
    json["add_bos_token"] = tokenizer_.adds_bos();
    json["add_prefix_space"] = false;
    const auto special = [&](const char* key, std::optional<std::int32_t> id) {
      if (id) json[key] = text(static_cast<std::size_t>(*id));
    };
    special("bos_token", tokenizer_.bos_id());
    special("eos_token", tokenizer_.eos_id());
    special("pad_token", tokenizer_.pad_id());
    special("unk_token", tokenizer_.unk_id());
    json["clean_up_tokenization_spaces"] = false;
    if (tokenizer_.chat_template()) json["chat_template"] = *tokenizer_.chat_template();
    if (const GgufValue* length = file_.find("llama.context_length"))
      json["model_max_length"] = length->as_integer("llama.context_length");
    json["tokenizer_class"] = "PreTrainedTokenizerFast";
    return json;
  }

 private:
  const GgufArray& array(std::string_view key) const { return file_.at(key).as_array(file_.what(key)); }
  std::string text(std::size_t id) const { return std::string(tokens_.string(id, "tokenizer.ggml.tokens")); }

  std::int64_t type(std::size_t id) const {
    const bool typed = file_.find("tokenizer.ggml.token_type") != nullptr;
    return typed ? array("tokenizer.ggml.token_type").integer(id, "tokenizer.ggml.token_type") : std::int64_t{kNormal};
  }

  Json added_tokens() const {
    Json::Array added;
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      if (type(id) == kNormal || type(id) == kUnused) continue;
      added.push_back(Json::Object{{"id", static_cast<std::int64_t>(id)}, {"content", text(id)},
                                   {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                                   {"normalized", false}, {"special", type(id) != kUserDefined}});
    }
    return added;
  }

  Json model() const {
    Json vocab = Json::object();
    for (std::size_t id = 0; id < tokens_.size(); ++id) vocab.append(text(id), static_cast<std::int64_t>(id));
    const GgufArray& stored = array("tokenizer.ggml.merges");
    Json::Array merges;
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const std::string merge(stored.string(i, "tokenizer.ggml.merges"));
      const std::size_t blank = merge.find(' ');
      merges.push_back(Json::Array{merge.substr(0, blank), merge.substr(blank + 1)});
    }
    Json json = Json::Object{{"type", "BPE"}};
    for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
      json[key] = nullptr;
    json["fuse_unk"] = false, json["byte_fallback"] = false;
    json["ignore_merges"] = named_.ignore_merges;
    json["vocab"] = std::move(vocab);
    json["merges"] = std::move(merges);
    return json;
  }

  const GgufFile& file_;
  Tokenizer tokenizer_;
  const tokenizer::NamedPreTokenizer& named_;
  const GgufArray& tokens_;
};

std::string_view pre_tokenizer_name(const tokenizer::Parts& parts) {
  const auto same = [](const tokenizer::Pattern& a, const tokenizer::Pattern& b) { return a.source() == b.source(); };
  for (const std::string_view name : gguf_pre_tokenizers()) {
    const tokenizer::NamedPreTokenizer& named = *tokenizer::find_pre_tokenizer(name);
    tokenizer::PreTokenizer candidate;
    if (named.digits_first) candidate.add(tokenizer::kDigitPattern, name);
    candidate.add(named.pattern, name);
    if (named.ignore_merges != parts.ignore_merges) continue;
    if (std::ranges::equal(candidate.patterns(), parts.pre_tokenizer.patterns(), same)) return name;
  }
  throw Error(Status::unsupported,
              concat("[tokenizer] ", parts.source, ": its pre_tokenizer has no name in GGUF that this library knows"));
}

std::vector<std::int32_t> token_types(const tokenizer::Parts& parts, std::size_t rows) {
  std::vector<std::int32_t> types(rows, kUnused);
  std::fill_n(types.begin(), parts.tokens.size(), kNormal);
  for (const auto& [id, flags] : parts.added) {
    const auto at = static_cast<std::size_t>(id);
    FT_CHECK(!flags.lstrip && !flags.rstrip, unsupported, "[tokenizer] ", parts.source, ": \"",
             excerpt(parts.tokens[at]), "\" takes the blanks beside it (lstrip or rstrip), which GGUF cannot say");
    types[at] = flags.special ? kControl : kUserDefined;
  }
  return types;
}

}  // namespace

void write_huggingface_tokenizer(const GgufFile& file, const std::string& folder) {
  const GgufTokenizer source(file);
  write_file_atomic(folder + "/tokenizer.json", dump_json(source.tokenizer_json()));
  write_file_atomic(folder + "/tokenizer_config.json", dump_json(source.config_json(), kPythonPrettyJson));
  FT_CHECK(Tokenizer::from_huggingface(folder).digest() == source.tokenizer().digest(), internal, "[tokenizer] ",
           folder, ": what was written is not the tokenizer of ", file.path());
}

std::vector<GgufField> gguf_tokenizer_fields(const std::string& folder, std::int64_t rows) {
  const std::string path = folder + "/tokenizer.json";
  const Tokenizer tokenizer = Tokenizer::from_huggingface(folder);
  const Json json = parse_json(read_file(path), path);
  const tokenizer::Parts parts = tokenizer::read_tokenizer_json(json, path);
  const auto count = static_cast<std::size_t>(rows);
  FT_CHECK_FILE(parts.tokens.size() <= count, mismatch, path, ": ", parts.tokens.size(), " tokens, the model has ",
                rows, " rows of embeddings");
  std::vector<std::string> tokens(parts.tokens.begin(), parts.tokens.end()), merges;
  while (tokens.size() < count) tokens.push_back(concat("[PAD", tokens.size(), "]"));
  for (const auto& [left, right] : parts.merges) merges.push_back(concat(left, " ", right));

  std::vector<GgufField> fields{
      {"tokenizer.ggml.model", GgufValue::string("gpt2")},
      {"tokenizer.ggml.pre", GgufValue::string(std::string(pre_tokenizer_name(parts)))},
      {"tokenizer.ggml.tokens", GgufValue::array(GgufArray::strings(tokens))},
      {"tokenizer.ggml.token_type", GgufValue::array(GgufArray::i32(token_types(parts, count)))},
      {"tokenizer.ggml.merges", GgufValue::array(GgufArray::strings(merges))},
      {"tokenizer.ggml.add_bos_token", GgufValue::boolean(tokenizer.adds_bos())}};
  const auto special = [&](const char* key, std::optional<std::int32_t> id) {
    if (id) fields.emplace_back(key, GgufValue::u32(static_cast<std::uint32_t>(*id)));
  };
  special("tokenizer.ggml.bos_token_id", tokenizer.bos_id());
  special("tokenizer.ggml.eos_token_id", tokenizer.eos_id());
  special("tokenizer.ggml.padding_token_id", tokenizer.pad_id());
  special("tokenizer.ggml.unknown_token_id", tokenizer.unk_id());
  if (tokenizer.chat_template())
    fields.emplace_back("tokenizer.chat_template", GgufValue::string(*tokenizer.chat_template()));
  return fields;
}

void copy_huggingface_tokenizer(const std::string& from, const std::string& to) {
  for (const std::string_view name : kFiles)
    if (const std::string path = concat(from, "/", name); std::filesystem::exists(path))
      write_file_atomic(concat(to, "/", name), read_file(path));
}

}  // namespace ftlib
