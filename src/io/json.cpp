// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/json.h"

#include <algorithm>
#include <functional>

#include "io/json_reader.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// The key that an object has twice, or null. Sorting by hash, then by text: no choice of keys makes it quadratic.
const std::string* duplicate_key(const Json::Object& members) {
  struct Entry {
    std::size_t hash;
    const std::string* key;
    bool operator<(const Entry& other) const { return hash != other.hash ? hash < other.hash : *key < *other.key; }
  };
  std::vector<Entry> entries;
  entries.reserve(members.size());
  for (const Json::Member& member : members)
    entries.push_back({std::hash<std::string_view>()(member.first), &member.first});
  std::ranges::sort(entries, std::less<>());
  const auto same = [](const Entry& a, const Entry& b) { return a.hash == b.hash && *a.key == *b.key; };
  const auto found = std::ranges::adjacent_find(entries, same);
  return found == entries.end() ? nullptr : found->key;
}

/// Puts values into the innermost open container.
class Builder {
 public:
  explicit Builder(JsonReader& in) : in_(in) {}

  Json document() {
    in_.read([this](JsonToken token) { take(token); });
    return std::move(root_);
  }

 private:
  void take(JsonToken token) {
    switch (token) {
      case JsonToken::begin_object:
        return open(Json::object());
      case JsonToken::begin_array:
        return open(Json::array());
      case JsonToken::end_object:
      case JsonToken::end_array:
        return close();
      case JsonToken::key:
        keys_.back() = in_.text();
        return;
      case JsonToken::string:
        return put(Json(in_.text()));
      case JsonToken::number:
        return put(in_.is_integer() ? Json(in_.integer()) : Json(in_.number()));
      case JsonToken::boolean:
        return put(Json(in_.boolean()));
      case JsonToken::null:
        return put(Json());
    }
  }
  void open(Json container) {
    open_.push_back(std::move(container));
    keys_.emplace_back();
  }
  void put(Json value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (open_.back().is_object())
      open_.back().append(std::move(keys_.back()), std::move(value));
    else
      open_.back().push_back(std::move(value));
  }
  void close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    if (const std::string* twice = done.is_object() ? duplicate_key(done.as_object("")) : nullptr)
      in_.fail(Reason::dup, concat("key \"", excerpt(*twice), "\" appears twice in the object that ends here"));
    put(std::move(done));
  }

  JsonReader& in_;
  Json root_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
};

[[noreturn]] void wrong_type(std::string_view what, std::string_view want, const Json& got) {
  throw Error(Status::invalid_file, Reason::schema, concat(what, ": want ", want, ", got ", got.type_name()));
}

}  // namespace

std::string_view Json::type_name() const noexcept {
  constexpr std::string_view kNames[] = {"null", "boolean", "number", "number", "string", "array", "object"};
  return kNames[value_.index()];
}

bool Json::as_bool(std::string_view what) const {
  if (!is_bool()) wrong_type(what, "true or false", *this);
  return std::get<bool>(value_);
}

std::int64_t Json::as_integer(std::string_view what) const {
  if (!is_integer()) wrong_type(what, "an integer", *this);
  return std::get<std::int64_t>(value_);
}

std::int64_t Json::as_integer(std::string_view what, std::int64_t low, std::int64_t high) const {
  const std::int64_t value = as_integer(what);
  FT_CHECK_FILE(value >= low && value <= high, range, what, ": want ", low, " to ", high, ", got ", value);
  return value;
}

double Json::as_number(std::string_view what) const {
  if (is_integer()) return static_cast<double>(std::get<std::int64_t>(value_));
  if (!is_number()) wrong_type(what, "a number", *this);
  return std::get<double>(value_);
}

const std::string& Json::as_string(std::string_view what) const {
  if (!is_string()) wrong_type(what, "a string", *this);
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array(std::string_view what) const {
  if (!is_array()) wrong_type(what, "an array", *this);
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object(std::string_view what) const {
  if (!is_object()) wrong_type(what, "an object", *this);
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const noexcept {
  const auto* members = std::get_if<Object>(&value_);
  if (members == nullptr) return nullptr;
  for (const Member& member : *members)
    if (member.first == key) return &member.second;
  return nullptr;
}

const Json& Json::at(std::string_view key, std::string_view what) const {
  as_object(what);
  const Json* value = find(key);
  FT_CHECK_FILE(value != nullptr, schema, what, ": \"", key, "\" is missing");
  return *value;
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object{};
  Object& members = std::get<Object>(value_);
  for (Member& member : members)
    if (member.first == key) return member.second;
  return append(std::string(key), Json());
}

Json& Json::append(std::string key, Json value) {
  if (is_null()) value_ = Object{};
  return std::get<Object>(value_).emplace_back(std::move(key), std::move(value)).second;
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array{};
  std::get<Array>(value_).push_back(std::move(value));
}

Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits, std::int64_t line) {
  JsonReader in(text, what, limits, line);
  return Builder(in).document();
}

std::string excerpt(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    const std::string piece =
        byte >= 0x20 && byte < 0x7f && letter != '\\'
            ? std::string(1, letter)
            : std::string{'\\', 'x', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    if (out.size() + piece.size() > limit) return out.substr(0, limit - std::min<std::size_t>(limit, 3)) + "...";
    out += piece;
  }
  return out;
}

}  // namespace ftlib
