// SPDX-License-Identifier: Apache-2.0
#include "model/companions.h"

#include <charconv>
#include <filesystem>
#include <optional>

#include "ftlib/data/tokenizer_files.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/gguf.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",     "vocab.json",
    "merges.txt",     "tokenizer.model",       "chat_template.jinja",     "generation_config.json"};

std::optional<std::int64_t> token_id(const GgufFile& file, std::string_view name) {
  const std::string key = concat("tokenizer.ggml.", name, "_token_id");
  const GgufValue* value = file.find(key);
  if (value == nullptr) return std::nullopt;
  return value->as_integer(file.what(key), 0, std::int64_t{1} << 31);
}

/// The shortest decimal of the f32 that GGUF keeps: 1e-05 rather than 9.999999747378752e-06, and the same f32.
void shorten(Json& number) {
  const std::string digits = concat(static_cast<float>(number.as_number("")));
  double value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  number = value;
}

Json convert(const ModelFiles& files, const std::string& out) {
  Json config = model_config_to_json(files.config());
  shorten(config["rms_norm_eps"]);
  shorten(config["rope_theta"]);
  const GgufFile file(files.path());
  if (const auto id = token_id(file, "bos")) config["bos_token_id"] = *id;
  if (const auto id = token_id(file, "eos")) config["eos_token_id"] = *id;
  if (const auto id = token_id(file, "padding")) config["pad_token_id"] = *id;
  const TokenizerFiles tokenizer = tokenizer_files_from_gguf(file);
  write_file_atomic(out + "/tokenizer.json", tokenizer.tokenizer);
  write_file_atomic(out + "/tokenizer_config.json", tokenizer.tokenizer_config);
  return config;
}

Json copy(const std::string& model, const std::string& out) {
  for (const std::string_view name : kTokenizerFiles) {
    const std::string path = concat(model, "/", name);
    if (std::filesystem::exists(path)) write_file_atomic(concat(out, "/", name), read_file(path));
  }
  const std::string path = model + "/config.json";
  return parse_json(read_file(path), path);
}

}  // namespace

Json write_companions(const ModelFiles& files, const std::string& out) {
  return std::filesystem::is_directory(files.path()) ? copy(files.path(), out) : convert(files, out);
}

}  // namespace ftlib
