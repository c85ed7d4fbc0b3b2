// SPDX-License-Identifier: Apache-2.0
// Filters over strings and numbers.
#include "data/jinja_filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ftlib::inline FTLIB_ABI::jinja {

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name) noexcept {
  const auto found = std::ranges::find(table, name, &Builtin::name);
  return found == table.end() ? nullptr : &*found;
}

const Builtin* find_filter(std::string_view name) noexcept {
  const Builtin* found = find_builtin(text_filters(), name);
  return found != nullptr ? found : find_builtin(sequence_filters(), name);
}

bool is_foreign_filter(std::string_view name) noexcept {
  constexpr std::string_view kNames[] = {"filesizeformat", "pprint",    "random",   "striptags", "urlencode",
                                         "urlize",         "wordcount", "wordwrap", "xmlattr"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

Value as_text(Interpreter& in, const Value& value) {
  if (value.is(Kind::text)) return value;
  TextBuilder built(in.heap());
  in.heap().step(static_cast<std::size_t>(value.weight()));
  built.append(value);
  return make_text(in.heap(), std::move(built));
}

namespace {

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// int() and float() allow white space around and single underscores between digits.
std::optional<std::string> bare_number(std::string_view text) {
  const Piece inner = strip(text, nullptr, true, true);
  text = text.substr(inner.begin, inner.end - inner.begin);
  std::string bare;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return at < text.size() && is_letter_or_digit(text[at]);
    };
    if (text[i] != '_') bare += text[i];
    else if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  if (bare.starts_with('+')) {
    bare.erase(0, 1);
    if (bare.starts_with('-') || bare.starts_with('+')) return std::nullopt;
  }
  return bare;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  auto bare = bare_number(text);
  if (!bare || bare->empty() || base < 0 || base == 1 || base > 36) return std::nullopt;
  const std::size_t sign = bare->starts_with('-') ? 1 : 0;
  const char mark = static_cast<char>(bare->size() > sign + 1 ? (*bare)[sign + 1] | 0x20 : 0);
  const int prefixed = bare->size() == sign || (*bare)[sign] != '0' ? 0
                       : mark == 'x'                                ? 16
                       : mark == 'o'                                ? 8
                       : mark == 'b'                                ? 2
                                                                    : 0;
  if (prefixed != 0 && (base == prefixed || base == 0)) bare->erase(sign, 2);
  if (base == 0) base = prefixed != 0 ? prefixed : 10;
  std::int64_t value = 0;
  const auto result = std::from_chars(bare->data(), bare->data() + bare->size(), value, base);
  if (result.ec == std::errc::result_out_of_range) raise_unsupported("integers beyond 64 bits are not supported");
  if (result.ec != std::errc() || result.ptr != bare->data() + bare->size()) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  const auto bare = bare_number(text);
  if (!bare || bare->empty()) return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(bare->data(), bare->data() + bare->size(), value);
  const std::string_view word = std::string_view(*bare).substr(bare->starts_with('-') ? 1 : 0);
  if (word.find('(') != word.npos || result.ptr != bare->data() + bare->size()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {  // too small or too large: from_chars leaves the value alone
    const bool tiny = word.find("e-") != word.npos || word.find("E-") != word.npos || word.starts_with("0.");
    value = std::copysign(tiny ? 0.0 : HUGE_VAL, bare->starts_with('-') ? -1.0 : 1.0);
    return value;
  }
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

Value fold_case(Interpreter& in, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is(Kind::text)) return value;
  return make_derived(in.heap(), lower(value.text().bytes), value.text());
}

Value replace_all(Interpreter& in, const Text& text, const Text& from, const Text& to, std::int64_t limit) {
  TextBuilder built(in.heap());
  std::size_t at = 0;
  const auto copy_until = [&](std::size_t end) {
    in.heap().step_bytes(end - at + to.bytes.size() + 32);
    built.append(text, {at, end});
  };
  for (std::int64_t count = 0; limit < 0 || count < limit; ++count) {
    if (from.bytes.empty()) {  // between any two code points, and at both ends
      if (count > 0 && at >= text.bytes.size()) break;
      const std::size_t end = count == 0 ? 0 : at + point_bytes(static_cast<unsigned char>(text.bytes[at]));
      copy_until(end);
      at = end;
    } else {
      const std::size_t found = find_bytes(text.bytes, from.bytes, at);
      if (found == std::string::npos) break;
      copy_until(found);
      at = found + from.bytes.size();
    }
    built.append(to);
  }
  copy_until(text.bytes.size());
  return make_text(in.heap(), std::move(built));
}

Value join(Interpreter& in, const Text& separator, const std::vector<Value>& elements, bool convert) {
  TextBuilder built(in.heap());
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (!convert && !elements[i].is(Kind::text))
      raise("sequence item ", i, ": expected str instance, ", elements[i].type_name(), " found");
    if (i != 0) built.append(separator);
    in.heap().step(static_cast<std::size_t>(elements[i].weight()));
    built.append(elements[i]);
  }
  return make_text(in.heap(), std::move(built), !convert && separator.safe);
}

namespace {

template <std::string (*Change)(std::string_view)>
Value change(Interpreter& in, const Call& call) {
  const Value text = as_text(in, call.at(0));
  return make_derived(in.heap(), Change(text.text().bytes), text.text());
}

bool starts_word(char letter) { return std::string_view("-({[<").find(letter) != std::string_view::npos; }

/// The title filter: words begin after white space, a hyphen or an opening bracket.
std::string title_words(std::string_view text) {
  std::string out, word;
  const auto flush = [&] {
    if (word.empty()) return;
    const std::size_t first = point_bytes(static_cast<unsigned char>(word[0]));
    out += upper(std::string_view(word).substr(0, first)) + lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = point_bytes(static_cast<unsigned char>(text[at]));
    const bool breaks = is_space(point_at(text, at)) || starts_word(text[at]);
    if (breaks) flush();
    (breaks ? out : word) += text.substr(at, size);
    at += size;
  }
  flush();
  return out;
}

Value trim(Interpreter& in, const Call& call) {
  const Value text = as_text(in, call.at(0));
  const Text* chars = call.find_text(1);
  const std::string_view set = chars != nullptr ? chars->bytes : std::string_view();
  in.heap().step(text.text().bytes.size() * (set.size() + 8) / 256);
  return make_piece(in.heap(), text.text(), strip(text.text().bytes, chars != nullptr ? &set : nullptr, true, true));
}

Value replace(Interpreter& in, const Call& call) {
  const Value text = as_text(in, call.at(0)), from = as_text(in, call.at(1)), to = as_text(in, call.at(2));
  return replace_all(in, text.text(), from.text(), to.text(), call.integer(3, -1));
}

Value to_json(Interpreter& in, const Call& call) {
  JsonOptions options;
  options.ascii = call.flag(1);
  options.sort = call.flag(4);
  if (const Value* indent = call.find(2); indent != nullptr && !indent->is(Kind::none))
    options.indent = indent->is(Kind::text) ? indent->text().bytes
                     : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(to_index(*indent), 0, 64)), ' ');
  options.comma = options.indent ? "," : ", ";
  options.colon = ": ";
  if (const Value* separators = call.find(3); separators != nullptr && !separators->is(Kind::none)) {
    const std::vector<Value> parts = iterate(in.heap(), *separators);
    if (parts.size() != 2 || !parts[0].is(Kind::text) || !parts[1].is(Kind::text))
      raise("tojson: separators must be two strings");
    options.comma = parts[0].text().bytes;
    options.colon = parts[1].text().bytes;
  }
  TextBuilder built(in.heap());
  in.heap().step(static_cast<std::size_t>(call.at(0).weight()));
  append_json(in.heap(), call.at(0), options, 0, built);
  return make_text(in.heap(), std::move(built));
}

Value to_text(Interpreter& in, const Call& call) { return as_text(in, call.at(0)); }

Value mark_safe(Interpreter& in, const Call& call) {
  TextBuilder built(in.heap());
  built.append(as_text(in, call.at(0)).text());
  return make_text(in.heap(), std::move(built), true);
}

Value escape(Interpreter& in, const Call& call) {
  const Value text = as_text(in, call.at(0));
  if (text.text().safe) return text;
  TextBuilder built(in.heap());
  built.append(make_derived(in.heap(), escape_html(text.text().bytes), text.text()).text());
  return make_text(in.heap(), std::move(built), true);
}

Value force_escape(Interpreter& in, const Call& call) {
  TextBuilder built(in.heap());
  const Value text = as_text(in, call.at(0));
  built.append(make_derived(in.heap(), escape_html(text.text().bytes), text.text()).text());
  return make_text(in.heap(), std::move(built), true);
}

Value to_integer(Interpreter&, const Call& call) {
  const Value& value = call.at(0);
  const Value otherwise = call.find(1) != nullptr ? *call.find(1) : Value(std::int64_t{0});
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (value.is(Kind::integer) || value.is(Kind::boolean)) return Value(value.integer());
  std::optional<double> real;
  if (value.is(Kind::text)) {
    const auto base = static_cast<int>(std::clamp<std::int64_t>(call.integer(2, 10), -1, 37));
    if (const auto whole = parse_integer(value.text().bytes, base))
      return Value(*whole);
    real = parse_real(value.text().bytes);
    if (real && std::isinf(*real)) return otherwise;
  } else if (value.is(Kind::real)) {
    real = value.real();
    if (std::isinf(*real)) raise("cannot convert float infinity to integer");
  }
  if (!real || std::isnan(*real)) return otherwise;
  if (std::fabs(*real) >= 9.2e18) raise_unsupported("integers beyond 64 bits are not supported");
  return Value(static_cast<std::int64_t>(*real));
}

Value to_real(Interpreter&, const Call& call) {
  const Value& value = call.at(0);
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (value.is_number()) return Value(value.real());
  if (value.is(Kind::text))
    if (const auto real = parse_real(value.text().bytes)) return Value(*real);
  return call.find(1) != nullptr ? *call.find(1) : Value(0.0);
}

Value absolute(Interpreter&, const Call& call) {
  const Value& value = call.at(0);
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (!value.is_number()) raise("bad operand type for abs(): '", value.type_name(), "'");
  if (value.is(Kind::real)) return Value(std::fabs(value.real()));
  return value.integer() < 0 ? apply_negate(value, true) : Value(value.integer());
}

double round_half_even(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 330) return value;
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    return std::isfinite(unit) ? std::nearbyint(value / unit) * unit : std::copysign(0.0, value);
  }
  char buffer[700];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, static_cast<int>(digits));
  std::from_chars(buffer, end.ptr, value);
  return value;
}

Value round_integer(std::int64_t value, std::int64_t digits) {
  if (digits >= 0) return Value(value);
  if (digits < -18) return Value(std::int64_t{0});
  std::int64_t unit = 1;
  for (; digits < 0; ++digits) unit *= 10;
  std::int64_t rest = value % unit;
  if (rest < 0) rest += unit;
  const std::int64_t floor = (value - rest) / unit;
  const bool up = rest * 2 > unit || (rest * 2 == unit && floor % 2 != 0);
  return Value((floor + (up ? 1 : 0)) * unit);
}

Value round_number(Interpreter&, const Call& call) {
  const Value& value = call.at(0);
  const std::int64_t digits = std::clamp<std::int64_t>(call.integer(1, 0), -400, 400);
  const std::string method = call.find(2) != nullptr ? call.text(2).bytes : "common";
  if (method != "common" && method != "ceil" && method != "floor") raise("method must be common, ceil or floor");
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (!value.is_number()) raise("type ", value.type_name(), " does not define round");
  if (method == "common")
    return value.is(Kind::real) ? Value(round_half_even(value.real(), digits)) : round_integer(value.integer(), digits);
  const double unit = std::pow(10.0, static_cast<double>(digits)), scaled = value.real() * unit;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Value indent(Interpreter& in, const Call& call) {
  const Value& width = call.find(1) != nullptr ? *call.find(1) : Value(std::int64_t{4});
  const Value source = call.at(0);
  if (source.is(Kind::undefined)) raise_undefined(source);
  if (!source.is(Kind::text)) raise("indent() wants a string, got ", source.type_name());
  Value indention = width;
  if (!width.is(Kind::text)) {
    const std::int64_t blanks = std::clamp<std::int64_t>(to_index(width), 0, 1 << 16);
    indention = make_text(in.heap(), std::string(static_cast<std::size_t>(blanks), ' '));
  }
  const Text& text = source.text();
  TextBuilder built(in.heap());
  if (call.flag(2)) built.append(indention);
  // A final line end opens one more line, as jinja2's own quirk has it.
  std::vector<Piece> lines = split_lines(text.bytes, false);
  if (text.bytes.empty() || (!lines.empty() && lines.back().end < text.bytes.size()))
    lines.push_back({text.bytes.size(), text.bytes.size()});
  for (std::size_t i = 0; i < lines.size(); ++i) {
    in.heap().step_bytes(indention.text().bytes.size() + 32);
    if (i != 0) built.append("\n");
    if (i != 0 && (call.flag(3) || lines[i].begin != lines[i].end)) built.append(indention);
    built.append(text, lines[i]);
  }
  return make_text(in.heap(), std::move(built), text.safe);
}

Value format(Interpreter& in, const Call& call) {
  const Arguments& all = call.arguments();
  if (all.positional.size() > 1 && !all.named.empty()) raise("format takes positional or keyword arguments, not both");
  const Value pattern = as_text(in, call.at(0));
  if (!all.named.empty()) {
    std::vector<std::pair<Value, Value>> items;
    for (const auto& [name, value] : all.named) items.emplace_back(make_text(in.heap(), name), value);
    return format_percent(in.heap(), pattern.text(), make_dict(in.heap(), std::move(items)));
  }
  std::vector<Value> rest(all.positional.begin() + 1, all.positional.end());
  return format_percent(in.heap(), pattern.text(), make_list(in.heap(), std::move(rest), Sequence::tuple));
}

Value center(Interpreter& in, const Call& call) {
  const Value text = as_text(in, call.at(0));
  const std::int64_t width = std::min<std::int64_t>(call.integer(1, 80), 1 << 16);
  const std::int64_t missing = std::max<std::int64_t>(0, width - text.text().points);
  const std::int64_t left = missing / 2 + (missing & width & 1);
  TextBuilder built(in.heap());
  built.append(std::string(static_cast<std::size_t>(left), ' '));
  built.append(text.text());
  built.append(std::string(static_cast<std::size_t>(missing - left), ' '));
  return make_text(in.heap(), std::move(built), text.text().safe);
}

Value truncate(Interpreter& in, const Call& call) {
  const Text& text = call.text(0);
  const std::int64_t limit = call.integer(1, 255), leeway = call.integer(4, 5);
  const Value end = call.find(3) != nullptr ? *call.find(3) : make_text(in.heap(), "...");
  if (!end.is(Kind::text)) raise("truncate: end must be a string");
  if (limit < end.text().points || leeway < 0)
    raise("truncate: expected length >= ", end.text().points, " and leeway >= 0");
  if (text.points <= limit + leeway) return call.at(0);
  Piece kept{0, byte_offset(text.bytes, limit - end.text().points)};
  if (!call.flag(2)) {
    const std::size_t blank = std::string_view(text.bytes).substr(0, kept.end).rfind(' ');
    if (blank != std::string::npos) kept.end = blank;
  }
  TextBuilder built(in.heap());
  built.append(text, kept);
  built.append(end);
  return make_text(in.heap(), std::move(built), text.safe);
}

constexpr Builtin kTextFilters[] = {
    {"abs", absolute, 1, {"value"}},
    {"capitalize", change<capitalize>, 1, {"s"}},
    {"center", center, 1, {"value", "width"}},
    {"e", escape, 1, {"value"}},
    {"escape", escape, 1, {"value"}},
    {"float", to_real, 1, {"value", "default"}},
    {"forceescape", force_escape, 1, {"value"}},
    {"format", format, 1, {"value"}, true},
    {"indent", indent, 1, {"s", "width", "first", "blank"}},
    {"int", to_integer, 1, {"value", "default", "base"}},
    {"lower", change<lower>, 1, {"s"}},
    {"replace", replace, 3, {"s", "old", "new", "count"}},
    {"round", round_number, 1, {"value", "precision", "method"}},
    {"safe", mark_safe, 1, {"value"}},
    {"string", to_text, 1, {"s"}},
    {"title", change<title_words>, 1, {"s"}},
    {"tojson", to_json, 1, {"x", "ensure_ascii", "indent", "separators", "sort_keys"}},
    {"trim", trim, 1, {"value", "chars"}},
    {"truncate", truncate, 1, {"s", "length", "killwords", "end", "leeway"}},
    {"upper", change<upper>, 1, {"s"}},
};

}  // namespace

std::span<const Builtin> text_filters() { return kTextFilters; }

}  // namespace ftlib::jinja
