// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "data/jinja_interpreter.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};

[[noreturn]] void raise_operands(Op op, const Value& left, const Value& right) {
  if (left.is(Kind::undefined)) raise_undefined(left);
  if (right.is(Kind::undefined)) raise_undefined(right);
  raise("unsupported operand types for ", kSigns[static_cast<int>(op)], ": '", left.type_name(), "' and '",
        right.type_name(), "'");
}

[[noreturn]] void raise_overflow() { raise_unsupported("integers beyond 64 bits are not supported"); }

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (;;) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) raise_overflow();
    exponent >>= 1;
    if (exponent == 0) return result;
    if (__builtin_mul_overflow(base, base, &base)) raise_overflow();
  }
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) raise("integer division or modulo by zero");
  if (a == std::numeric_limits<std::int64_t>::min() && b == -1) raise_overflow();
  const std::int64_t quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

Value integer_arithmetic(Op op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Op::add: overflow = __builtin_add_overflow(a, b, &result); break;
    case Op::subtract: overflow = __builtin_sub_overflow(a, b, &result); break;
    case Op::multiply: overflow = __builtin_mul_overflow(a, b, &result); break;
    case Op::floor_divide: result = floor_divide(a, b); break;
    case Op::modulo:
      if (b == -1) return Value(std::int64_t{0});
      result = a - floor_divide(a, b) * b;
      break;
    case Op::power:
      if (b >= 0) return Value(power(a, b));
      if (a == 0) raise("0.0 cannot be raised to a negative power");
      return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
    default:
      if (b == 0) raise("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
  }
  if (overflow) raise_overflow();
  return Value(result);
}

double float_modulo(double a, double b) {
  if (b == 0) raise("float modulo by zero");
  const double rest = std::fmod(a, b);
  if (rest != 0) return (rest < 0) != (b < 0) ? rest + b : rest;
  return std::copysign(0.0, b);
}

double float_floor_divide(double a, double b) {
  if (b == 0) raise("float floor division by zero");
  const double rest = float_modulo(a, b), quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

double float_power(double a, double b) {
  if (a == 0 && b < 0) raise("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && std::floor(b) != b)
    raise_unsupported("complex numbers are not supported");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) raise("numerical result out of range");
  return result;
}

Value float_arithmetic(Op op, double a, double b) {
  switch (op) {
    case Op::add: return Value(a + b);
    case Op::subtract: return Value(a - b);
    case Op::multiply: return Value(a * b);
    case Op::floor_divide: return Value(float_floor_divide(a, b));
    case Op::modulo: return Value(float_modulo(a, b));
    case Op::power: return Value(float_power(a, b));
    default:
      if (b == 0) raise("float division by zero");
      return Value(a / b);
  }
}

Value add_texts(Heap& heap, const Text& a, const Text& b) {
  TextBuilder built(heap);
  const auto append = [&](const Text& text, const Text& other) {
    if (text.safe || !other.safe) return built.append(text);
    const Value escaped = make_derived(heap, escape_html(text.bytes), text);
    built.append(escaped.text());
  };
  append(a, b);
  append(b, a);
  return make_text(heap, std::move(built), a.safe || b.safe);
}

Value add_sequences(Heap& heap, const Sequence& a, const Sequence& b) {
  std::vector<Value> elements = a.elements;
  elements.insert(elements.end(), b.elements.begin(), b.elements.end());
  return make_list(heap, std::move(elements), a.flavour);
}

Value repeat(Heap& heap, const Value& value, std::int64_t times) {
  times = std::max<std::int64_t>(times, 0);
  const bool is_text = value.is(Kind::text);
  const std::size_t size = is_text ? value.text().bytes.size() : value.sequence().elements.size() * sizeof(Value);
  if (size > 0 && times > heap.limits().memory / static_cast<std::int64_t>(size))
    raise_limit("more than ", heap.limits().memory, " bytes of memory");
  const Charge charge(heap, size * static_cast<std::size_t>(times));
  if (is_text) {
    TextBuilder built(heap);
    for (std::int64_t i = 0; i < times && size > 0; ++i) built.append(value.text());
    return make_text(heap, std::move(built), value.text().safe);
  }
  std::vector<Value> elements;
  const auto& source = value.sequence().elements;
  for (std::int64_t i = 0; i < times && size > 0; ++i) elements.insert(elements.end(), source.begin(), source.end());
  return make_list(heap, std::move(elements), value.sequence().flavour);
}

bool is_repeatable(const Value& value) {
  return value.is(Kind::text) || value.is_sequence(Sequence::list) || value.is_sequence(Sequence::tuple);
}
bool is_whole(const Value& value) { return value.is(Kind::integer) || value.is(Kind::boolean); }

bool same_sequences(const Value& a, const Value& b) {
  return a.is(Kind::sequence) && b.is(Kind::sequence) && a.sequence().flavour == b.sequence().flavour &&
         a.sequence().flavour <= Sequence::tuple;
}

struct Bounds {
  std::int64_t start, step, count;
};

/// Python's slice.indices over `size` elements.
Bounds slice_bounds(std::int64_t size, const Value& start, const Value& stop, const Value& step) {
  const std::int64_t stride = step.is(Kind::none) ? 1 : to_index(step);
  if (stride == 0) raise("slice step cannot be zero");
  const std::int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
  const auto clamp = [&](const Value& value, std::int64_t otherwise) {
    if (value.is(Kind::none)) return otherwise;
    std::int64_t index = to_index(value);
    if (index < 0) index = std::max(index + size, low);
    return std::min(index, high);
  };
  const std::int64_t first = clamp(start, stride > 0 ? low : high), last = clamp(stop, stride > 0 ? high : low);
  const Range range{first, last, std::clamp(stride, -(size + 1), size + 1)};
  return {first, range.step, range.size()};
}

Value slice_text(Heap& heap, const Text& text, const Bounds& bounds) {
  const bool single_bytes = text.points == static_cast<std::int64_t>(text.bytes.size());
  heap.step_bytes(text.bytes.size());
  if (bounds.step == 1) {
    if (single_bytes)
      return make_piece(
          heap, text, {static_cast<std::size_t>(bounds.start), static_cast<std::size_t>(bounds.start + bounds.count)});
    const std::size_t begin = byte_offset(text.bytes, bounds.start);
    return make_piece(heap, text,
                      {begin, begin + byte_offset(std::string_view(text.bytes).substr(begin), bounds.count)});
  }
  std::vector<std::size_t> offsets;
  for (std::size_t at = 0; at < text.bytes.size(); at += point_bytes(static_cast<unsigned char>(text.bytes[at])))
    offsets.push_back(at);
  heap.step(offsets.size());
  TextBuilder built(heap);
  for (std::int64_t i = 0; i < bounds.count; ++i) {
    const std::size_t at = offsets[static_cast<std::size_t>(bounds.start + i * bounds.step)];
    built.append(text, {at, at + point_bytes(static_cast<unsigned char>(text.bytes[at]))});
  }
  return make_text(heap, std::move(built), text.safe);
}

}  // namespace

Value apply_binary(Heap& heap, Op op, const Value& left, const Value& right) {
  if (left.is(Kind::text) && op == Op::modulo) return format_percent(heap, left.text(), right);
  if (left.is_number() && right.is_number()) {
    if (left.is(Kind::real) || right.is(Kind::real)) return float_arithmetic(op, left.real(), right.real());
    return integer_arithmetic(op, left.integer(), right.integer());
  }
  if (op == Op::add && left.is(Kind::text) && right.is(Kind::text)) return add_texts(heap, left.text(), right.text());
  if (op == Op::add && same_sequences(left, right)) return add_sequences(heap, left.sequence(), right.sequence());
  if (op == Op::multiply && is_repeatable(left) && is_whole(right)) return repeat(heap, left, right.integer());
  if (op == Op::multiply && is_whole(left) && is_repeatable(right)) return repeat(heap, right, left.integer());
  raise_operands(op, left, right);
}

Value apply_negate(const Value& value, bool negative) {
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (!value.is_number()) raise("bad operand type for unary operator: '", value.type_name(), "'");
  if (value.is(Kind::real)) return Value(negative ? -value.real() : value.real());
  return negative ? integer_arithmetic(Op::subtract, 0, value.integer()) : Value(value.integer());
}

bool compare(Heap& heap, Op op, const Value& left, const Value& right) {
  heap.step(static_cast<std::size_t>(std::min(left.weight(), right.weight())));
  switch (op) {
    case Op::equal: return equal(left, right);
    case Op::not_equal: return !equal(left, right);
    case Op::less: return less(left, right);
    case Op::greater: return less(right, left);
    case Op::less_equal:
    case Op::greater_equal: {
      const bool below = op == Op::less_equal ? less(left, right) : less(right, left);
      return below || equal(left, right);
    }
    case Op::not_in: return !contains(heap, right, left);
    default: return contains(heap, right, left);
  }
}

Value take_index(Heap& heap, const Value& object, const Value& index, bool& found) {
  found = false;
  if (object.is(Kind::dict)) {
    if (index.is(Kind::sequence) || index.is(Kind::dict)) {
      if (!index.is_sequence(Sequence::tuple)) return {};  // unhashable: Python's TypeError is caught
    }
    step_lookup(heap, object.dict(), index);
    const Value* value = object.dict().find(index);
    found = value != nullptr;
    return found ? *value : Value();
  }
  const bool sequence = is_repeatable(object) || object.is(Kind::range);
  if (!sequence || !is_whole(index)) return {};
  const std::int64_t size = length(object);
  const std::int64_t at = index.integer() < 0 ? index.integer() + size : index.integer();
  if (at < 0 || at >= size) return {};
  found = true;
  if (object.is(Kind::range)) return Value(object.range().at(at));
  if (object.is(Kind::text)) return slice_text(heap, object.text(), {at, 1, 1});
  return object.sequence().elements[static_cast<std::size_t>(at)];
}

Value take_slice(Heap& heap, const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is(Kind::undefined)) raise_undefined(object);
  if (!is_repeatable(object) && !object.is(Kind::range)) raise("'", object.type_name(), "' object cannot be sliced");
  const Bounds bounds = slice_bounds(length(object), start, stop, step);
  if (object.is(Kind::text)) return slice_text(heap, object.text(), bounds);
  if (object.is(Kind::range)) {
    const Range& range = object.range();
    std::int64_t stride = 0;
    if (__builtin_mul_overflow(range.step, bounds.step, &stride)) raise_overflow();
    return Value(Range{range.at(bounds.start), range.at(bounds.start + bounds.count * bounds.step), stride});
  }
  std::vector<Value> elements;
  heap.step(static_cast<std::size_t>(bounds.count));
  for (std::int64_t i = 0; i < bounds.count; ++i)
    elements.push_back(object.sequence().elements[static_cast<std::size_t>(bounds.start + i * bounds.step)]);
  return make_list(heap, std::move(elements), object.sequence().flavour);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += letter;
    }
  }
  return out;
}

}  // namespace ftlib::jinja
