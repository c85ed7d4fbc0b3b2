// SPDX-License-Identifier: Apache-2.0
// "...".format(...), and the digits and padding that it shares with "..." % values.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/jinja_format.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

std::string grouped(std::string digits, char mark) {
  for (std::size_t at = std::min(digits.find_first_of("."), digits.size()); at > 3;) digits.insert(at -= 3, 1, mark);
  return digits;
}

std::string float_digits(double value, const FormatSpec& spec) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return "inf";
  const char type = static_cast<char>(spec.type | 0x20);
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  std::string buffer(static_cast<std::size_t>(precision) + 400, '\0');
  const auto format = type == 'e' ? std::chars_format::scientific
                      : type == 'g' ? std::chars_format::general : std::chars_format::fixed;
  const int digits = type == 'g' ? std::max(precision, 1) : precision;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), type == '%' ? value * 100 : value, format, digits);
  buffer.resize(static_cast<std::size_t>(end.ptr - buffer.data()));
  return spec.type == '%' ? buffer + '%' : buffer;
}

std::string integer_digits(std::uint64_t value, const FormatSpec& spec) {
  const int base = spec.type == 'x' || spec.type == 'X' ? 16 : spec.type == 'o' ? 8 : spec.type == 'b' ? 2 : 10;
  char buffer[72];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, base);
  std::string digits(buffer, end.ptr);
  if (static_cast<std::int64_t>(digits.size()) < spec.precision)
    digits.insert(0, static_cast<std::size_t>(spec.precision) - digits.size(), '0');
  if (spec.alternate && base != 10) digits.insert(0, base == 16 ? "0x" : base == 8 ? "0o" : "0b");
  return digits;
}

void upper_case(std::string& digits, char type) {
  if (type >= 'A' && type <= 'Z') digits = upper(digits);
}

}  // namespace

void format_digits(bool negative, std::string digits, const FormatSpec& spec, TextBuilder& out) {
  if (spec.grouped) digits = grouped(std::move(digits), ',');
  std::string sign = negative ? "-" : spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  const std::int64_t missing = spec.width - static_cast<std::int64_t>(sign.size() + digits.size());
  const char align = spec.align != '\0' ? spec.align : spec.zero ? '=' : '>';
  const std::int64_t before = align == '<' || align == '=' ? 0 : align == '^' ? missing / 2 : missing;
  const auto pad = [&](std::int64_t count) {
    std::string padding;
    for (std::int64_t i = 0; i < count; ++i) append_point(spec.zero ? U'0' : spec.fill, padding);
    out.append(padding);
  };
  pad(before);
  out.append(sign);
  if (align == '=') pad(missing);
  out.append(digits);
  if (align == '<' || align == '^') pad(missing - before);
}

void format_text(const Text& text, const FormatSpec& spec, TextBuilder& out) {
  const std::size_t end = spec.precision < 0 ? text.bytes.size() : byte_offset(text.bytes, spec.precision);
  const std::int64_t points = count_points(std::string_view(text.bytes).substr(0, end));
  const std::int64_t missing = std::max<std::int64_t>(0, spec.width - points);
  const std::int64_t before = spec.align == '^' ? missing / 2 : spec.align == '>' ? missing : 0;
  std::string fill;
  append_point(spec.fill, fill);
  for (std::int64_t i = 0; i < before; ++i) out.append(fill);
  out.append(text, {0, end});
  for (std::int64_t i = before; i < missing; ++i) out.append(fill);
}

void format_real(double value, const FormatSpec& spec, TextBuilder& out) {
  std::string digits = float_digits(std::fabs(value), spec);
  upper_case(digits, spec.type);
  format_digits(std::signbit(value) && !std::isnan(value), std::move(digits), spec, out);
}

void format_integer(std::int64_t value, const FormatSpec& spec, TextBuilder& out) {
  const auto magnitude = value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  std::string digits = integer_digits(magnitude, spec);
  upper_case(digits, spec.type);
  format_digits(value < 0, std::move(digits), spec, out);
}

namespace {

FormatSpec parse_spec(std::string_view text) {
  FormatSpec spec;
  FormatReader reader(text);
  constexpr std::string_view kAligns = "<>^=";
  if (!text.empty()) {
    const std::size_t fill = point_bytes(static_cast<unsigned char>(text[0]));
    if (fill < text.size() && kAligns.find(text[fill]) != kAligns.npos) {
      spec.fill = point_at(text, 0);
      spec.align = text[fill];
      reader.advance(fill + 1);
    } else if (kAligns.find(text[0]) != kAligns.npos) {
      spec.align = reader.take();
    }
  }
  if (reader.peek() == '+' || reader.peek() == '-' || reader.peek() == ' ') spec.sign = reader.take();
  spec.alternate = reader.skip('#');
  if (reader.peek() == '0') {
    spec.zero = spec.align == '\0' || spec.align == '=';
    if (!spec.zero && spec.fill == ' ') spec.fill = '0';
    reader.take();
  }
  spec.width = reader.number().value_or(0);
  spec.grouped = reader.skip(',');
  if (reader.skip('.')) {
    const auto precision = reader.number();
    if (!precision) raise("format specifier missing precision");
    spec.precision = *precision;
  }
  if (!reader.done()) spec.type = reader.take();
  if (!reader.done()) raise("invalid format specifier");
  return spec;
}

void append_value(const Value& value, std::string_view text, TextBuilder& out) {
  if (text.empty()) return out.append(value);
  FormatSpec spec = parse_spec(text);
  if (value.is(Kind::text)) {
    if (spec.type != '\0' && spec.type != 's') raise("unknown format code '", spec.type, "' for a string");
    if (spec.align == '=') raise("'=' alignment not allowed in string format specifier");
    if (spec.zero) spec.fill = '0';
    return format_text(value.text(), spec, out);
  }
  const bool whole = value.is(Kind::integer) || value.is(Kind::boolean);
  constexpr std::string_view kWhole = "dxXob", kReal = "eEfFgG%";
  if (whole && (spec.type == '\0' || kWhole.find(spec.type) != kWhole.npos)) {
    if (spec.precision >= 0) raise("precision not allowed in integer format specifier");
    return format_integer(value.integer(), spec, out);
  }
  if (value.is_number() && kReal.find(spec.type) != kReal.npos && spec.type != '\0')
    return format_real(value.real(), spec, out);
  if (value.is(Kind::real) && spec.type == '\0' && spec.precision < 0)
    return format_digits(std::signbit(value.real()), repr(std::fabs(value.real())), spec, out);
  raise_unsupported("the format '", text, "' of a ", value.type_name(), " is not supported");
}

/// "...".format(...).
class Braces {
 public:
  Braces(Interpreter& interpreter, const Text& pattern, const Arguments& arguments)
      : interpreter_(interpreter), pattern_(pattern), arguments_(arguments), out_(interpreter.heap()) {}
  Value operator()() {
    FormatReader reader(pattern_.bytes);
    while (!reader.done()) {
      const std::size_t begin = reader.at();
      reader.until("{}");
      out_.append(pattern_, {begin, reader.at()});
      if (reader.done()) break;
      const char brace = reader.take();
      if (reader.skip(brace)) out_.append(brace == '{' ? "{" : "}");
      else if (brace == '}') raise("single '}' encountered in format string");
      else field(reader);
    }
    return make_text(interpreter_.heap(), std::move(out_), pattern_.safe);
  }

 private:
  Value argument(std::string_view name) {
    const bool automatic = name.empty();
    std::size_t index = 0;
    const auto result = std::from_chars(name.data(), name.data() + name.size(), index);
    if (!automatic && (result.ec != std::errc() || result.ptr != name.data() + name.size())) {
      const Value* found = arguments_.find(name);
      if (found == nullptr) raise("KeyError: ", repr(name));
      return *found;
    }
    if (numbering_ != '\0' && numbering_ != (automatic ? 'a' : 'm'))
      raise("cannot mix automatic and manual field numbering in a format string");
    numbering_ = automatic ? 'a' : 'm';
    if (automatic) index = next_++;
    if (index >= arguments_.positional.size()) raise("a format string asks for more arguments than it got");
    return arguments_.positional[index];
  }
  void field(FormatReader& reader) {
    Value value = argument(reader.until(".[!:}"));
    while (reader.peek() == '.' || reader.peek() == '[') {
      if (reader.skip('.')) {
        value = interpreter_.get_attribute(value, reader.until(".[!:}"));
      } else {
        reader.take();
        const std::string_view key = reader.until("]");
        std::int64_t index = 0;
        const auto result = std::from_chars(key.data(), key.data() + key.size(), index);
        const bool number = result.ec == std::errc() && result.ptr == key.data() + key.size();
        value = interpreter_.get_item(value, number ? Value(index) : make_text(interpreter_.heap(), std::string(key)));
        if (!reader.skip(']')) raise("missing ']' in format string");
      }
    }
    Heap& heap = interpreter_.heap();
    if (reader.skip('!')) {
      const char conversion = reader.take();
      if (conversion == 'r') value = make_marked(heap, repr(value));
      else if (conversion == 's') value = printed(value);
      else raise_unsupported("the conversion !", conversion, " is not supported");
    }
    std::string_view spec;
    if (reader.skip(':')) spec = reader.until("}{");
    if (reader.peek() == '{') raise_unsupported("nested format fields are not supported");
    if (!reader.skip('}')) raise("expected '}' before end of string");
    heap.step(static_cast<std::size_t>(value.weight()));
    if (pattern_.safe && !(value.is(Kind::text) && value.text().safe)) {
      value = printed(value);
      value = make_derived(heap, escape_html(value.text().bytes), value.text());
    }
    append_value(value, spec, out_);
  }
  Value printed(const Value& value) {
    TextBuilder built(interpreter_.heap());
    built.append(value);
    return make_text(interpreter_.heap(), std::move(built));
  }

  Interpreter& interpreter_;
  const Text& pattern_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
  char numbering_ = '\0';
  TextBuilder out_;
};

}  // namespace

Value format_braces(Interpreter& interpreter, const Text& pattern, const Arguments& arguments) {
  return Braces(interpreter, pattern, arguments)();
}

}  // namespace ftlib::jinja
