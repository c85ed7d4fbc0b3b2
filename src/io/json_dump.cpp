// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>

#include "ftlib/io/json.h"
#include "io/utf8.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

void append_unit(unsigned unit, std::string& out) {
  constexpr char kHexDigits[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHexDigits[(unit >> shift) & 15];
}

void append_escaped_ascii(char letter, std::string& out) {
  constexpr std::string_view kLetters = "\"\\\b\f\n\r\t", kNames = "\"\\bfnrt";
  const std::size_t which = kLetters.find(letter);
  if (which != kLetters.npos)
    (out += '\\') += kNames[which];
  else
    append_unit(static_cast<unsigned char>(letter), out);
}

/// The code point of the valid sequence text[at, at + length).
unsigned decode(std::string_view text, std::size_t at, std::size_t length) {
  unsigned code = static_cast<unsigned char>(text[at]) & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fu);
  return code;
}

void append_code_point(unsigned code, std::string& out) {
  if (code < 0x10000) return append_unit(code, out);
  append_unit(0xd800 + ((code - 0x10000) >> 10), out);
  append_unit(0xdc00 + ((code - 0x10000) & 0x3ff), out);
}

void dump_string(std::string_view text, bool ascii, std::string& out) {
  constexpr unsigned kReplacement = 0xfffd;
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = utf8_length(text, at);
    const bool plain = byte >= 0x20 && byte != '"' && byte != '\\' && !(ascii && byte == 0x7f);
    if (length == 1 && plain)
      out += text[at];
    else if (length == 1)
      append_escaped_ascii(text[at], out);
    else if (ascii)
      append_code_point(length == 0 ? kReplacement : decode(text, at, length), out);
    else if (length == 0)
      out += "\xEF\xBF\xBD";
    else
      out.append(text, at, length);
    at += std::max<std::size_t>(length, 1);
  }
  out += '"';
}

/// Python's repr: the shortest digits that read back equal, plain for 1e-4 <= |x| < 1e16, with an exponent otherwise.
void dump_number(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[40];
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end =
      std::to_chars(text, text + sizeof text, value, plain ? std::chars_format::fixed : std::chars_format::scientific);
  const std::string_view digits(text, static_cast<std::size_t>(end.ptr - text));
  out += digits;
  if (plain && digits.find('.') == digits.npos) out += ".0";
}

class Dumper {
 public:
  Dumper(const JsonStyle& style, std::string& out) : style_(style), out_(out) {}

  void value(const Json& v, int level) {
    if (v.is_null())
      out_ += "null";
    else if (v.is_bool())
      out_ += v.as_bool("") ? "true" : "false";
    else if (v.is_integer())
      out_ += concat(v.as_integer(""));
    else if (v.is_number())
      dump_number(v.as_number(""), out_);
    else if (v.is_string())
      dump_string(v.as_string(""), style_.ascii, out_);
    else if (v.is_array())
      array(v.as_array(""), level);
    else
      object(v.as_object(""), level);
  }

 private:
  void line(int level) {
    if (style_.indent >= 0) out_.append("\n").append(static_cast<std::size_t>(level * style_.indent), ' ');
  }
  void array(const Json::Array& items, int level) {
    out_ += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i) out_ += style_.comma;
      line(level + 1);
      value(items[i], level + 1);
    }
    if (!items.empty()) line(level);
    out_ += ']';
  }
  void object(const Json::Object& object, int level) {
    std::vector<const Json::Member*> members;
    for (const Json::Member& member : object) members.push_back(&member);
    if (style_.sort_keys)
      std::ranges::stable_sort(members, {}, [](const Json::Member* m) -> const std::string& { return m->first; });
    out_ += '{';
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i) out_ += style_.comma;
      line(level + 1);
      dump_string(members[i]->first, style_.ascii, out_);
      out_ += style_.colon;
      value(members[i]->second, level + 1);
    }
    if (!members.empty()) line(level);
    out_ += '}';
  }

  const JsonStyle& style_;
  std::string& out_;
};

}  // namespace

std::string dump_json(const Json& value, const JsonStyle& style) {
  std::string out;
  Dumper(style, out).value(value, 0);
  return out;
}

}  // namespace ftlib
