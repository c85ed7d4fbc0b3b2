// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace ftlib::inline FTLIB_ABI {
namespace {

/// Builds a Json from nlohmann's event parser, which is iterative, and refuses what it would let pass.
class Builder {
 public:
  using number_integer_t = std::int64_t;
  using number_unsigned_t = std::uint64_t;
  using number_float_t = double;
  using string_t = std::string;
  using binary_t = nlohmann::json::binary_t;

  Builder(std::string_view what, const JsonLimits& limits) : what_(what), limits_(limits) {}
  Json take() { return std::move(root_); }

  bool null() { return put(Json()); }
  bool boolean(bool value) { return put(Json(value)); }
  bool number_integer(std::int64_t value) { return put(Json(value)); }
  bool number_unsigned(std::uint64_t value) {
    check(value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), Reason::range,
          concat("integer ", value, " does not fit 64 bits"));
    return put(Json(static_cast<std::int64_t>(value)));
  }
  bool number_float(double, const std::string& text) {
    const bool integer = text.find_first_of(".eE") == std::string::npos;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    check(!integer && error == std::errc() && std::isfinite(value), Reason::range,
          concat("number ", excerpt(text), " does not fit"));
    return put(Json(value));
  }
  bool string(std::string& value) { return put(Json(std::move(value))); }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    check(keys_.back().insert(name).second, Reason::dup, concat("key \"", excerpt(name), "\" appears twice"));
    current_key_.back() = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::json::exception& error) {
    const std::string_view text = error.what();
    constexpr int kNumberOutOfRange = 406;
    if (error.id == kNumberOutOfRange) check(false, Reason::range, concat("number ", excerpt(token), " does not fit"));
    const bool utf8 = text.find("UTF-8") != text.npos || text.find("surrogate") != text.npos;
    throw Error(Status::invalid_file, utf8 ? Reason::utf8 : Reason::json,
                concat(what_, ": byte ", position, path(), ": not valid JSON near \"", excerpt(token), "\""));
  }

 private:
  void check(bool good, Reason reason, const std::string& text) const {
    if (!good) throw Error(Status::invalid_file, reason, concat(what_, path(), ": ", text));
  }
  std::string path() const {
    std::string text;
    for (std::size_t i = 0; i < current_key_.size() && i < 16; ++i)
      text += concat(i ? "." : ": ", current_key_[i].empty() ? "[]" : excerpt(current_key_[i]));
    return text;
  }
  Json* put(Json value) {
    if (open_.empty()) return &(root_ = std::move(value));
    if (open_.back()->is_object()) return &open_.back()->append(current_key_.back(), std::move(value));
    open_.back()->push_back(std::move(value));
    return &const_cast<Json&>(open_.back()->as_array("").back());
  }
  bool open(Json container) {
    check(static_cast<int>(open_.size()) < limits_.depth, Reason::limit,
          concat("nested deeper than ", limits_.depth, " levels"));
    open_.push_back(put(std::move(container)));
    keys_.emplace_back();
    current_key_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    keys_.pop_back();
    current_key_.pop_back();
    return true;
  }

  std::string_view what_;
  const JsonLimits& limits_;
  Json root_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> keys_;
  std::vector<std::string> current_key_;
};

void dump_string(const std::string& text, bool ascii, std::string& out) {
  out += nlohmann::json(text).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

void dump_number(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  const std::size_t begin = out.size();
  out += concat(value);
  if (out.find_first_of(".e", begin) == std::string::npos) out += ".0";  // a float stays a float, as in Python
}

void dump(const Json& value, const JsonStyle& style, int level, std::string& out) {
  const auto line = [&](int at) {
    if (style.indent >= 0) out.append("\n").append(static_cast<std::size_t>(at * style.indent), ' ');
  };
  if (value.is_null()) out += "null";
  else if (value.is_bool()) out += value.as_bool("") ? "true" : "false";
  else if (value.is_integer()) out += concat(value.as_integer(""));
  else if (value.is_number()) dump_number(value.as_number(""), out);
  else if (value.is_string()) dump_string(value.as_string(""), style.ascii, out);
  else if (value.is_array()) {
    const Json::Array& items = value.as_array("");
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i) out += style.comma;
      line(level + 1);
      dump(items[i], style, level + 1, out);
    }
    if (!items.empty()) line(level);
    out += ']';
  } else {
    std::vector<const Json::Member*> members;
    for (const Json::Member& member : value.as_object("")) members.push_back(&member);
    if (style.sort_keys) std::ranges::stable_sort(members, {}, [](const Json::Member* m) { return m->first; });
    out += '{';
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i) out += style.comma;
      line(level + 1);
      dump_string(members[i]->first, style.ascii, out);
      out += style.colon;
      dump(members[i]->second, style, level + 1, out);
    }
    if (!members.empty()) line(level);
    out += '}';
  }
}

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

Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  FT_CHECK_FILE(text.size() <= limits.bytes, limit, what, ": ", text.size(), " bytes, the limit is ", limits.bytes);
  FT_CHECK_FILE(!text.starts_with("\xEF\xBB\xBF"), json, what, ": begins with a byte order mark; save it without");
  Builder builder(what, limits);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::string dump_json(const Json& value, const JsonStyle& style) {
  std::string out;
  dump(value, style, 0, out);
  return out;
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
