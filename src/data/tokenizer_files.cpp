// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/tokenizer_files.h"

#include "data/tokenizer_pretokenize.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/io/gguf.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

using tokenizer::NamedPreTokenizer;

Json object(std::initializer_list<std::pair<const char*, Json>> members) {
  Json json = Json::object();
  for (const auto& [key, value] : members) json.append(key, value);
  return json;
}

Json byte_level(bool use_regex) {
  return object({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}});
}

/// GPT-2's pattern is built into ByteLevel; any other is a Split before it.
Json pre_tokenizer(const NamedPreTokenizer& named) {
  Json steps = Json::array();
  if (named.digits_first) steps.push_back(object({{"type", "Digits"}, {"individual_digits", true}}));
  if (named.pattern == tokenizer::kGpt2Pattern) {
    steps.push_back(byte_level(true));
  } else {
    steps.push_back(object({{"type", "Split"},
                            {"pattern", object({{"Regex", named.pattern}})},
                            {"behavior", "Isolated"},
                            {"invert", false}}));
    steps.push_back(byte_level(false));
  }
  return object({{"type", "Sequence"}, {"pretokenizers", std::move(steps)}});
}

Json added_token(std::int64_t id, std::string_view content, bool special) {
  return object({{"id", id},
                 {"content", content},
                 {"single_word", false},
                 {"lstrip", false},
                 {"rstrip", false},
                 {"normalized", false},
                 {"special", special}});
}

/// Writes what Tokenizer::from_gguf has checked.
class Writer {
 public:
  explicit Writer(const GgufFile& file)
      : file_(file),
        tokenizer_(Tokenizer::from_gguf(file)),
        tokens_(array("tokenizer.ggml.tokens")),
        named_(*tokenizer::find_pre_tokenizer(file.at("tokenizer.ggml.pre").as_string(""))) {}

  std::string tokenizer_json() const {
    Json vocab = Json::object(), added = Json::array(), merges = Json::array();
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      vocab.append(std::string(tokens_.string(id, "")), static_cast<std::int64_t>(id));
      const std::int64_t type = type_of(id);
      if (type >= 2 && type <= 4)  // unknown, control, user defined
        added.push_back(added_token(static_cast<std::int64_t>(id), tokens_.string(id, ""), type != 4));
    }
    const GgufArray& pairs = array("tokenizer.ggml.merges");
    for (std::size_t i = 0; i < pairs.size(); ++i) merges.push_back(pairs.string(i, ""));
    const Json model = object({{"type", "BPE"},
                               {"dropout", nullptr},
                               {"unk_token", nullptr},
                               {"continuing_subword_prefix", nullptr},
                               {"end_of_word_suffix", nullptr},
                               {"fuse_unk", false},
                               {"byte_fallback", false},
                               {"ignore_merges", named_.ignore_merges},
                               {"vocab", std::move(vocab)},
                               {"merges", std::move(merges)}});
    return dump_json(object({{"version", "1.0"},
                             {"truncation", nullptr},
                             {"padding", nullptr},
                             {"added_tokens", std::move(added)},
                             {"normalizer", nullptr},
                             {"pre_tokenizer", pre_tokenizer(named_)},
                             {"post_processor", post_processor()},
                             {"decoder", byte_level(true)},
                             {"model", model}}),
                     kPretty);
  }

  std::string config_json() const {
    Json json = Json::object();
    json.append("add_bos_token", tokenizer_.adds_bos());
    json.append("clean_up_tokenization_spaces", false);
    json.append("tokenizer_class", "PreTrainedTokenizerFast");
    if (const GgufValue* length = file_.find("llama.context_length"))
      json.append("model_max_length", length->as_integer(file_.what("llama.context_length")));
    add_token(json, "bos_token", tokenizer_.bos_id());
    add_token(json, "eos_token", tokenizer_.eos_id());
    add_token(json, "pad_token", tokenizer_.pad_id());
    add_token(json, "unk_token", tokenizer_.unk_id());
    if (tokenizer_.chat_template()) json.append("chat_template", *tokenizer_.chat_template());
    return dump_json(json, kPretty);
  }

 private:
  static constexpr JsonStyle kPretty{2, ",", ": ", false, false};

  const GgufArray& array(std::string_view key) const { return file_.at(key).as_array(file_.what(key)); }

  std::int64_t type_of(std::size_t id) const {
    const GgufValue* types = file_.find("tokenizer.ggml.token_type");
    return types == nullptr ? 1 : types->as_array("").integer(id, "");
  }

  std::string token(std::int32_t id) const { return std::string(tokens_.string(static_cast<std::size_t>(id), "")); }

  void add_token(Json& json, const char* key, std::optional<std::int32_t> id) const {
    if (id) json.append(key, token(*id));
  }

  /// The begin token before a text, where the file asks for it.
  Json post_processor() const {
    const Json plain =
        object({{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}});
    if (!tokenizer_.adds_bos()) return plain;
    const std::string bos = token(*tokenizer_.bos_id());
    const auto special = [&](int type) { return object({{"SpecialToken", object({{"id", bos}, {"type_id", type}})}}); };
    const auto text = [](const char* name, int type) {
      return object({{"Sequence", object({{"id", name}, {"type_id", type}})}});
    };
    const Json entry = object(
        {{"id", bos}, {"ids", Json::Array{std::int64_t{*tokenizer_.bos_id()}}}, {"tokens", Json::Array{Json(bos)}}});
    return object({{"type", "TemplateProcessing"},
                   {"single", Json::Array{special(0), text("A", 0)}},
                   {"pair", Json::Array{special(0), text("A", 0), special(1), text("B", 1)}},
                   {"special_tokens", object({{bos.c_str(), entry}})}});
  }

  const GgufFile& file_;
  Tokenizer tokenizer_;
  const GgufArray& tokens_;
  const NamedPreTokenizer& named_;
};

}  // namespace

TokenizerFiles tokenizer_files_from_gguf(const GgufFile& file) {
  const Writer writer(file);
  return {writer.tokenizer_json(), writer.config_json()};
}

}  // namespace ftlib::inline FTLIB_ABI
