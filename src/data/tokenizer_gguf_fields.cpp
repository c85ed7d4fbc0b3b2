// SPDX-License-Identifier: Apache-2.0
// A Hugging Face tokenizer as GGUF metadata.
#include <algorithm>

#include "data/tokenizer_json.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/data/tokenizer_files.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

enum TokenType : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

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

}  // namespace ftlib
