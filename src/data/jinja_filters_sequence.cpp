// SPDX-License-Identifier: Apache-2.0
// Filters over lists, dicts and whatever else can be iterated.
#include <algorithm>
#include <numeric>

#include "data/jinja_filters.h"

namespace ftlib::inline FTLIB_ABI::jinja {

void sort_values(Interpreter& in, std::vector<Value>& values, const std::vector<Value>& keys, bool reverse) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    if (reverse) std::swap(a, b);
    in.heap().step(static_cast<std::size_t>(std::min(keys[a].weight(), keys[b].weight())));
    return less(keys[a], keys[b]);
  });
  std::vector<Value> sorted;
  for (const std::size_t index : order) sorted.push_back(values[index]);
  values = std::move(sorted);
}

namespace {

Value keyed(Interpreter& in, const Value& item, const Value* attribute, bool case_sensitive,
            const Value* otherwise = nullptr) {
  const Value value = attribute == nullptr ? item : in.get_path(item, *attribute, otherwise);
  return fold_case(in, value, case_sensitive);
}

Value default_value(Interpreter& in, const Call& call) {
  const Value& value = call.at(0);
  if (!value.is(Kind::undefined) && (!call.flag(2) || truth(value))) return value;
  return call.find(1) != nullptr ? *call.find(1) : make_text(in.heap(), "");
}

Value attribute(Interpreter& in, const Call& call) {
  const std::string& name = call.text(1).bytes;
  const Value& object = call.at(0);
  if (object.is(Kind::dict) && find_method(object, name) == nullptr)
    return Value::undefined(concat("a dict has no attribute '", name, "'"));
  return in.get_attribute(object, name);
}

Value first(Interpreter& in, const Call& call) {
  const Value& value = call.at(0);
  if (value.is(Kind::iterator)) {
    Iterator& iterator = value.iterator();
    if (iterator.next < iterator.elements.size()) return iterator.elements[iterator.next++];
    return Value::undefined("No first item, sequence was empty.");
  }
  if (value.is(Kind::text) && value.text().points > 0)
    return take_slice(in.heap(), value, Value(std::int64_t{0}), Value(std::int64_t{1}), Value());
  const std::vector<Value> elements = iterate(in.heap(), value);
  return elements.empty() ? Value::undefined("No first item, sequence was empty.") : elements.front();
}

Value last(Interpreter& in, const Call& call) {
  const Value& value = call.at(0);
  if (value.is(Kind::iterator)) raise("'generator' object is not reversible");
  const std::vector<Value> elements = iterate(in.heap(), value);
  return elements.empty() ? Value::undefined("No last item, sequence was empty.") : elements.back();
}

Value count(Interpreter&, const Call& call) { return Value(length(call.at(0))); }

Value to_list(Interpreter& in, const Call& call) { return make_list(in.heap(), iterate(in.heap(), call.at(0))); }

Value pairs(Heap& heap, const Dict& dict, Sequence::Flavour flavour) {
  std::vector<Value> elements;
  for (const auto& [key, value] : dict.items) elements.push_back(make_list(heap, {key, value}, Sequence::tuple));
  return make_list(heap, std::move(elements), flavour);
}

Value items(Interpreter& in, const Call& call) {
  const Value& value = call.at(0);
  if (value.is(Kind::undefined)) return make_iterator(in.heap(), {});
  if (!value.is(Kind::dict)) raise("Can only get item pairs from a mapping.");
  return make_iterator(in.heap(), iterate(in.heap(), pairs(in.heap(), value.dict(), Sequence::list)));
}

Value sort_dict(Interpreter& in, const Call& call) {
  const Value& value = call.at(0);
  const std::string by = call.find(2) != nullptr ? call.text(2).bytes : "key";
  if (by != "key" && by != "value") raise("You can only sort by either \"key\" or \"value\"");
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (!value.is(Kind::dict)) raise("'", value.type_name(), "' object has no attribute 'items'");
  std::vector<Value> elements = iterate(in.heap(), pairs(in.heap(), value.dict(), Sequence::list)), keys;
  for (const auto& [name, content] : value.dict().items)
    keys.push_back(fold_case(in, by == "key" ? name : content, call.flag(1)));
  sort_values(in, elements, keys, call.flag(3));
  return make_list(in.heap(), std::move(elements));
}

Value sort(Interpreter& in, const Call& call) {
  std::vector<Value> elements = iterate(in.heap(), call.at(0)), keys;
  const Value* path = call.find(3);
  const bool several = path != nullptr && path->is(Kind::text);
  const std::string_view comma = ",";
  for (const Value& element : elements) {
    std::vector<Value> parts;
    if (!several) parts.push_back(keyed(in, element, path, call.flag(2)));
    else
      for (const Piece& piece : split(path->text().bytes, &comma, -1))
        parts.push_back(fold_case(in, in.get_path(element, make_piece(in.heap(), path->text(), piece)), call.flag(2)));
    keys.push_back(make_list(in.heap(), std::move(parts)));
  }
  sort_values(in, elements, keys, call.flag(1));
  return make_list(in.heap(), std::move(elements));
}

Value unique(Interpreter& in, const Call& call) {
  std::vector<Value> kept, seen;
  for (const Value& element : iterate(in.heap(), call.at(0))) {
    const Value key = keyed(in, element, call.find(2), call.flag(1));
    check_hashable(key);
    in.heap().step(seen.size() * static_cast<std::size_t>(key.weight()));
    if (std::ranges::any_of(seen, [&](const Value& value) { return equal(value, key); })) continue;
    seen.push_back(key);
    kept.push_back(element);
  }
  return make_iterator(in.heap(), std::move(kept));
}

template <bool Largest>
Value extreme(Interpreter& in, const Call& call) {
  const std::vector<Value> elements = iterate(in.heap(), call.at(0));
  if (elements.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  std::size_t best = 0;
  Value best_key = keyed(in, elements[0], call.find(2), call.flag(1));
  for (std::size_t i = 1; i < elements.size(); ++i) {
    Value key = keyed(in, elements[i], call.find(2), call.flag(1));
    in.heap().step(static_cast<std::size_t>(std::min(key.weight(), best_key.weight())));
    if (!(Largest ? less(best_key, key) : less(key, best_key))) continue;
    best = i;
    best_key = std::move(key);
  }
  return elements[best];
}

Value sum(Interpreter& in, const Call& call) {
  Value total = call.find(2) != nullptr ? *call.find(2) : Value(std::int64_t{0});
  if (total.is(Kind::text)) raise("sum() can't sum strings");
  const Value* path = call.find(1);
  for (const Value& element : iterate(in.heap(), call.at(0)))
    total = apply_binary(in.heap(), Op::add, total,
                         path == nullptr || path->is(Kind::none) ? element : in.get_path(element, *path));
  return total;
}

Value join_filter(Interpreter& in, const Call& call) {
  std::vector<Value> elements = iterate(in.heap(), call.at(0));
  if (const Value* path = call.find(2); path != nullptr && !path->is(Kind::none))
    for (Value& element : elements) element = in.get_path(element, *path);
  const Value separator = call.find(1) != nullptr ? as_text(in, *call.find(1)) : make_text(in.heap(), "");
  return join(in, separator.text(), elements, true);
}

Value reverse(Interpreter& in, const Call& call) {
  const Value& value = call.at(0);
  if (value.is(Kind::text)) return take_slice(in.heap(), value, Value(), Value(), Value(std::int64_t{-1}));
  std::vector<Value> elements = iterate(in.heap(), value);
  std::ranges::reverse(elements);
  return value.is(Kind::iterator) ? make_list(in.heap(), std::move(elements))
                                  : make_iterator(in.heap(), std::move(elements));
}

Value batch(Interpreter& in, const Call& call) {
  const std::int64_t size = call.integer(1);
  std::vector<Value> batches, now;
  const auto flush = [&] { batches.push_back(make_list(in.heap(), std::exchange(now, {}))); };
  for (Value& element : iterate(in.heap(), call.at(0))) {
    if (static_cast<std::int64_t>(now.size()) == size) flush();
    now.push_back(std::move(element));
  }
  if (now.empty()) return make_iterator(in.heap(), std::move(batches));
  if (const Value* fill = call.find(2); fill != nullptr && !fill->is(Kind::none)) {
    in.heap().step(static_cast<std::size_t>(std::max<std::int64_t>(size, 0)));
    while (static_cast<std::int64_t>(now.size()) < size) now.push_back(*fill);
  }
  flush();
  return make_iterator(in.heap(), std::move(batches));
}

Value slice(Interpreter& in, const Call& call) {
  const std::vector<Value> elements = iterate(in.heap(), call.at(0));
  const std::int64_t count = call.integer(1), size = static_cast<std::int64_t>(elements.size());
  if (count == 0) raise("integer division or modulo by zero");
  const std::int64_t each = count > 0 ? size / count : 0, longer = count > 0 ? size % count : 0;
  std::vector<Value> slices;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    in.heap().step();
    const std::int64_t end = at + each + (i < longer ? 1 : 0);
    std::vector<Value> part(elements.begin() + at, elements.begin() + end);
    if (const Value* fill = call.find(2); fill != nullptr && !fill->is(Kind::none) && i >= longer)
      part.push_back(*fill);
    slices.push_back(make_list(in.heap(), std::move(part)));
    at = end;
  }
  return make_iterator(in.heap(), std::move(slices));
}

Value map(Interpreter& in, const Call& call) {
  const Arguments& all = call.arguments();
  std::vector<Value> mapped;
  if (!truth(call.at(0))) return make_iterator(in.heap(), {});
  const Value* path = all.find("attribute");
  const Value* otherwise = all.find("default");
  if (all.positional.size() == 1 && path != nullptr) {
    if (all.named.size() > (otherwise != nullptr ? 2u : 1u)) raise("map got an unexpected keyword argument");
    if (otherwise != nullptr && otherwise->is(Kind::none)) otherwise = nullptr;
    for (const Value& element : iterate(in.heap(), call.at(0)))
      mapped.push_back(in.get_path(element, *path, otherwise));
    return make_iterator(in.heap(), std::move(mapped));
  }
  if (all.positional.size() < 2) raise("map requires a filter argument");
  if (!all.positional[1].is(Kind::text)) raise("map: the filter's name must be a string");
  Arguments arguments;
  arguments.positional.assign(all.positional.begin() + 1, all.positional.end());
  arguments.named = all.named;
  const std::string name = all.positional[1].text().bytes;
  for (const Value& element : iterate(in.heap(), call.at(0))) {
    arguments.positional[0] = element;
    mapped.push_back(in.call_filter(name, arguments));
  }
  return make_iterator(in.heap(), std::move(mapped));
}

template <bool Keep, bool ByAttribute>
Value select(Interpreter& in, const Call& call) {
  const Arguments& all = call.arguments();
  std::vector<Value> kept;
  if (!truth(call.at(0))) return make_iterator(in.heap(), {});
  constexpr std::size_t kTest = ByAttribute ? 2 : 1;
  if (all.positional.size() < kTest) raise("Missing parameter for attribute name");
  const bool tests = all.positional.size() > kTest;
  if (tests && !all.positional[kTest].is(Kind::text)) raise("the test's name must be a string");
  Arguments arguments;
  if (tests) arguments.positional.assign(all.positional.begin() + kTest, all.positional.end());
  arguments.named = all.named;
  for (const Value& element : iterate(in.heap(), call.at(0))) {
    const Value subject = ByAttribute ? in.get_path(element, all.positional[1]) : element;
    if (tests) arguments.positional[0] = subject;
    const bool passed = tests ? in.call_test(all.positional[kTest].text().bytes, arguments) : truth(subject);
    if (passed == Keep) kept.push_back(element);
  }
  return make_iterator(in.heap(), std::move(kept));
}

Value group(Interpreter& in, const Call& call) {
  std::vector<Value> elements = iterate(in.heap(), call.at(0)), keys, groups;
  const Value* path = &call.at(1);
  const Value* otherwise = call.find(2) != nullptr && !call.at(2).is(Kind::none) ? call.find(2) : nullptr;
  for (const Value& element : elements) keys.push_back(keyed(in, element, path, call.flag(3), otherwise));
  sort_values(in, elements, keys, false);
  std::vector<Value> members;
  const auto flush = [&] {
    const Value name = in.get_path(members[0], *path, otherwise);
    groups.push_back(make_list(in.heap(), {name, make_list(in.heap(), std::exchange(members, {}))}, Sequence::tuple));
  };
  Value key;
  for (const Value& element : elements) {
    Value own = keyed(in, element, path, call.flag(3), otherwise);
    if (!members.empty() && !equal(own, key)) flush();
    key = std::move(own);
    members.push_back(element);
  }
  if (!members.empty()) flush();
  return make_list(in.heap(), std::move(groups));
}

constexpr Builtin kSequenceFilters[] = {
    {"attr", attribute, 2, {"obj", "name"}},
    {"batch", batch, 2, {"value", "linecount", "fill_with"}},
    {"count", count, 1, {"value"}},
    {"d", default_value, 1, {"value", "default_value", "boolean"}},
    {"default", default_value, 1, {"value", "default_value", "boolean"}},
    {"dictsort", sort_dict, 1, {"value", "case_sensitive", "by", "reverse"}},
    {"first", first, 1, {"seq"}},
    {"groupby", group, 2, {"value", "attribute", "default", "case_sensitive"}},
    {"items", items, 1, {"value"}},
    {"join", join_filter, 1, {"value", "d", "attribute"}},
    {"last", last, 1, {"seq"}},
    {"length", count, 1, {"value"}},
    {"list", to_list, 1, {"value"}},
    {"map", map, 1, {"value"}, true},
    {"max", extreme<true>, 1, {"value", "case_sensitive", "attribute"}},
    {"min", extreme<false>, 1, {"value", "case_sensitive", "attribute"}},
    {"reject", select<false, false>, 1, {"value"}, true},
    {"rejectattr", select<false, true>, 1, {"value"}, true},
    {"reverse", reverse, 1, {"value"}},
    {"select", select<true, false>, 1, {"value"}, true},
    {"selectattr", select<true, true>, 1, {"value"}, true},
    {"slice", slice, 2, {"value", "slices", "fill_with"}},
    {"sort", sort, 1, {"value", "reverse", "case_sensitive", "attribute"}},
    {"sum", sum, 1, {"iterable", "attribute", "start"}},
    {"unique", unique, 1, {"value", "case_sensitive", "attribute"}},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return kSequenceFilters; }

}  // namespace ftlib::jinja
