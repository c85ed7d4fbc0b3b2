// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "data/jinja_format.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

/// "..." % values.
class Percent {
 public:
  Percent(Heap& heap, const Text& pattern, const Value& values)
      : heap_(heap), pattern_(pattern), values_(values), out_(heap) {
    tuple_ = values.is_sequence(Sequence::tuple);
  }
  Value operator()() {
    FormatReader reader(pattern_.bytes);
    while (!reader.done()) {
      const std::size_t begin = reader.at();
      reader.until("%");
      out_.append(pattern_, {begin, reader.at()});
      if (reader.skip('%')) conversion(reader);
    }
    const bool subscripted =
        values_.is(Kind::dict) || values_.is(Kind::sequence) || values_.is(Kind::range) || values_.is(Kind::undefined);
    if (tuple_ ? used_ < values_.sequence().elements.size() : used_ == 0 && !mapping_ && !subscripted)
      raise("not all arguments converted during string formatting");
    return make_text(heap_, std::move(out_), pattern_.safe);
  }

 private:
  Value next() {
    if (tuple_ && used_ < values_.sequence().elements.size()) return values_.sequence().elements[used_++];
    if (tuple_ || used_++ > 0) raise("not enough arguments for format string");
    return values_;
  }
  void conversion(FormatReader& reader) {
    FormatSpec spec;
    std::optional<Value> value;
    if (reader.skip('(')) {
      if (!values_.is(Kind::dict)) raise("format requires a mapping");
      const std::string_view key = reader.until(")");
      if (!reader.skip(')')) raise("incomplete format key");
      const Value* found = values_.dict().find(key);
      if (found == nullptr) raise("KeyError: ", repr(key));
      mapping_ = true;
      value = *found;
    }
    for (bool flag = true; flag;) {
      switch (reader.peek()) {
        case '-': spec.align = '<'; break;
        case '+': spec.sign = '+'; break;
        case ' ': spec.sign = spec.sign == '+' ? '+' : ' '; break;
        case '#': spec.alternate = true; break;
        case '0': spec.zero = true; break;
        default: flag = false;
      }
      if (flag) reader.take();
    }
    spec.width = field(reader, spec);
    if (reader.skip('.')) spec.precision = std::max<std::int64_t>(0, field(reader, spec));
    while (reader.peek() == 'l' || reader.peek() == 'h' || reader.peek() == 'L') reader.take();
    spec.type = reader.take();
    if (spec.type == '%') return out_.append("%");
    if (spec.align == '<') spec.zero = false;
    convert(value ? *value : next(), spec);
  }
  std::int64_t field(FormatReader& reader, FormatSpec& spec) {
    if (!reader.skip('*')) return reader.number().value_or(0);
    const std::int64_t value = to_index(next());
    if (value < 0) spec.align = '<';
    if (value > kMaxFieldWidth || value < -kMaxFieldWidth) raise_limit("a field wider than ", kMaxFieldWidth);
    return std::abs(value);
  }
  void text(const Value& value, FormatSpec spec) {
    if (spec.align == '\0') spec.align = '>';
    format_text(value.text(), spec, out_);
  }
  void convert(const Value& value, const FormatSpec& spec) {
    heap_.step(static_cast<std::size_t>(value.weight()));
    switch (spec.type) {
      case 's': {
        TextBuilder built(heap_);
        built.append(value);
        Value printed = make_text(heap_, std::move(built));
        const bool escapes = pattern_.safe && !(value.is(Kind::text) && value.text().safe);
        return text(escapes ? make_derived(heap_, escape_html(printed.text().bytes), printed.text()) : printed, spec);
      }
      case 'r':
      case 'a': return text(make_marked(heap_, repr(value)), spec);
      case 'c': {
        if (value.is(Kind::text) && value.text().points == 1) return text(value, spec);
        std::string letter;
        const std::int64_t point = to_index(value);
        if (point < 0 || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
          raise("%c arg not in range(0x110000)");
        append_point(static_cast<char32_t>(point), letter);
        return text(make_text(heap_, letter), spec);
      }
      case 'd':
      case 'i':
      case 'u':
        if (value.is(Kind::real)) {
          if (!(std::fabs(value.real()) < 9e18)) raise("%d format: a number beyond 64 bits");
          return format_integer(static_cast<std::int64_t>(value.real()), spec, out_);
        }
        [[fallthrough]];
      case 'x':
      case 'X':
      case 'o':
        if (value.is(Kind::undefined)) raise_undefined(value);
        if (!value.is_number() || value.is(Kind::real))
          raise("%", spec.type, " format: a number is required, not ", value.type_name());
        return format_integer(value.integer(), spec, out_);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (value.is(Kind::undefined)) raise_undefined(value);
        if (!value.is_number()) raise("must be real number, not ", value.type_name());
        return format_real(value.real(), spec, out_);
      default: raise("unsupported format character '", spec.type, "'");
    }
  }

  Heap& heap_;
  const Text& pattern_;
  const Value& values_;
  bool tuple_ = false, mapping_ = false;
  std::size_t used_ = 0;
  TextBuilder out_;
};

}  // namespace

Value format_percent(Heap& heap, const Text& pattern, const Value& values) { return Percent(heap, pattern, values)(); }

}  // namespace ftlib::jinja
