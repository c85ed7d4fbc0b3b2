// SPDX-License-Identifier: Apache-2.0
#include "config_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <istream>
#include <optional>
#include <set>
#include <streambuf>
#include <vector>

#include "ftlib/io/file.h"

namespace ftlib::cli {
namespace {

// yaml-cpp holds some 240 bytes for a byte of brackets.
constexpr std::int64_t kMostBytes = 1 << 20, kMostYamlBytes = 1 << 16;
constexpr int kMostLevels = 32, kMostValues = 20'000;

/// A number in decimal. One with a leading zero is octal to some readers and decimal to others: it stays text.
std::optional<Json> yaml_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  const bool begins = !digits.empty() && (std::isdigit(static_cast<unsigned char>(digits[0])) || digits[0] == '.');
  const bool octal = digits.size() > 1 && digits[0] == '0' && std::isdigit(static_cast<unsigned char>(digits[1]));
  if (!begins || octal) return std::nullopt;
  const char* const end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto got = std::from_chars(text.data(), end, whole); got.ec == std::errc() && got.ptr == end)
    return Json(whole);
  double number = 0;
  if (const auto got = std::from_chars(text.data(), end, number); got.ec == std::errc() && got.ptr == end)
    return Json(number);
  return std::nullopt;
}

/// A scalar without quotes, by YAML 1.1, which PyYAML reads.
Json plain_scalar(const std::string& text) {
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower.empty() || lower == "~" || lower == "null") return nullptr;
  for (const char* yes : {"true", "yes", "on"})
    if (lower == yes) return true;
  for (const char* no : {"false", "no", "off"})
    if (lower == no) return false;
  return yaml_number(text).value_or(Json(text));
}

/// Builds the value from the parser's events.
class YamlBuilder : public YAML::EventHandler {
 public:
  explicit YamlBuilder(ConfigFile& file) : file_(file) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (done_) refuse(Reason::schema, mark, "a second document; give a file of one");
  }
  void OnDocumentEnd() override { done_ = true; }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { scalar(mark, nullptr, ""); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(Reason::unsupported, mark, "an alias (*name); write the value itself");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
    const bool plain = tag == "?", quoted = tag == "!";
    if (!plain && !quoted) refuse_tag(mark, tag);
    scalar(mark, plain ? plain_scalar(text) : Json(text), text);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, Json::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, tag, Json::object());
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    Json value;
    std::string path;
    std::optional<std::string> key;  ///< of a map, once read: the next value is its own
    std::set<std::string> keys;
    std::size_t items = 0;
  };

  [[noreturn]] void refuse(Reason reason, const YAML::Mark& mark, std::string_view text) const {
    throw Error(Status::invalid_file, reason, concat(file_.path, ":", mark.line + 1, ": ", text));
  }
  [[noreturn]] void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    refuse(Reason::unsupported, mark, concat("a tag, ", excerpt(tag), "; write a plain value"));
  }

  void count(const YAML::Mark& mark) {
    if (++values_ > kMostValues) refuse(Reason::limit, mark, concat("more than ", kMostValues, " values"));
  }
  bool expects_key() const { return !levels_.empty() && levels_.back().value.is_object() && !levels_.back().key; }

  void take_key(const YAML::Mark& mark, const std::string& text) {
    Level& level = levels_.back();
    if (!level.keys.insert(text).second)
      refuse(Reason::dup, mark, concat("key ", excerpt(text), " appears twice in one map"));
    level.key = text;
    file_.lines.emplace(child_path(), mark.line + 1);
  }
  std::string child_path() const {
    if (levels_.empty()) return "";
    const Level& level = levels_.back();
    if (!level.key) return concat(level.path, "[", level.items, "]");
    return level.path.empty() ? *level.key : concat(level.path, ".", *level.key);
  }

  void scalar(const YAML::Mark& mark, Json value, const std::string& text) {
    count(mark);
    if (expects_key()) return take_key(mark, text);
    add(std::move(value));
  }
  void open(const YAML::Mark& mark, const std::string& tag, Json empty) {
    count(mark);
    if (tag != "?" && tag != "!" && !tag.empty()) refuse_tag(mark, tag);
    if (expects_key()) refuse(Reason::schema, mark, "a key that is no scalar");
    if (levels_.size() >= kMostLevels) refuse(Reason::limit, mark, concat("more than ", kMostLevels, " levels"));
    std::string path = child_path();
    levels_.push_back({std::move(empty), std::move(path), {}, {}, 0});
  }
  void close() {
    Json value = std::move(levels_.back().value);
    levels_.pop_back();
    add(std::move(value));
  }
  void add(Json value) {
    if (levels_.empty()) {
      file_.value = std::move(value);
      return;
    }
    Level& level = levels_.back();
    ++level.items;
    if (level.value.is_array()) return level.value.push_back(std::move(value));
    level.value.append(std::move(*level.key), std::move(value));
    level.key.reset();
  }

  ConfigFile& file_;
  std::vector<Level> levels_;
  int values_ = 0;
  bool done_ = false;
};

/// A text as a stream, without a copy.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string& text) { setg(text.data(), text.data(), text.data() + text.size()); }
};

void read_yaml(ConfigFile& file, std::string text) {
  FT_CHECK_FILE(static_cast<std::int64_t>(text.size()) <= kMostYamlBytes, limit, file.path, ": ", text.size(),
                " bytes of YAML, and at most ", kMostYamlBytes, " are read");
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    YamlBuilder builder(file);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& error) {
    const std::string line = error.mark.is_null() ? "" : concat(":", error.mark.line + 1);
    throw Error(Status::invalid_file, Reason::schema, concat(file.path, line, ": no YAML: ", excerpt(error.msg, 128)));
  }
}

/// The lines of the keys of the outermost object. `text` was parsed before: its quotes and brackets fit.
void find_lines(const std::string& text, ConfigFile& file) {
  std::int64_t line = 1, depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (c != '"') continue;
    const std::size_t begin = i++;
    for (; text[i] != '"'; ++i) i += text[i] == '\\';
    const std::size_t next = text.find_first_not_of(" \t\r\n", i + 1);
    if (depth != 1 || next == text.npos || text[next] != ':') continue;
    const Json key = parse_json(std::string_view(text).substr(begin, i + 1 - begin), file.path);
    file.lines.emplace(key.as_string(file.path), line);
  }
}

void read_json(ConfigFile& file, const std::string& text) {
  file.value = parse_json(text, file.path, {.bytes = kMostBytes, .depth = kMostLevels, .token = kMostBytes});
  if (file.value.is_object()) find_lines(text, file);
}

/// What a file is that no configuration begins like; empty: it may be one.
std::string_view kind_of_state(const std::string& path) {
  const InputFile file(path);
  std::array<unsigned char, 4> head{};
  if (file.size() < static_cast<std::int64_t>(head.size())) return "";
  file.read(0, head.data(), head.size());
  if (head == std::array<unsigned char, 4>{'P', 'K', 3, 4}) return "an archive of torch.save, which holds a pickle";
  if (head[0] == 0x80 && head[1] <= 5) return "a pickle";
  if (head == std::array<unsigned char, 4>{'G', 'G', 'U', 'F'}) return "a GGUF file";
  if (path.ends_with(".safetensors")) return "a file of weights";
  return "";
}

void refuse_state(const std::string& path) {
  if (std::filesystem::is_directory(path))
    throw Error(Status::invalid_argument,
                concat(path, " is a folder, and --from reads a file of settings. ", what_moves_over()));
  const std::string_view kind = kind_of_state(path);
  if (!kind.empty())
    throw Error(Status::invalid_argument,
                concat(path, " is ", kind, ", and --from reads settings in JSON or YAML. ", what_moves_over()));
}

}  // namespace

std::string ConfigFile::where(std::string_view key) const {
  for (std::string_view part = key; !part.empty();) {
    if (const auto found = lines.find(part); found != lines.end()) return concat(path, ":", found->second);
    const std::size_t end = part.find_last_of(".[");
    part = part.substr(0, end == part.npos ? 0 : end);
  }
  return path;
}

std::string_view what_moves_over() {
  return "What moves over: the adapter by --init-adapter DIR (adapter_config.json beside adapter_model.safetensors), "
         "the settings by --from with adapter_config.json, SFTConfig as JSON or axolotl's YAML. What does not: the "
         "optimizer's moments, the position in schedule and data, the state of random numbers; training begins at step 1";
}

ConfigFile read_config_file(const std::string& path) {
  refuse_state(path);
  ConfigFile file;
  file.path = path;
  std::string text = read_file(path, kMostBytes);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != text.npos && (text[first] == '{' || text[first] == '['))
    read_json(file, text);
  else
    read_yaml(file, std::move(text));
  FT_CHECK_FILE(file.value.is_object(), schema, path, ": want keys with values, got ", file.value.type_name());
  return file;
}

}  // namespace ftlib::cli
