// SPDX-License-Identifier: Apache-2.0
// str() and repr() of values, as Python writes them.
#include <charconv>
#include <cmath>

#include "data/jinja_call.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

constexpr std::size_t kMaxRepr = std::size_t{64} << 20;

void append_hex(char32_t point, std::string& out) {
  const int width = point < 0x100 ? 2 : point < 0x10000 ? 4 : 8;
  out += point < 0x100 ? "\\x" : point < 0x10000 ? "\\u" : "\\U";
  for (int shift = (width - 1) * 4; shift >= 0; shift -= 4) out += "0123456789abcdef"[(point >> shift) & 15];
}

void append_quoted(std::string_view text, std::string& out) {
  const bool use_double = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char32_t quote = use_double ? '"' : '\'';
  append_point(quote, out);
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at]))) {
    const char32_t point = point_at(text, at);
    if (point == quote || point == '\\') out += '\\', append_point(point, out);
    else if (point == '\n') out += "\\n";
    else if (point == '\r') out += "\\r";
    else if (point == '\t') out += "\\t";
    else if (!is_printable(point)) append_hex(point, out);
    else append_point(point, out);
  }
  append_point(quote, out);
}

void append_repr(const Value& value, std::string& out);

void append_elements(const std::vector<Value>& elements, std::string& out) {
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (i != 0) out += ", ";
    append_repr(elements[i], out);
  }
}

void append_sequence(const Sequence& sequence, std::string_view type, std::string& out) {
  const bool tuple = sequence.flavour == Sequence::tuple, list = sequence.flavour == Sequence::list;
  if (!tuple && !list) out += concat(type, "(");
  out += tuple ? '(' : '[';
  append_elements(sequence.elements, out);
  if (tuple && sequence.elements.size() == 1) out += ',';
  out += tuple ? ')' : ']';
  if (!tuple && !list) out += ')';
}

void append_dict(const Dict& dict, std::string& out) {
  out += '{';
  for (std::size_t i = 0; i < dict.items.size(); ++i) {
    if (i != 0) out += ", ";
    append_repr(dict.items[i].first, out);
    out += ": ";
    append_repr(dict.items[i].second, out);
  }
  out += '}';
}

std::string range_text(const Range& range) {
  std::string text = concat("range(", range.start, ", ", range.stop);
  return text + (range.step == 1 ? ")" : concat(", ", range.step, ")"));
}

void append_repr(const Value& value, std::string& out) {
  if (out.size() > kMaxRepr) raise_limit("a value prints as more than ", kMaxRepr, " bytes");
  switch (value.kind()) {
    case Kind::none: out += "None"; break;
    case Kind::undefined: out += "Undefined"; break;
    case Kind::boolean: out += value.boolean() ? "True" : "False"; break;
    case Kind::integer: out += concat(value.integer()); break;
    case Kind::real: out += repr(value.real()); break;
    case Kind::text:
      if (value.text().safe) out += "Markup(";
      append_quoted(value.text().bytes, out);
      if (value.text().safe) out += ')';
      break;
    case Kind::sequence: append_sequence(value.sequence(), value.type_name(), out); break;
    case Kind::dict: append_dict(value.dict(), out); break;
    case Kind::range: out += range_text(value.range()); break;
    default: out += concat("<", value.type_name(), ">"); break;
  }
}

}  // namespace

std::string repr(std::string_view text) {
  std::string out;
  append_quoted(text, out);
  return out;
}

std::string repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  const std::size_t mark = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + mark + (text[mark + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr;
  std::string out(digits, fixed);
  return out.find('.') == out.npos ? out + ".0" : out;
}

std::string repr(const Value& value) {
  std::string out;
  append_repr(value, out);
  return out;
}

std::string to_string(const Value& value) {
  if (value.is(Kind::text)) return value.text().bytes;
  if (value.is(Kind::undefined)) return {};
  return repr(value);
}

}  // namespace ftlib::jinja
