// SPDX-License-Identifier: Apache-2.0
// What both format syntaxes share: one conversion, read from text and written with its padding.
#pragma once
#include <optional>

#include "data/jinja_interpreter.h"

namespace ftlib::inline FTLIB_ABI::jinja {

inline constexpr std::int64_t kMaxFieldWidth = 1 << 16;

/// One conversion, as both syntaxes describe it.
struct FormatSpec {
  char32_t fill = ' ';
  char align = '\0';  // < > ^ =, or the type's own
  char sign = '-';    // - + or blank
  bool alternate = false, zero = false, grouped = false;
  std::int64_t width = 0, precision = -1;
  char type = '\0';
};

void format_text(const Text& text, const FormatSpec& spec, TextBuilder& out);
void format_real(double value, const FormatSpec& spec, TextBuilder& out);
void format_integer(std::int64_t value, const FormatSpec& spec, TextBuilder& out);
/// Sign, digits and padding; zeros go between sign and digits.
void format_digits(bool negative, std::string digits, const FormatSpec& spec, TextBuilder& out);

/// Reads a format string; raises at its end.
class FormatReader {
 public:
  explicit FormatReader(std::string_view text) : text_(text) {}
  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  char take() {
    if (done()) raise("incomplete format");
    return text_[at_++];
  }
  bool skip(char letter) { return peek() == letter && !done() && (++at_, true); }
  std::string_view until(std::string_view stops) {
    const std::size_t begin = at_;
    at_ = std::min(text_.find_first_of(stops, at_), text_.size());
    return text_.substr(begin, at_ - begin);
  }
  std::optional<std::int64_t> number() {
    std::int64_t value = 0;
    const auto result = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (result.ec != std::errc() || peek() == '-') return std::nullopt;
    at_ = static_cast<std::size_t>(result.ptr - text_.data());
    if (value > kMaxFieldWidth) raise_limit("a field wider than ", kMaxFieldWidth);
    return value;
  }
  std::size_t at() const { return at_; }
  std::string_view rest() const { return text_.substr(at_); }
  void advance(std::size_t bytes) { at_ += bytes; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace ftlib::jinja
