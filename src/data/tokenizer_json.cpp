// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, field by field: a field that is not read here is refused, not skipped.
#include "data/tokenizer_json.h"

#include <algorithm>
#include <initializer_list>
#include <unordered_map>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

/// A value and where it stands, "tokenizer.json: model.vocab".
struct Node {
  const Json& json;
  std::string path;

  Node at(std::string_view key) const { return {json.at(key, path), concat(path, ".", key)}; }
  Node at(std::size_t i) const { return {json.as_array(path).at(i), concat(path, "[", i, "]")}; }
  std::size_t size() const { return json.as_array(path).size(); }
  /// The member, or nullopt when it is absent or null.
  std::optional<Node> find(std::string_view key) const {
    json.as_object(path);
    const Json* value = json.find(key);
    if (value == nullptr || value->is_null()) return std::nullopt;
    return Node{*value, concat(path, ".", key)};
  }
  const std::string& text() const { return json.as_string(path); }
  bool flag(std::string_view key, bool otherwise) const {
    const auto value = find(key);
    return value ? value->json.as_bool(value->path) : otherwise;
  }
  const std::string& type() const {
    const auto value = find("type");
    FT_CHECK_FILE(value, unsupported, path, ".type is missing");
    return value->text();
  }
  void only(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : json.as_object(path))
      FT_CHECK_FILE(std::ranges::find(keys, key) != keys.end(), unsupported, path, ": \"", excerpt(key),
                    "\" is not a field that is supported here");
  }
  void refuse_unless(bool good, std::string_view want) const {
    FT_CHECK_FILE(good, unsupported, path, ": got ", excerpt(dump_json(json)), ", supported is ", want);
  }
};

/// The steps of a Sequence, or the one step that stands in its place; none for null.
std::vector<Node> steps(const Node& root, std::string_view field, std::string_view members) {
  std::vector<Node> todo, flat;
  if (const auto first = root.find(field)) todo.push_back(*first);
  while (!todo.empty()) {
    const Node node = todo.back();
    todo.pop_back();
    if (node.type() != "Sequence") {
      flat.push_back(node);
      continue;
    }
    node.only({"type", members});
    const Node list = node.at(members);
    for (std::size_t i = list.size(); i-- > 0;) todo.push_back(list.at(i));
  }
  return flat;
}

class Reader {
 public:
  Reader(const Json& json, std::string_view source) : root_{json, concat(source, ": $")}, parts_() {
    parts_.source = source;
    parts_.tokens_path = "$.model.vocab";
    parts_.merges_path = "$.model.merges";
  }

  Parts run() {
    root_.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                "decoder", "model"});
    const Node version = root_.at("version");
    FT_CHECK_FILE(version.text() == "1.0", version, version.path, ": \"", excerpt(version.text()), "\", want \"1.0\"");
    for (const std::string_view call_setting : {"truncation", "padding"})  // settings of a call; ours has neither
      if (const auto node = root_.find(call_setting)) node->json.as_object(node->path);
    model(root_.at("model"));
    added_tokens();
    normalizer();
    pre_tokenizer();
    post_processor();
    decoder();
    return std::move(parts_);
  }

 private:
  void model(const Node& node) {
    FT_CHECK_FILE(node.type() == "BPE", unsupported, node.path, ".type: \"", excerpt(node.type()),
                  "\", supported is \"BPE\" over bytes");
    node.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
               "byte_fallback", "ignore_merges", "vocab", "merges"});
    if (const auto dropout = node.find("dropout"))
      dropout->refuse_unless(dropout->json.as_number(dropout->path) == 0, "null");
    for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const auto text = node.find(affix)) text->refuse_unless(text->text().empty(), "null");
    if (node.flag("byte_fallback", false)) node.at("byte_fallback").refuse_unless(false, "false");
    vocab(node.at("vocab"));
    merges(node.at("merges"));
    parts_.ignore_merges = node.flag("ignore_merges", false);
    if (const auto unk = node.find("unk_token")) {
      parts_.byte_unk = parts_.unk = known(*unk, unk->text());
      if (node.flag("fuse_unk", false)) node.at("fuse_unk").refuse_unless(false, "false");
    }
  }

  void vocab(const Node& node) {
    const Json::Object& members = node.json.as_object(node.path);
    const auto count = static_cast<std::int64_t>(members.size());
    parts_.tokens.resize(members.size());
    ids_.reserve(members.size());
    std::vector<bool> taken(members.size());
    for (const auto& [text, value] : members) {
      const auto where = [&, &token = text] { return concat(node.path, ".\"", excerpt(token), "\""); };
      FT_CHECK_FILE(value.is_integer(), schema, where(), ": want a token id, got a ", value.type_name());
      const std::int64_t id = value.as_integer("");
      FT_CHECK_FILE(id >= 0 && id <= INT32_MAX, range, where(), ": token id ", id, ", want 0 to ", INT32_MAX);
      FT_CHECK_FILE(id < count, mismatch, where(), ": token id ", id, " of ", count,
                    " tokens; ids must run from 0 without gaps");
      const auto at = static_cast<std::size_t>(id);
      FT_CHECK_FILE(!taken[at], dup, where(), ": token id ", id, " is taken by \"", excerpt(parts_.tokens[at]), "\"");
      taken[at] = true;
      parts_.tokens[at] = text;
      ids_.emplace(text, static_cast<std::int32_t>(id));
    }
    parts_.mergeable_tokens = members.size();
  }

  void merges(const Node& node) {
    const Json::Array& items = node.json.as_array(node.path);
    parts_.merges.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto where = [&] { return concat(node.path, "[", i, "]"); };
      const bool same_form = items[i].is_array() == items[0].is_array();
      FT_CHECK_FILE(same_form && (items[i].is_string() || items[i].is_array()), schema, where(), ": got a ",
                    items[i].type_name(), ", want all merges as \"left right\" or all as [\"left\", \"right\"]");
      parts_.merges.push_back(items[i].is_string() ? split(items[i].as_string(""), where) : pair(items[i], where));
    }
  }

  template <class Where>
  static std::pair<std::string_view, std::string_view> split(const std::string& text, const Where& where) {
    const std::size_t blank = text.find(' ');
    const bool good = blank != 0 && blank != text.npos && blank + 1 < text.size() && text.find(' ', blank + 1) == text.npos;
    FT_CHECK_FILE(good, schema, where(), ": \"", excerpt(text), "\", want two tokens and a blank between them");
    return {std::string_view(text).substr(0, blank), std::string_view(text).substr(blank + 1)};
  }

  template <class Where>
  static std::pair<std::string_view, std::string_view> pair(const Json& item, const Where& where) {
    const Json::Array& sides = item.as_array("");
    FT_CHECK_FILE(sides.size() == 2, schema, where(), ": ", sides.size(), " parts, want 2");
    FT_CHECK_FILE(sides[0].is_string() && sides[1].is_string(), schema, where(), ": want two strings");
    return {sides[0].as_string(""), sides[1].as_string("")};
  }

  std::int32_t known(const Node& node, std::string_view text) const {
    const auto found = ids_.find(text);
    FT_CHECK_FILE(found != ids_.end(), mismatch, node.path, ": \"", excerpt(text), "\" is no token of ",
                  parts_.tokens_path);
    return found->second;
  }

  void added_tokens() {
    const auto list = root_.find("added_tokens");
    std::vector<bool> seen(parts_.tokens.size());
    for (std::size_t i = 0; list && i < list->size(); ++i) {
      const Node node = list->at(i);
      node.only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      const std::string& content = node.at("content").text();
      FT_CHECK_FILE(!content.empty(), schema, node.path, ".content is empty");
      if (node.flag("single_word", false)) node.at("single_word").refuse_unless(false, "false");
      const std::int32_t id = added_id(node, content);
      seen.resize(parts_.tokens.size());
      FT_CHECK_FILE(!seen[static_cast<std::size_t>(id)], dup, node.path, ": \"", excerpt(content), "\" appears twice");
      seen[static_cast<std::size_t>(id)] = true;
      const bool special = node.flag("special", false);
      parts_.added.push_back({id, {special, node.flag("lstrip", false), node.flag("rstrip", false),
                                   node.flag("normalized", !special)}});
    }
  }

  /// A token of the vocabulary keeps its id; a new one must have the next id, which `tokenizers` would give it.
  std::int32_t added_id(const Node& node, const std::string& content) {
    const Node id_node = node.at("id");
    const std::int64_t id = id_node.json.as_integer(id_node.path, 0, INT32_MAX);
    const auto next = static_cast<std::int64_t>(parts_.tokens.size());
    if (const auto known = ids_.find(content); known != ids_.end()) {
      FT_CHECK_FILE(known->second == id, mismatch, id_node.path, ": \"", excerpt(content), "\" has id ", id, " here and ",
                    known->second, " before");
      return known->second;
    }
    FT_CHECK_FILE(id >= next, dup, id_node.path, ": id ", id, " of \"", excerpt(content), "\" is taken by \"",
                  excerpt(parts_.tokens[static_cast<std::size_t>(id)]), "\"");
    FT_CHECK_FILE(id == next, schema, id_node.path, ": \"", excerpt(content), "\" has id ", id, ", want ", next,
                  "; new tokens must follow the vocabulary in the order of their ids");
    parts_.tokens.push_back(content);
    ids_.emplace(content, static_cast<std::int32_t>(id));
    return static_cast<std::int32_t>(id);
  }

  void normalizer() {
    for (const Node& step : steps(root_, "normalizer", "normalizers")) {
      FT_CHECK_FILE(step.type() == "NFC", unsupported, step.path, ".type: \"", excerpt(step.type()),
                    "\", supported are null and \"NFC\"");
      step.only({"type"});
      parts_.nfc = true;
    }
  }

  void pre_tokenizer() {
    bool bytes = false;
    for (const Node& step : steps(root_, "pre_tokenizer", "pretokenizers")) {
      FT_CHECK_FILE(!bytes, unsupported, step.path, ": a step after ByteLevel, which must be the last");
      if (step.type() == "ByteLevel") byte_level(step), bytes = true;
      else if (step.type() == "Split") split_step(step);
      else if (step.type() == "Digits") digits(step);
      else
        FT_CHECK_FILE(false, unsupported, step.path, ".type: \"", excerpt(step.type()),
                      "\", supported are ByteLevel, Split, Digits and Sequence");
    }
    FT_CHECK_FILE(bytes, unsupported, root_.path, ".pre_tokenizer: no ByteLevel step; supported is BPE over bytes");
  }

  void byte_level(const Node& step) {
    step.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    parts_.add_prefix_space = step.flag("add_prefix_space", true);
    if (parts_.add_prefix_space && !parts_.pre_tokenizer.patterns().empty())
      step.at("add_prefix_space").refuse_unless(false, "false after another step");
    if (step.flag("use_regex", true)) parts_.pre_tokenizer.add(kGpt2Pattern, step.path);
  }

  void split_step(const Node& step) {
    step.only({"type", "pattern", "behavior", "invert"});
    const Node behavior = step.at("behavior"), pattern = step.at("pattern");
    behavior.refuse_unless(behavior.text() == "Isolated", "\"Isolated\"");
    if (step.flag("invert", false)) step.at("invert").refuse_unless(false, "false");
    pattern.only({"Regex"});
    parts_.pre_tokenizer.add(pattern.at("Regex").text(), concat(pattern.path, ".Regex"));
  }

  void digits(const Node& step) {
    step.only({"type", "individual_digits"});
    const bool single = step.flag("individual_digits", false);
    parts_.pre_tokenizer.add(single ? std::string(kDigitPattern) : concat(kDigitPattern, "+"), step.path);
  }

  void post_processor() {
    for (const Node& step : steps(root_, "post_processor", "processors")) {
      if (step.type() == "ByteLevel") continue;  // trims offsets, which ours never need
      FT_CHECK_FILE(step.type() == "TemplateProcessing", unsupported, step.path, ".type: \"", excerpt(step.type()),
                    "\", supported are ByteLevel, TemplateProcessing and Sequence");
      step.only({"type", "single", "pair", "special_tokens"});
      template_processing(step);
    }
  }

  /// Only what stands before the text matters: nothing, or the one token that begins every text.
  void template_processing(const Node& step) {
    const Node single = step.at("single");
    for (std::size_t i = 0; i < single.size(); ++i) {
      const Node piece = single.at(i);
      piece.only({"SpecialToken", "Sequence"});
      const auto token = piece.find("SpecialToken");
      if (!token) break;
      FT_CHECK_FILE(i == 0, unsupported, piece.path, ": two tokens before the text, supported is one");
      const std::string& name = token->at("id").text();
      const auto entry = step.at("special_tokens").find(name);
      FT_CHECK_FILE(entry, mismatch, token->path, ".id: \"", excerpt(name), "\" is not among special_tokens");
      const Node ids = entry->at("ids");
      FT_CHECK_FILE(ids.size() == 1, unsupported, ids.path, ": ", ids.size(), " ids, supported is one");
      const std::int64_t id = ids.at(0).json.as_integer(ids.path);
      const bool good = id >= 0 && id < static_cast<std::int64_t>(parts_.tokens.size()) &&
                        parts_.tokens[static_cast<std::size_t>(id)] == name;
      FT_CHECK_FILE(good, mismatch, ids.path, ": id ", id, " is not the token \"", excerpt(name), "\"");
      parts_.bos = static_cast<std::int32_t>(id);
      parts_.adds_bos = true;
    }
  }

  void decoder() {
    const auto list = steps(root_, "decoder", "decoders");
    for (const Node& step : list)
      FT_CHECK_FILE(step.type() == "ByteLevel", unsupported, step.path, ".type: \"", excerpt(step.type()),
                    "\", supported is \"ByteLevel\"");
    FT_CHECK_FILE(list.size() == 1, unsupported, root_.path, ".decoder: ", list.size(), " steps, supported is one ByteLevel");
  }

  Node root_;
  Parts parts_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
};

}  // namespace

Parts read_tokenizer_json(const Json& json, std::string_view source) { return Reader(json, source).run(); }

}  // namespace ftlib
