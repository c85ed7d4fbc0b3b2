// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "data/jinja_call.h"

namespace ftlib::inline FTLIB_ABI::jinja {

std::int64_t Range::size() const noexcept {
  if (step > 0 ? start >= stop : start <= stop) return 0;
  const std::int64_t span = step > 0 ? stop - start : start - stop;
  return (span - 1) / (step > 0 ? step : -step) + 1;
}

Value Value::undefined(std::string why) {
  Value value;
  value.value_ = std::make_shared<const std::string>(std::move(why));
  return value;
}

std::int64_t Value::integer() const {
  if (const bool* flag = std::get_if<bool>(&value_)) return *flag ? 1 : 0;
  return std::get<std::int64_t>(value_);
}

double Value::real() const {
  if (const double* number = std::get_if<double>(&value_)) return *number;
  return static_cast<double>(integer());
}

std::int64_t Value::weight() const noexcept {
  if (is(Kind::text)) return 1 + static_cast<std::int64_t>(text().bytes.size() / 32);
  if (is(Kind::sequence)) return sequence().weight;
  if (is(Kind::dict)) return dict().weight;
  return is(Kind::range) ? range().size() : is(Kind::iterator) ? iterator().weight : 1;
}

bool Value::is_sequence(int flavour) const noexcept {
  const auto* pointer = std::get_if<std::shared_ptr<const Sequence>>(&value_);
  return pointer != nullptr && (*pointer)->flavour == flavour;
}

int Value::depth() const noexcept {
  if (is(Kind::sequence)) return sequence().depth;
  if (is(Kind::dict)) return dict().depth;
  if (is(Kind::iterator)) return iterator().depth;
  return is(Kind::callable) ? 1 + callable().self.depth() : 0;
}

std::string_view Value::type_name() const noexcept {
  constexpr std::string_view kViews[] = {"list", "tuple", "dict_keys", "dict_values", "dict_items"};
  if (is(Kind::sequence)) return kViews[sequence().flavour];
  constexpr std::string_view kNames[] = {"NoneType", "Undefined", "bool",       "int",   "float",
                                         "str",      "",          "dict",       "range", "generator",
                                         "function", "Namespace", "LoopContext"};
  return kNames[static_cast<int>(kind())];
}

const Value* Dict::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : items)
    if (name.is(Kind::text) && name.text().bytes == key) return &value;
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  check_hashable(key);
  if (key.is(Kind::text)) return find(key.text().bytes);
  for (const auto& [name, value] : items)
    if (equal(name, key)) return &value;
  return nullptr;
}

const Value* Space::find(std::string_view name) const noexcept {
  for (const auto& [key, value] : attributes)
    if (key == name) return &value;
  return nullptr;
}

void check_hashable(const Value& value) {
  if (value.is(Kind::dict) || (value.is(Kind::sequence) && value.sequence().flavour != Sequence::tuple))
    raise("unhashable type: '", value.type_name(), "'");
  if (value.is_sequence(Sequence::tuple)) std::ranges::for_each(value.sequence().elements, check_hashable);
}

void raise_undefined(const Value& value) { raise(value.why()); }

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::none:
    case Kind::undefined: return false;
    case Kind::boolean: return value.boolean();
    case Kind::integer: return value.integer() != 0;
    case Kind::real: return value.real() != 0;
    case Kind::iterator:
    case Kind::callable:
    case Kind::space: return true;
    default: return length(value) != 0;
  }
}

namespace {

bool equal_elements(const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() && std::ranges::equal(a, b, [](const Value& x, const Value& y) { return equal(x, y); });
}

bool equal_dicts(const Dict& a, const Dict& b) {
  if (a.items.size() != b.items.size()) return false;
  return std::ranges::all_of(a.items, [&](const auto& item) {
    const Value* other = b.find(item.first);
    return other != nullptr && equal(item.second, *other);
  });
}

bool equal_ranges(const Range& a, const Range& b) {
  const std::int64_t size = a.size();
  return size == b.size() && (size == 0 || (a.start == b.start && (size == 1 || a.step == b.step)));
}

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::real) || b.is(Kind::real)) return a.real() == b.real();
  return a.integer() == b.integer();
}

bool less_elements(const std::vector<Value>& a, const std::vector<Value>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (!equal(a[i], b[i])) return less(a[i], b[i]);
  return a.size() < b.size();
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::none:
    case Kind::undefined: return true;
    case Kind::text: return a.text().bytes == b.text().bytes;
    case Kind::dict: return &a.dict() == &b.dict() || equal_dicts(a.dict(), b.dict());
    case Kind::range: return equal_ranges(a.range(), b.range());
    case Kind::iterator: return &a.iterator() == &b.iterator();
    case Kind::callable: return &a.callable() == &b.callable();
    case Kind::space: return a.space() == b.space();
    case Kind::loop: return a.loop() == b.loop();
    default: break;
  }
  if (&a.sequence() == &b.sequence()) return true;
  return a.sequence().flavour == b.sequence().flavour && a.sequence().flavour != Sequence::values &&
         equal_elements(a.sequence().elements, b.sequence().elements);
}

bool less(const Value& a, const Value& b) {
  if (a.is(Kind::undefined)) raise_undefined(a);
  if (b.is(Kind::undefined)) raise_undefined(b);
  if (a.is_number() && b.is_number())
    return a.is(Kind::real) || b.is(Kind::real) ? a.real() < b.real() : a.integer() < b.integer();
  if (a.is(Kind::text) && b.is(Kind::text)) return a.text().bytes < b.text().bytes;
  if (a.is(Kind::sequence) && b.is(Kind::sequence) && a.sequence().flavour == b.sequence().flavour &&
      a.sequence().flavour <= Sequence::tuple)
    return less_elements(a.sequence().elements, b.sequence().elements);
  raise("'<' not supported between instances of '", a.type_name(), "' and '", b.type_name(), "'");
}

void TextBuilder::mark(Piece piece) {
  if (piece.begin == piece.end) return;
  if (!marks.empty() && marks.back().end == piece.begin) marks.back().end = piece.end;
  else marks.push_back(piece);
}

void TextBuilder::append(const Text& text, Piece piece) {
  const std::size_t base = bytes.size();
  check(piece.end - piece.begin);
  bytes.append(text.bytes, piece.begin, piece.end - piece.begin);
  for (const Piece& part : text.marks) {
    const std::size_t begin = std::max(part.begin, piece.begin), end = std::min(part.end, piece.end);
    if (begin < end) mark({base + begin - piece.begin, base + end - piece.begin});
  }
}

void TextBuilder::append(const Value& value) {
  if (value.is(Kind::text)) return append(value.text());
  const std::size_t begin = bytes.size();
  append(std::string_view(to_string(value)));
  // A list or dict prints strings of the conversation in some quoted form: all of it counts as theirs.
  if (value.is(Kind::sequence) || value.is(Kind::dict)) mark({begin, bytes.size()});
}

Value make_constant(std::string bytes) {
  auto text = std::make_shared<Text>();
  text->points = count_points(bytes);
  text->bytes = std::move(bytes);
  return Value(std::shared_ptr<const Text>(std::move(text)));
}

Value make_text(Heap& heap, TextBuilder built, bool safe) {
  auto text = std::make_shared<Text>();
  text->charge = Charge(heap, sizeof(Text) + built.bytes.size() + built.marks.size() * sizeof(Piece));
  heap.step(built.bytes.size() / 32 + 1);
  text->points = count_points(built.bytes);
  text->bytes = std::move(built.bytes);
  text->marks = std::move(built.marks);
  text->safe = safe;
  return Value(std::shared_ptr<const Text>(std::move(text)));
}

Value make_text(Heap& heap, std::string bytes, bool safe) {
  TextBuilder built;
  built.bytes = std::move(bytes);
  return make_text(heap, std::move(built), safe);
}

Value make_piece(Heap& heap, const Text& text, Piece piece) {
  TextBuilder built;
  built.append(text, piece);
  return make_text(heap, std::move(built), text.safe);
}

Value make_marked(Heap& heap, std::string bytes) {
  TextBuilder built;
  built.bytes = std::move(bytes);
  built.mark({0, built.bytes.size()});
  return make_text(heap, std::move(built));
}

Value make_derived(Heap& heap, std::string bytes, const Text& source, const Text* other) {
  TextBuilder built;
  built.bytes = std::move(bytes);
  if (!source.marks.empty() || (other != nullptr && !other->marks.empty())) built.mark({0, built.bytes.size()});
  return make_text(heap, std::move(built), source.safe);
}

namespace {

/// Depth and weight of a container from those of its elements.
class Measure {
 public:
  explicit Measure(std::int64_t weight = 1) : weight_(std::min(kHeaviest, weight + 1)) {}
  void add(const Value& value) {
    depth_ = std::max(depth_, value.depth());
    weight_ = std::min(kHeaviest, weight_ + value.weight());
  }
  template <class Container>
  void store(Container& container) const {
    if (depth_ >= kMaxNesting) raise_limit("values nested deeper than ", kMaxNesting, " levels");
    container.depth = depth_ + 1;
    container.weight = weight_;
  }

 private:
  static constexpr std::int64_t kHeaviest = std::int64_t{1} << 40;
  int depth_ = 0;
  std::int64_t weight_;
};

template <class Container>
std::shared_ptr<Container> fill(Heap& heap, std::vector<Value> elements) {
  auto container = std::make_shared<Container>();
  heap.step(elements.size() + 1);
  container->charge = Charge(heap, sizeof(Container) + elements.size() * sizeof(Value));
  Measure measure;
  for (const Value& element : elements) measure.add(element);
  measure.store(*container);
  container->elements = std::move(elements);
  return container;
}

}  // namespace

Value make_list(Heap& heap, std::vector<Value> elements, Sequence::Flavour flavour) {
  auto list = fill<Sequence>(heap, std::move(elements));
  list->flavour = flavour;
  return Value(std::shared_ptr<const Sequence>(std::move(list)));
}

Value make_iterator(Heap& heap, std::vector<Value> elements) {
  return Value(fill<Iterator>(heap, std::move(elements)));
}

Value make_dict(Heap& heap, std::vector<std::pair<Value, Value>> items) {
  auto dict = std::make_shared<Dict>();
  heap.step(items.size() + 1);
  dict->charge = Charge(heap, sizeof(Dict) + items.size() * 2 * sizeof(Value));
  Measure measure(static_cast<std::int64_t>(items.size() * items.size() / 8));  // comparing two looks for every key
  for (const auto& [key, value] : items) {
    measure.add(key);
    measure.add(value);
  }
  measure.store(*dict);
  dict->items = std::move(items);
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

}  // namespace ftlib::jinja
