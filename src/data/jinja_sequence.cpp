// SPDX-License-Identifier: Apache-2.0
// What all iterable values share: elements, length, membership.
#include <algorithm>

#include "data/jinja_call.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

[[noreturn]] void raise_type(const Value& value, std::string_view complaint) {
  raise("'", value.type_name(), "' object ", complaint);
}

std::vector<Value> characters(Heap& heap, const Text& text) {
  std::vector<Value> out;
  for (std::size_t at = 0; at < text.bytes.size();) {
    const std::size_t end = at + point_bytes(static_cast<unsigned char>(text.bytes[at]));
    heap.step();
    out.push_back(make_piece(heap, text, {at, end}));
    at = end;
  }
  return out;
}

std::vector<Value> numbers(Heap& heap, const Range& range) {
  std::vector<Value> out;
  const std::int64_t size = range.size();
  heap.step(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) out.emplace_back(range.at(i));
  return out;
}

bool range_contains(const Range& range, const Value& item) {
  if (!item.is_number()) return false;
  for (std::int64_t i = 0; i < range.size(); ++i)
    if (equal(Value(range.at(i)), item)) return true;
  return false;
}

}  // namespace

bool is_iterable(const Value& value) noexcept {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::text:
    case Kind::sequence:
    case Kind::dict:
    case Kind::range:
    case Kind::iterator:
    case Kind::loop: return true;
    default: return false;
  }
}

std::vector<Value> iterate(Heap& heap, const Value& value) {
  switch (value.kind()) {
    case Kind::undefined: return {};
    case Kind::text: return characters(heap, value.text());
    case Kind::range: return numbers(heap, value.range());
    case Kind::sequence: heap.step(value.sequence().elements.size()); return value.sequence().elements;
    case Kind::dict: {
      std::vector<Value> keys;
      heap.step(value.dict().items.size());
      for (const auto& item : value.dict().items) keys.push_back(item.first);
      return keys;
    }
    case Kind::iterator: {
      Iterator& iterator = value.iterator();
      std::vector<Value> rest(iterator.elements.begin() + static_cast<std::ptrdiff_t>(iterator.next),
                              iterator.elements.end());
      heap.step(rest.size());
      iterator.next = iterator.elements.size();
      return rest;
    }
    default: raise_type(value, "is not iterable");
  }
}

bool has_length(const Value& value) noexcept {
  return is_iterable(value) && !value.is(Kind::iterator) && !value.is(Kind::loop);
}

std::int64_t length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined: return 0;
    case Kind::text: return value.text().points;
    case Kind::sequence: return static_cast<std::int64_t>(value.sequence().elements.size());
    case Kind::dict: return static_cast<std::int64_t>(value.dict().items.size());
    case Kind::range: return value.range().size();
    case Kind::loop: return 1;  // a loop that is running has at least one item: true
    default: raise_type(value, "has no len()");
  }
}

bool contains(Heap& heap, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::undefined: return false;
    case Kind::text:
      if (item.is(Kind::undefined)) raise_undefined(item);
      if (!item.is(Kind::text)) raise("'in <string>' requires string as left operand, not ", item.type_name());
      heap.step_bytes(container.text().bytes.size());
      return find_bytes(container.text().bytes, item.text().bytes) != std::string::npos;
    case Kind::dict: step_lookup(heap, container.dict(), item); return container.dict().find(item) != nullptr;
    case Kind::range: heap.step(static_cast<std::size_t>(container.range().size()));
      return range_contains(container.range(), item);
    case Kind::sequence:
    case Kind::iterator: {
      heap.step(static_cast<std::size_t>(container.weight()));
      const std::vector<Value> elements = iterate(heap, container);
      return std::ranges::any_of(elements, [&](const Value& element) { return equal(element, item); });
    }
    default: raise("argument of type '", container.type_name(), "' is not iterable");
  }
}

void step_lookup(Heap& heap, const Dict& dict, const Value& key) {
  heap.step(dict.items.size() * static_cast<std::size_t>(key.weight()) / 8 + 1);
}

Value put(Heap& heap, const Value& dict, const Value& key, Value value) {
  check_hashable(key);
  step_lookup(heap, dict.dict(), key);
  auto items = dict.dict().items;
  const auto found = std::ranges::find_if(items, [&](const auto& item) { return equal(item.first, key); });
  if (found == items.end()) items.emplace_back(key, std::move(value));
  else found->second = std::move(value);
  return make_dict(heap, std::move(items));
}

}  // namespace ftlib::jinja
