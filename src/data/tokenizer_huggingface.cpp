// SPDX-License-Identifier: Apache-2.0
// A Hugging Face folder: tokenizer.json for ids, the small files beside it for special tokens and the chat template.
#include <algorithm>
#include <filesystem>

#include "data/tokenizer_json.h"
#include "ftlib/io/file.h"

namespace ftlib::inline FTLIB_ABI {
namespace tokenizer {
namespace {

std::optional<std::string> read_if_there(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error& error) {
    if (error.status() == Status::not_found) return std::nullopt;
    throw;
  }
}

std::optional<Json> parse_if_there(const std::string& path) {
  const auto text = read_if_there(path);
  return text ? std::optional(parse_json(*text, path)) : std::nullopt;
}

/// Adds what tokenizer_config.json and special_tokens_map.json know to the parts of tokenizer.json.
class Companions {
 public:
  Companions(const std::string& folder, Parts& parts)
      : folder_(folder),
        config_path_(folder + "/tokenizer_config.json"),
        map_path_(folder + "/special_tokens_map.json"),
        config_(parse_if_there(config_path_)),
        map_(parse_if_there(map_path_)),
        parts_(parts) {
    if (config_) config_->as_object(config_path_);
    if (map_) map_->as_object(map_path_);
  }

  void run() {
    const auto begins = parts_.bos;
    parts_.bos = special_token("bos_token").value_or(begins.value_or(-1));
    if (*parts_.bos < 0) parts_.bos.reset();
    parts_.eos = special_token("eos_token");
    parts_.pad = special_token("pad_token");
    if (const auto unk = special_token("unk_token")) parts_.unk = unk;
    adds_bos(begins);
    check_agreement();
    chat_template();
  }

 private:
  const Json* config(std::string_view key) const {
    const Json* value = config_ ? config_->find(key) : nullptr;
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  std::optional<std::int32_t> special_token(std::string_view key) const {
    const Json* value = config(key);
    std::string where = concat(config_path_, ": ", key);
    if (value == nullptr && map_) {
      value = map_->find(key);
      where = concat(map_path_, ": ", key);
    }
    if (value == nullptr || value->is_null()) return std::nullopt;
    const std::string& text = (value->is_object() ? value->at("content", where) : *value).as_string(where);
    return id_of(text, where);
  }

  std::int32_t id_of(std::string_view text, std::string_view where) const {
    for (const auto& [id, flags] : parts_.added)
      if (parts_.tokens[static_cast<std::size_t>(id)] == text) return id;
    const auto found = std::ranges::find(parts_.tokens, text);
    FT_CHECK_FILE(found != parts_.tokens.end(), range, where, ": \"", excerpt(text), "\" is no token of ", parts_.source);
    return static_cast<std::int32_t>(found - parts_.tokens.begin());
  }

  /// `add_bos_token` decides where it stands; else the post-processor of tokenizer.json does.
  void adds_bos(std::optional<std::int32_t> begins) const {
    if (const Json* value = config("add_bos_token")) {
      const std::string where = concat(config_path_, ": add_bos_token");
      parts_.adds_bos = value->as_bool(where);
      FT_CHECK_FILE(!parts_.adds_bos || parts_.bos, mismatch, where, " is true, but there is no bos_token");
      return;
    }
    FT_CHECK_FILE(!begins || begins == parts_.bos, mismatch, parts_.source, ": $.post_processor begins a text with token ",
                  begins.value_or(-1), ", but bos_token is token ", parts_.bos.value_or(-1));
  }

  /// What transformers would take from the config instead of from tokenizer.json.
  void check_agreement() const {
    if (const Json* prefix = config("add_prefix_space")) {
      const std::string where = concat(config_path_, ": add_prefix_space");
      FT_CHECK_FILE(prefix->as_bool(where) == parts_.add_prefix_space, mismatch, where, " is ", prefix->as_bool(where),
                    ", the pre_tokenizer of ", parts_.source, " says ", parts_.add_prefix_space);
    }
    const Json* added = config("added_tokens_decoder");
    if (added == nullptr) return;
    for (const auto& [id, token] : added->as_object(concat(config_path_, ": added_tokens_decoder"))) {
      const std::string where = concat(config_path_, ": added_tokens_decoder.", excerpt(id));
      const std::string& content = token.at("content", where).as_string(where);
      const std::int32_t found = id_of(content, where);
      FT_CHECK_FILE(concat(found) == id, mismatch, where, ": \"", excerpt(content), "\" is token ", found, " of ",
                    parts_.source);
    }
  }

  void chat_template() const {
    parts_.chat_template = read_if_there(folder_ + "/chat_template.jinja");
    const Json* value = config("chat_template");
    if (parts_.chat_template || value == nullptr) return;
    const std::string where = concat(config_path_, ": chat_template");
    if (!value->is_array()) {
      parts_.chat_template = value->as_string(where);
      return;
    }
    for (const Json& named : value->as_array(where))
      if (named.at("name", where).as_string(where) == "default")
        parts_.chat_template = named.at("template", where).as_string(where);
  }

  const std::string folder_, config_path_, map_path_;
  std::optional<Json> config_, map_;
  Parts& parts_;
};

}  // namespace
}  // namespace tokenizer

Tokenizer Tokenizer::from_tokenizer_json(std::string_view text, std::string_view source) {
  const Json json = parse_json(text, source);
  return tokenizer::make_tokenizer(tokenizer::read_tokenizer_json(json, source));
}

Tokenizer Tokenizer::from_huggingface(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  std::error_code ignored;
  FT_CHECK(std::filesystem::exists(path, ignored), not_found, "[tokenizer] ", folder,
           " has no tokenizer.json; copy it from where the model comes from");
  const Json json = parse_json(read_file(path), path);
  tokenizer::Parts parts = tokenizer::read_tokenizer_json(json, path);
  tokenizer::Companions(folder, parts).run();
  return tokenizer::make_tokenizer(std::move(parts));
}

}  // namespace ftlib
