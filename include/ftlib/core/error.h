// SPDX-License-Identifier: Apache-2.0
// Errors are values with a next step: a status for the program, a reason for files, a sentence for the person.
#pragma once
#include <charconv>
#include <cmath>
#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

enum class Status : int {
  ok = 0,
  invalid_argument = 1,  ///< the caller passed something that cannot work
  unsupported = 2,       ///< understood, but not offered; inside kernels: "try the next backend"
  out_of_memory = 3,
  invalid_file = 4,  ///< a file's content is wrong; Reason says how
  io_error = 5,      ///< the operating system refused; the message carries its text
  not_found = 6,
  busy = 7,        ///< another process or thread holds it
  mismatch = 8,    ///< two valid things do not belong together (adapter and base, run and resume options)
  non_finite = 9,  ///< NaN or infinity where a number is needed
  cancelled = 10,
  internal = 11,
};

/// What is wrong with a file; `none` for errors that no file caused.
enum class Reason : int {
  none = 0, trunc, limit, overflow, magic, version, utf8, json, dup, schema, dtype, shape, range, layout, mismatch,
  unsupported, changed, io,
};

constexpr std::string_view status_name(Status status) noexcept {
  constexpr std::string_view kNames[] = {"ok",        "invalid_argument", "unsupported", "out_of_memory",
                                         "invalid_file", "io_error",      "not_found",   "busy",
                                         "mismatch",  "non_finite",       "cancelled",   "internal"};
  return kNames[static_cast<int>(status)];
}

constexpr std::string_view reason_name(Reason reason) noexcept {
  constexpr std::string_view kNames[] = {"NONE",  "TRUNC", "LIMIT", "OVERFLOW", "MAGIC",    "VERSION",
                                         "UTF8",  "JSON",  "DUP",   "SCHEMA",   "DTYPE",    "SHAPE",
                                         "RANGE", "LAYOUT", "MISMATCH", "UNSUPPORTED", "CHANGED", "IO"};
  return kNames[static_cast<int>(reason)];
}

/// The one exception of the library; thrown at API boundaries only, never inside kernels.
class Error : public std::runtime_error {
 public:
  Error(Status status, const std::string& message) : Error(status, Reason::none, message) {}
  Error(Status status, Reason reason, const std::string& message)
      : std::runtime_error(message), status_(status), reason_(reason) {}
  Status status() const noexcept { return status_; }
  Reason reason() const noexcept { return reason_; }

 private:
  Status status_;
  Reason reason_;
};

namespace detail {

inline void append(std::string& out, std::string_view text) { out.append(text); }
inline void append(std::string& out, char letter) { out.push_back(letter); }
inline void append(std::string& out, std::same_as<bool> auto value) { out.append(value ? "true" : "false"); }
template <class T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>)
void append(std::string& out, T value) {
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end.ptr);
}

}  // namespace detail

/// Joins text and numbers; numbers by to_chars, so a host's locale changes nothing.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

}  // namespace ftlib

/// Throws Error{status, message built from the rest} unless `condition` holds.
#define FT_CHECK(condition, status, ...)                                                             \
  do {                                                                                               \
    if (!(condition)) throw ::ftlib::Error(::ftlib::Status::status, ::ftlib::concat(__VA_ARGS__)); \
  } while (false)

/// The same for a file's content: Error{invalid_file, reason, message}.
#define FT_CHECK_FILE(condition, reason, ...)                                                                        \
  do {                                                                                                               \
    if (!(condition))                                                                                                \
      throw ::ftlib::Error(::ftlib::Status::invalid_file, ::ftlib::Reason::reason, ::ftlib::concat(__VA_ARGS__)); \
  } while (false)
