// SPDX-License-Identifier: Apache-2.0
// The values of a template's world. Immutable but for namespaces, loops and iterators; nothing of the host is
// reachable.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "data/jinja_heap.h"
#include "data/jinja_text.h"

namespace ftlib::inline FTLIB_ABI::jinja {

struct Text;
struct Sequence;
struct Dict;
struct Iterator;
struct Callable;
struct Space;
struct Loop;

/// Python's range; a value, not an object.
struct Range {
  std::int64_t start = 0, stop = 0, step = 1;
  std::int64_t size() const noexcept;
  std::int64_t at(std::int64_t index) const noexcept { return start + index * step; }
};

struct None {};

class Value {
 public:
  enum class Kind {
    none,
    undefined,
    boolean,
    integer,
    real,
    text,
    sequence,
    dict,
    range,
    iterator,
    callable,
    space,
    loop
  };

  Value() = default;
  explicit Value(bool value) : value_(value) {}
  explicit Value(std::int64_t value) : value_(value) {}
  explicit Value(double value) : value_(value) {}
  explicit Value(Range value) : value_(value) {}
  explicit Value(std::shared_ptr<const Text> value) : value_(std::move(value)) {}
  explicit Value(std::shared_ptr<const Sequence> value) : value_(std::move(value)) {}
  explicit Value(std::shared_ptr<const Dict> value) : value_(std::move(value)) {}
  explicit Value(std::shared_ptr<Iterator> value) : value_(std::move(value)) {}
  explicit Value(std::shared_ptr<const Callable> value) : value_(std::move(value)) {}
  explicit Value(Space* value) : value_(value) {}  ///< owned by the run, as is a loop
  explicit Value(Loop* value) : value_(value) {}
  /// What a missing name or attribute yields: prints as nothing, is false, and raises `why` when used.
  static Value undefined(std::string why);

  Kind kind() const noexcept { return static_cast<Kind>(value_.index()); }
  bool is(Kind kind) const noexcept { return this->kind() == kind; }
  bool is_number() const noexcept { return is(Kind::integer) || is(Kind::real) || is(Kind::boolean); }

  bool boolean() const { return std::get<bool>(value_); }
  std::int64_t integer() const;  ///< of an integer or a boolean
  double real() const;           ///< of any number
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(value_); }
  const Sequence& sequence() const { return *std::get<std::shared_ptr<const Sequence>>(value_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(value_); }
  const Range& range() const { return std::get<Range>(value_); }
  Iterator& iterator() const { return *std::get<std::shared_ptr<Iterator>>(value_); }
  const Callable& callable() const { return *std::get<std::shared_ptr<const Callable>>(value_); }
  Space* space() const { return std::get<Space*>(value_); }
  Loop* loop() const { return std::get<Loop*>(value_); }
  const std::string& why() const { return *std::get<std::shared_ptr<const std::string>>(value_); }

  bool is_sequence(int flavour) const noexcept;
  int depth() const noexcept;  ///< of nesting: 0 for scalars
  /// What walking all of it costs, shared parts counted as often as they are met; saturates.
  std::int64_t weight() const noexcept;
  std::string_view type_name() const noexcept;  ///< as Python names it

 private:
  std::variant<None, std::shared_ptr<const std::string>, bool, std::int64_t, double, std::shared_ptr<const Text>,
               std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, Range, std::shared_ptr<Iterator>,
               std::shared_ptr<const Callable>, Space*, Loop*>
      value_;
};
using Kind = Value::Kind;

/// A string. `marks` are the bytes that came from the conversation and not from the template: sorted, disjoint.
struct Text {
  std::string bytes;
  std::int64_t points = 0;
  bool safe = false;  ///< markupsafe's Markup: `+` escapes the other side
  std::vector<Piece> marks;
  Charge charge;
};

/// A list, a tuple or one of dict's views.
struct Sequence {
  enum Flavour { list, tuple, keys, values, items };
  Flavour flavour = list;
  std::vector<Value> elements;
  int depth = 1;
  std::int64_t weight = 1;
  Charge charge;
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;  ///< in the order of insertion, keys unique
  int depth = 1;
  std::int64_t weight = 1;
  Charge charge;
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const noexcept;
};

/// What map, select and their like yield: consumed once.
struct Iterator {
  std::vector<Value> elements;
  std::size_t next = 0;
  int depth = 1;
  std::int64_t weight = 1;
  Charge charge;
};

/// namespace(): the one thing that a template can change.
struct Space {
  std::vector<std::pair<std::string, Value>> attributes;
  const Value* find(std::string_view name) const noexcept;
};

bool truth(const Value& value);
bool equal(const Value& a, const Value& b);
/// a < b as Python orders them; raises for types without an order.
bool less(const Value& a, const Value& b);
std::string to_string(const Value& value);  ///< str(value)
std::string repr(const Value& value);
std::string repr(std::string_view text);
std::string repr(double value);
/// Raises unless the value may be a key of a dict.
void check_hashable(const Value& value);
[[noreturn]] void raise_undefined(const Value& value);

/// Collects text and the marks that come with it.
class TextBuilder {
 public:
  TextBuilder() = default;
  /// Raises LIMIT beyond the heap's memory.
  explicit TextBuilder(const Heap& heap) : limit_(static_cast<std::size_t>(heap.limits().memory)) {}
  void append(std::string_view literal) {
    check(literal.size());
    bytes.append(literal);
  }
  void append(const Text& text) { append(text, {0, text.bytes.size()}); }
  void append(const Text& text, Piece piece);
  void append(const Value& value);  ///< str(value)
  void mark(Piece piece);
  std::string bytes;
  std::vector<Piece> marks;

 private:
  void check(std::size_t more) const {
    if (more > limit_ - bytes.size()) raise_limit("more than ", limit_, " bytes of memory");
  }
  std::size_t limit_ = std::string::npos;
};

Value make_constant(std::string bytes);  ///< a text of the template itself: counts against no run

/// Makes values that count against a run's memory.
Value make_text(Heap& heap, std::string bytes, bool safe = false);
Value make_text(Heap& heap, TextBuilder built, bool safe = false);
Value make_piece(Heap& heap, const Text& text, Piece piece);
/// Bytes computed from others: all of them marked when one of the sources bears a mark.
Value make_derived(Heap& heap, std::string bytes, const Text& source, const Text* other = nullptr);
Value make_marked(Heap& heap, std::string bytes);
Value make_list(Heap& heap, std::vector<Value> elements, Sequence::Flavour flavour = Sequence::list);
Value make_dict(Heap& heap, std::vector<std::pair<Value, Value>> items);  ///< keys unique
Value make_iterator(Heap& heap, std::vector<Value> elements);
Value put(Heap& heap, const Value& dict, const Value& key, Value value);
/// Counts the steps of looking for `key`: every key may have to be compared with it.
void step_lookup(Heap& heap, const Dict& dict, const Value& key);

/// The elements of an iterable; an iterator is consumed. Raises for what cannot be iterated.
std::vector<Value> iterate(Heap& heap, const Value& value);
bool is_iterable(const Value& value) noexcept;
std::int64_t length(const Value& value);  ///< len(value); raises where Python does
bool has_length(const Value& value) noexcept;
bool contains(Heap& heap, const Value& container, const Value& item);

}  // namespace ftlib::jinja
