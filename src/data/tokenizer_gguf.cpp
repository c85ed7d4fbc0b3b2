// SPDX-License-Identifier: Apache-2.0
// The tokenizer in a GGUF file's metadata.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "data/tokenizer_impl.h"
#include "ftlib/io/gguf.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace tokenizer {
namespace {

/// Token types as GGUF numbers them.
enum TokenType : std::int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

/// Read below, or without effect on byte-level BPE in llama.cpp as here.
constexpr std::string_view kHarmless[] = {
    "tokenizer.ggml.model",           "tokenizer.ggml.pre",           "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",      "tokenizer.ggml.merges",        "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",   "tokenizer.ggml.add_sep_token", "tokenizer.ggml.add_space_prefix",
    "tokenizer.ggml.scores",          "tokenizer.ggml.remove_extra_whitespaces",
    "tokenizer.ggml.token_type_count", "tokenizer.ggml.suppress_tokens", "tokenizer.huggingface.json"};

std::string list_of_pre_tokenizers() {
  std::string list;
  for (const std::string_view name : gguf_pre_tokenizers()) list += concat(list.empty() ? "" : ", ", name);
  return list;
}

class GgufReader {
 public:
  explicit GgufReader(const GgufFile& file) : file_(file) {
    parts_.source = file.path();
    parts_.tokens_path = "tokenizer.ggml.tokens";
    parts_.merges_path = "tokenizer.ggml.merges";
  }

  Parts run() {
    const std::string& model = file_.at("tokenizer.ggml.model").as_string(file_.what("tokenizer.ggml.model"));
    FT_CHECK_FILE(model == "gpt2", unsupported, file_.what("tokenizer.ggml.model"), ": \"", excerpt(model),
                  "\", supported is \"gpt2\", BPE over bytes (not llama: SentencePiece, bert: WordPiece, t5: Unigram)");
    known_keys();
    pre_tokenizer();
    tokens();
    merges();
    parts_.bos = id("tokenizer.ggml.bos_token_id");
    parts_.eos = id("tokenizer.ggml.eos_token_id");
    parts_.pad = id("tokenizer.ggml.padding_token_id");
    parts_.unk = id("tokenizer.ggml.unknown_token_id");
    adds_bos();
    if (const GgufValue* text = file_.find("tokenizer.chat_template"))
      parts_.chat_template = text->as_string(file_.what("tokenizer.chat_template"));
    return std::move(parts_);
  }

 private:
  /// Refuses what might change ids: a key of the tokenizer that neither this file reads nor the list below allows.
  void known_keys() const {
    for (const auto& [key, value] : file_.metadata()) {
      const std::string_view name = key;
      const bool harmless = !name.starts_with("tokenizer.") || name.starts_with("tokenizer.chat_template") ||
                            name.ends_with("_token_id") || std::ranges::find(kHarmless, name) != std::end(kHarmless);
      FT_CHECK_FILE(harmless, unsupported, file_.what(name), " is not a key that is supported");
    }
  }

  void pre_tokenizer() {
    constexpr std::string_view kKey = "tokenizer.ggml.pre";
    const GgufValue* value = file_.find(kKey);
    const std::string name = value == nullptr ? "" : value->as_string(file_.what(kKey));
    named_ = find_pre_tokenizer(name);
    FT_CHECK_FILE(named_ != nullptr, unsupported, file_.what(kKey), value == nullptr ? " is missing" : ": \"",
                  excerpt(name), value == nullptr ? "" : "\"", ", supported are ", list_of_pre_tokenizers());
    if (named_->digits_first) parts_.pre_tokenizer.add(kDigitPattern, file_.what(kKey));
    parts_.pre_tokenizer.add(named_->pattern, file_.what(kKey));
    parts_.ignore_merges = named_->ignore_merges;
  }

  void tokens() {
    const std::string what = file_.what(parts_.tokens_path), types_what = file_.what("tokenizer.ggml.token_type");
    const GgufArray& tokens = file_.at(parts_.tokens_path).as_array(what, GgufType::string);
    const GgufValue* types = file_.find("tokenizer.ggml.token_type");
    const GgufArray* type_array = types == nullptr ? nullptr : &types->as_array(types_what);
    FT_CHECK_FILE(type_array == nullptr || type_array->size() == tokens.size(), mismatch, types_what, " has ",
                  type_array == nullptr ? 0 : type_array->size(), " elements, ", parts_.tokens_path, " has ", tokens.size());
    parts_.tokens.reserve(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      parts_.tokens.push_back(tokens.string(i, what));
      const std::int64_t type = type_array == nullptr ? std::int64_t{kNormal} : type_array->integer(i, types_what);
      FT_CHECK_FILE(type >= kNormal && type <= kByte, range, types_what, "[", i, "]: ", type, ", want 1 to 6");
      FT_CHECK_FILE(type != kByte, unsupported, types_what, "[", i, "]: a byte token in a byte-level vocabulary");
      if (type == kNormal || type == kUnused) continue;
      FT_CHECK_FILE(!parts_.tokens.back().empty(), schema, what, "[", i, "] is empty");
      parts_.added.push_back({static_cast<std::int32_t>(i), {.special = type != kUserDefined}});
    }
    parts_.mergeable_tokens = tokens.size();
  }

  void merges() {
    const std::string what = file_.what(parts_.merges_path);
    const GgufArray& merges = file_.at(parts_.merges_path).as_array(what, GgufType::string);
    parts_.merges.reserve(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::string_view text = merges.string(i, what);
      const std::size_t blank = text.find(' ');
      const bool good =
          blank != 0 && blank != text.npos && blank + 1 < text.size() && text.find(' ', blank + 1) == text.npos;
      FT_CHECK_FILE(good, schema, what, "[", i, "]: \"", excerpt(text), "\", want two tokens and a blank between them");
      parts_.merges.emplace_back(text.substr(0, blank), text.substr(blank + 1));
    }
  }

  std::optional<std::int32_t> id(std::string_view key) const {
    const GgufValue* value = file_.find(key);
    if (value == nullptr) return std::nullopt;
    return static_cast<std::int32_t>(
        value->as_integer(file_.what(key), 0, static_cast<std::int64_t>(parts_.tokens.size()) - 1));
  }

  void adds_bos() {
    constexpr std::string_view kKey = "tokenizer.ggml.add_bos_token";
    const GgufValue* value = file_.find(kKey);
    parts_.adds_bos = value == nullptr ? named_->adds_bos : value->as_bool(file_.what(kKey));
    FT_CHECK_FILE(!parts_.adds_bos || parts_.bos, mismatch, file_.what(kKey),
                  ": texts begin with a token, but tokenizer.ggml.bos_token_id is missing");
  }

  const GgufFile& file_;
  const NamedPreTokenizer* named_ = nullptr;
  Parts parts_;
};

}  // namespace
}  // namespace tokenizer

Tokenizer Tokenizer::load(const std::string& model) {
  std::error_code unreadable;  // GgufFile then says what is wrong
  const auto status = std::filesystem::status(model, unreadable);
  FT_CHECK(status.type() != std::filesystem::file_type::not_found, not_found, "[tokenizer] ", model,
           ": there is nothing; a model is a .gguf file or a folder with tokenizer.json");
  return std::filesystem::is_directory(status) ? from_huggingface(model) : from_gguf(GgufFile(model));
}

Tokenizer Tokenizer::from_gguf(const GgufFile& file) {
  return tokenizer::make_tokenizer(tokenizer::GgufReader(file).run());
}

}  // namespace ftlib
