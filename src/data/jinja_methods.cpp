// SPDX-License-Identifier: Apache-2.0
// Methods of strings, lists, tuples, dicts and loops: what x.name(...) may call.
#include <algorithm>

#include "data/jinja_filters.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

const Text& own(const Call& call) { return call.self().text(); }

template <std::string (*Change)(std::string_view)>
Value change_own(Interpreter& in, const Call& call) { return make_derived(in.heap(), Change(own(call).bytes), own(call)); }

template <Property Wanted>
Value has(Interpreter&, const Call& call) { return Value(has_property(own(call).bytes, Wanted)); }

template <bool Left, bool Right>
Value strip_text(Interpreter& in, const Call& call) {
  const Text* chars = call.find_text(0);
  const std::string_view set = chars != nullptr ? chars->bytes : std::string_view();
  in.heap().step(own(call).bytes.size() * (set.size() + 8) / 256);
  return make_piece(in.heap(), own(call), strip(own(call).bytes, chars != nullptr ? &set : nullptr, Left, Right));
}

Value pieces(Interpreter& in, const Text& text, const std::vector<Piece>& parts) {
  std::vector<Value> elements;
  for (const Piece& piece : parts) elements.push_back(make_piece(in.heap(), text, piece));
  return make_list(in.heap(), std::move(elements));
}

template <std::vector<Piece> (*Split)(std::string_view, const std::string_view*, std::int64_t)>
Value split_text(Interpreter& in, const Call& call) {
  const Text* separator = call.find_text(0);
  if (separator != nullptr && separator->bytes.empty()) raise("empty separator");
  in.heap().step_bytes(own(call).bytes.size());
  const std::string_view mark = separator != nullptr ? separator->bytes : std::string_view();
  return pieces(in, own(call), Split(own(call).bytes, separator != nullptr ? &mark : nullptr, call.integer(1, -1)));
}

Value lines(Interpreter& in, const Call& call) {
  return pieces(in, own(call), split_lines(own(call).bytes, call.flag(0)));
}

template <bool FromRight>
Value partition(Interpreter& in, const Call& call) {
  const std::string &text = own(call).bytes, &mark = call.text(0).bytes;
  if (mark.empty()) raise("empty separator");
  const std::size_t found = FromRight ? find_last_bytes(text, mark) : find_bytes(text, mark);
  const std::size_t none = FromRight ? 0 : text.size();
  const Piece middle = found == text.npos ? Piece{none, none} : Piece{found, found + mark.size()};
  std::vector<Value> parts;
  for (const Piece& piece : {Piece{0, middle.begin}, middle, Piece{middle.end, text.size()}})
    parts.push_back(make_piece(in.heap(), own(call), piece));
  return make_list(in.heap(), std::move(parts), Sequence::tuple);
}

/// The part of the text that optional start and end arguments select, as find and its like take them.
Piece window(const Call& call, std::size_t index) {
  const Text& text = own(call);
  const auto offset = [&](std::size_t which, std::int64_t otherwise) {
    std::int64_t point = call.integer(which, otherwise);
    if (point < 0) point = std::max<std::int64_t>(0, point + text.points);
    return point;
  };
  const std::int64_t begin = offset(index, 0), end = offset(index + 1, text.points);
  if (begin > text.points || begin > end) return {1, 0};
  return {byte_offset(text.bytes, begin), byte_offset(text.bytes, end)};
}

template <bool AtEnd>
Value matches(Interpreter& in, const Call& call) {
  const Piece piece = window(call, 1);
  if (piece.begin > piece.end) return Value(false);
  const std::string_view part = std::string_view(own(call).bytes).substr(piece.begin, piece.end - piece.begin);
  const Value& wanted = call.at(0);
  if (!wanted.is_sequence(Sequence::tuple))
    return Value(AtEnd ? part.ends_with(call.text(0).bytes) : part.starts_with(call.text(0).bytes));
  for (const Value& option : iterate(in.heap(), wanted)) {
    if (!option.is(Kind::text)) raise("startswith and endswith want a string or a tuple of strings");
    if (AtEnd ? part.ends_with(option.text().bytes) : part.starts_with(option.text().bytes)) return Value(true);
  }
  return Value(false);
}

template <bool FromRight, bool MustFind>
Value find_text(Interpreter& in, const Call& call) {
  const std::string& wanted = call.text(0).bytes;
  const Piece piece = window(call, 1);
  in.heap().step_bytes(own(call).bytes.size());
  std::size_t found = std::string::npos;
  if (piece.begin <= piece.end) {
    const std::string_view part = std::string_view(own(call).bytes).substr(piece.begin, piece.end - piece.begin);
    found = FromRight ? find_last_bytes(part, wanted) : find_bytes(part, wanted);
  }
  if (found == std::string::npos && MustFind) raise("substring not found");
  if (found == std::string::npos) return Value(std::int64_t{-1});
  return Value(count_points(std::string_view(own(call).bytes).substr(0, piece.begin + found)));
}

Value count_text(Interpreter& in, const Call& call) {
  const std::string& wanted = call.text(0).bytes;
  const Piece piece = window(call, 1);
  in.heap().step_bytes(own(call).bytes.size());
  if (piece.begin > piece.end) return Value(std::int64_t{0});
  const std::string_view part = std::string_view(own(call).bytes).substr(piece.begin, piece.end - piece.begin);
  if (wanted.empty()) return Value(count_points(part) + 1);
  std::int64_t count = 0;
  for (std::size_t at = find_bytes(part, wanted); at != part.npos; at = find_bytes(part, wanted, at + wanted.size()))
    ++count;
  return Value(count);
}

Value replace_text(Interpreter& in, const Call& call) {
  const Text &from = call.text(0), &to = call.text(1);
  const bool escapes = own(call).safe && !to.safe;
  const Value image = escapes ? make_derived(in.heap(), escape_html(to.bytes), to) : call.at(1);
  const Value replaced = replace_all(in, own(call), from, image.text(), call.integer(2, -1));
  if (!own(call).safe) return replaced;
  TextBuilder built(in.heap());
  built.append(replaced);
  return make_text(in.heap(), std::move(built), true);
}

Value join_text(Interpreter& in, const Call& call) {
  std::vector<Value> elements = iterate(in.heap(), call.at(0));
  if (own(call).safe)
    for (Value& element : elements)
      if (element.is(Kind::text) && !element.text().safe)
        element = make_derived(in.heap(), escape_html(element.text().bytes), element.text());
  return join(in, own(call), elements, false);
}

Value format_text(Interpreter& in, const Call& call) { return format_braces(in, own(call), call.arguments()); }

template <bool Suffix>
Value remove_affix(Interpreter& in, const Call& call) {
  const std::string &text = own(call).bytes, &affix = call.text(0).bytes;
  Piece piece{0, text.size()};
  if (Suffix && !affix.empty() && text.ends_with(affix)) piece.end -= affix.size();
  if (!Suffix && text.starts_with(affix)) piece.begin = affix.size();
  return make_piece(in.heap(), own(call), piece);
}

enum class Pad { left, right, center, zeros };

template <Pad Where>
Value pad(Interpreter& in, const Call& call) {
  const Text& text = own(call);
  const std::int64_t width = call.integer(0);
  if (width > 1 << 16) raise_limit("a field wider than ", 1 << 16);
  const std::int64_t missing = std::max<std::int64_t>(0, width - text.points);
  const Text* fill = Where == Pad::zeros ? nullptr : call.find_text(1);
  if (fill != nullptr && fill->points != 1) raise("the fill character must be exactly one character long");
  const std::string letter = fill != nullptr ? fill->bytes : Where == Pad::zeros ? "0" : " ";
  const std::int64_t before = Where == Pad::left     ? 0
                              : Where == Pad::center ? missing / 2 + (missing & width & 1)
                                                     : missing;
  const bool sign = Where == Pad::zeros && (text.bytes.starts_with('-') || text.bytes.starts_with('+'));
  TextBuilder built(in.heap());
  if (sign) built.append(text, {0, 1});
  for (std::int64_t i = 0; i < before; ++i) built.append(letter);
  built.append(text, {sign ? std::size_t{1} : 0, text.bytes.size()});
  for (std::int64_t i = before; i < missing; ++i) built.append(letter);
  return make_text(in.heap(), std::move(built), text.safe);
}

Value refuse(Interpreter&, const Call&) { raise_unsupported("this string method is not supported"); }

constexpr Builtin kTextMethods[] = {
    {"capitalize", change_own<capitalize>},
    {"casefold", refuse, 0, {}, true},
    {"center", pad<Pad::center>, 1, {"width", "fillchar"}, false, true},
    {"count", count_text, 1, {"sub", "start", "end"}, false, true},
    {"encode", refuse, 0, {}, true},
    {"endswith", matches<true>, 1, {"suffix", "start", "end"}, false, true},
    {"expandtabs", refuse, 0, {}, true},
    {"find", find_text<false, false>, 1, {"sub", "start", "end"}, false, true},
    {"format", format_text, 0, {}, true},
    {"format_map", refuse, 0, {}, true},
    {"index", find_text<false, true>, 1, {"sub", "start", "end"}, false, true},
    {"isalnum", has<Property::alnum>},
    {"isalpha", has<Property::alpha>},
    {"isascii", has<Property::ascii>},
    {"isdecimal", has<Property::decimal>},
    {"isdigit", has<Property::digit>},
    {"isidentifier", refuse, 0, {}, true},
    {"islower", has<Property::lower>},
    {"isnumeric", has<Property::numeric>},
    {"isprintable", has<Property::printable>},
    {"isspace", has<Property::space>},
    {"istitle", refuse, 0, {}, true},
    {"isupper", has<Property::upper>},
    {"join", join_text, 1, {"iterable"}, false, true},
    {"ljust", pad<Pad::left>, 1, {"width", "fillchar"}, false, true},
    {"lower", change_own<lower>},
    {"lstrip", strip_text<true, false>, 0, {"chars"}, false, true},
    {"partition", partition<false>, 1, {"sep"}, false, true},
    {"removeprefix", remove_affix<false>, 1, {"prefix"}, false, true},
    {"removesuffix", remove_affix<true>, 1, {"suffix"}, false, true},
    {"replace", replace_text, 2, {"old", "new", "count"}, false, true},
    {"rfind", find_text<true, false>, 1, {"sub", "start", "end"}, false, true},
    {"rindex", find_text<true, true>, 1, {"sub", "start", "end"}, false, true},
    {"rjust", pad<Pad::right>, 1, {"width", "fillchar"}, false, true},
    {"rpartition", partition<true>, 1, {"sep"}, false, true},
    {"rsplit", split_text<rsplit>, 0, {"sep", "maxsplit"}},
    {"rstrip", strip_text<false, true>, 0, {"chars"}, false, true},
    {"split", split_text<split>, 0, {"sep", "maxsplit"}},
    {"splitlines", lines, 0, {"keepends"}},
    {"startswith", matches<false>, 1, {"prefix", "start", "end"}, false, true},
    {"strip", strip_text<true, true>, 0, {"chars"}, false, true},
    {"swapcase", change_own<swap_case>},
    {"title", change_own<title>},
    {"translate", refuse, 0, {}, true},
    {"upper", change_own<upper>},
    {"zfill", pad<Pad::zeros>, 1, {"width"}, false, true},
};

Value count_element(Interpreter& in, const Call& call) {
  in.heap().step(static_cast<std::size_t>(call.self().weight()));
  const std::vector<Value> elements = iterate(in.heap(), call.self());
  return Value(
      std::int64_t{std::ranges::count_if(elements, [&](const Value& value) { return equal(value, call.at(0)); })});
}

Value find_element(Interpreter& in, const Call& call) {
  in.heap().step(static_cast<std::size_t>(call.self().weight()));
  const std::vector<Value> elements = iterate(in.heap(), call.self());
  const auto size = static_cast<std::int64_t>(elements.size());
  const auto bound = [&](std::size_t which, std::int64_t otherwise) {
    const std::int64_t at = call.integer(which, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const std::int64_t end = bound(2, size);
  for (std::int64_t i = bound(1, 0); i < end; ++i)
    if (equal(elements[static_cast<std::size_t>(i)], call.at(0))) return Value(i);
  raise(excerpt(repr(call.at(0))), " is not in list");
}

Value copy_self(Interpreter&, const Call& call) { return call.self(); }

constexpr Builtin kListMethods[] = {
    {"copy", copy_self},
    {"count", count_element, 1, {"value"}, false, true},
    {"index", find_element, 1, {"value", "start", "stop"}, false, true},
};
constexpr Builtin kTupleMethods[] = {
    {"count", count_element, 1, {"value"}, false, true},
    {"index", find_element, 1, {"value", "start", "stop"}, false, true},
};

Value get(Interpreter& in, const Call& call) {
  step_lookup(in.heap(), call.self().dict(), call.at(0));
  const Value* found = call.self().dict().find(call.at(0));
  if (found != nullptr) return *found;
  return call.find(1) != nullptr ? *call.find(1) : Value();
}

template <Sequence::Flavour Which>
Value view(Interpreter& in, const Call& call) {
  std::vector<Value> elements;
  for (const auto& [key, value] : call.self().dict().items) {
    if (Which == Sequence::keys) elements.push_back(key);
    else if (Which == Sequence::values) elements.push_back(value);
    else elements.push_back(make_list(in.heap(), {key, value}, Sequence::tuple));
  }
  return make_list(in.heap(), std::move(elements), Which);
}

constexpr Builtin kDictMethods[] = {
    {"copy", copy_self},
    {"get", get, 1, {"key", "default"}, false, true},
    {"items", view<Sequence::items>},
    {"keys", view<Sequence::keys>},
    {"values", view<Sequence::values>},
};

Value cycle(Interpreter&, const Call& call) {
  const auto& choices = call.arguments().positional;
  if (choices.empty()) raise("no items for cycling given");
  const auto index = static_cast<std::size_t>(std::max<std::int64_t>(call.self().loop()->index, 0));
  return choices[index % choices.size()];
}

Value changed(Interpreter& in, const Call& call) {
  Loop& loop = *call.self().loop();
  const Value value = make_list(in.heap(), call.arguments().positional, Sequence::tuple);
  in.heap().step(static_cast<std::size_t>(value.weight()));
  const bool same = loop.last_changed && equal(*loop.last_changed, value);
  loop.last_changed = value;
  return Value(!same);
}

constexpr Builtin kLoopMethods[] = {
    {"changed", changed, 0, {}, true},
    {"cycle", cycle, 0, {}, true},
};

}  // namespace

const Builtin* find_method(const Value& self, std::string_view name) noexcept {
  switch (self.kind()) {
    case Kind::text: return find_builtin(kTextMethods, name);
    case Kind::dict: return find_builtin(kDictMethods, name);
    case Kind::loop: return find_builtin(kLoopMethods, name);
    case Kind::range: return find_builtin(kTupleMethods, name);
    case Kind::sequence:
      if (self.sequence().flavour == Sequence::list) return find_builtin(kListMethods, name);
      return self.sequence().flavour == Sequence::tuple ? find_builtin(kTupleMethods, name) : nullptr;
    default: return nullptr;
  }
}

bool is_mutating_method(const Value& self, std::string_view name) noexcept {
  constexpr std::string_view kOfDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  constexpr std::string_view kOfList[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  if (self.is(Kind::dict)) return std::ranges::find(kOfDict, name) != std::end(kOfDict);
  return self.is_sequence(Sequence::list) && std::ranges::find(kOfList, name) != std::end(kOfList);
}

}  // namespace ftlib::jinja
