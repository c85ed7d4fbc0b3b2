// SPDX-License-Identifier: Apache-2.0
// Strict JSON: RFC 8259 and nothing more, with limits, duplicate keys refused and paths in errors.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// A JSON value. Objects keep the order of the text. Copyable; not shared.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(const Json& other) : value_(other.copied()) {}
  Json(Json&&) noexcept = default;
  Json& operator=(const Json& other) { return value_ = other.copied(), *this; }
  Json& operator=(Json&&) noexcept = default;
  ~Json() = default;
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  static Json array() { return Json(Array{}); }
  static Json object() { return Json(Object{}); }

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }
  bool is_integer() const noexcept { return std::holds_alternative<std::int64_t>(value_); }
  bool is_number() const noexcept { return is_integer() || std::holds_alternative<double>(value_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }
  std::string_view type_name() const noexcept;  ///< "null", "boolean", "number", "string", "array", "object"

  /// Typed access; `what` names the value in the error, e.g. "config.json: hidden_size".
  /// Throws Error{invalid_file, SCHEMA} on another type, RANGE where a number does not fit.
  bool as_bool(std::string_view what) const;
  std::int64_t as_integer(std::string_view what) const;
  std::int64_t as_integer(std::string_view what, std::int64_t low, std::int64_t high) const;
  double as_number(std::string_view what) const;
  const std::string& as_string(std::string_view what) const;
  const Array& as_array(std::string_view what) const;
  const Object& as_object(std::string_view what) const;

  /// Null when absent or not an object. Looks through the members: for many keys of a large object build a map.
  const Json* find(std::string_view key) const noexcept;
  const Json& at(std::string_view key, std::string_view what) const;
  Json& operator[](std::string_view key);  ///< of an object (null becomes one); appends a missing key
  Json& append(std::string key, Json value);  ///< of an object (null becomes one), without looking for the key
  void push_back(Json value);              ///< of an array (null becomes one)

  bool operator==(const Json& other) const = default;

 private:
  using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object>;

  /// std::variant's own copy, in libstdc++ 12, destroys the string that a failed allocation never made.
  Value copied() const {
    return std::visit(
        []<class T>(const T& value) {
          T copy(value);
          return Value(std::in_place_type<T>, std::move(copy));
        },
        value_);
  }

  Value value_;
};

struct JsonLimits {
  std::size_t bytes = std::size_t{256} << 20;
  int depth = 128;
  std::size_t token = std::size_t{64} << 20;  ///< of one string as written, or in a row without string and number
};

/// Parses one document, in time and memory linear in the text. `what` (a path, "file:line") begins every error, then
/// come the byte (or, where the text is that `line` of a file, line and column in code points, from 1), the path in the
/// document and at most 64 bytes of excerpt. Integers beyond int64 and numbers beyond
/// double (or too small for it) are RANGE errors; duplicate keys DUP; invalid UTF-8 or lone surrogates UTF8; depth and
/// size LIMIT; the rest JSON.
Json parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {}, std::int64_t line = 0);

struct JsonStyle {
  int indent = -1;               ///< -1: one line
  std::string_view comma = ",";  ///< before a new line or the next item
  std::string_view colon = ":";
  bool sort_keys = false;
  bool ascii = false;  ///< \uXXXX for everything beyond ASCII
};
inline constexpr JsonStyle kCompactJson{};
inline constexpr JsonStyle kPythonJson{-1, ", ", ": ", false, true};      ///< json.dumps(x)
inline constexpr JsonStyle kPythonPrettyJson{2, ",", ": ", true, true};   ///< json.dumps(x, indent=2, sort_keys=True)

/// Numbers as Python's repr, the shortest that read back equal: 0.0001, 1e-05, 1e+16. NaN and infinity become null,
/// invalid UTF-8 becomes U+FFFD.
std::string dump_json(const Json& value, const JsonStyle& style = kCompactJson);

/// At most `limit` bytes of `text`, control characters and invalid UTF-8 escaped: safe to show in a message.
std::string excerpt(std::string_view text, std::size_t limit = 64);

}  // namespace ftlib
