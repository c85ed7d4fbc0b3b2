// SPDX-License-Identifier: Apache-2.0
// Tests: what follows `is`.
#include <algorithm>

#include "data/jinja_filters.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

template <Kind... Kinds>
Value is_kind(Interpreter&, const Call& call) { return Value((call.at(0).is(Kinds) || ...)); }

template <Op Operation>
Value relation(Interpreter& in, const Call& call) {
  return Value(compare(in.heap(), Operation, call.at(0), call.at(1)));
}

template <std::int64_t Rest>
Value rest_of_two(Interpreter& in, const Call& call) {
  const Value rest = apply_binary(in.heap(), Op::modulo, call.at(0), Value(std::int64_t{2}));
  return Value(equal(rest, Value(Rest)));
}

Value divisible(Interpreter& in, const Call& call) {
  return Value(equal(apply_binary(in.heap(), Op::modulo, call.at(0), call.at(1)), Value(std::int64_t{0})));
}

Value is_defined(Interpreter&, const Call& call) { return Value(!call.at(0).is(Kind::undefined)); }
template <bool Wanted>
Value is_exactly(Interpreter&, const Call& call) {
  return Value(call.at(0).is(Kind::boolean) && call.at(0).boolean() == Wanted);
}
Value is_number(Interpreter&, const Call& call) { return Value(call.at(0).is_number()); }
Value is_any_iterable(Interpreter&, const Call& call) { return Value(is_iterable(call.at(0))); }

Value is_sequence(Interpreter&, const Call& call) {
  const Value& value = call.at(0);
  const bool indexed = value.is(Kind::text) || value.is(Kind::dict) || value.is(Kind::range) ||
                       value.is(Kind::undefined) || value.is_sequence(Sequence::list) ||
                       value.is_sequence(Sequence::tuple);
  return Value(indexed);
}

template <Property Wanted>
Value has_case(Interpreter& in, const Call& call) {
  return Value(has_property(as_text(in, call.at(0)).text().bytes, Wanted));
}

Value is_escaped(Interpreter&, const Call& call) { return Value(call.at(0).is(Kind::text) && call.at(0).text().safe); }

Value is_same(Interpreter&, const Call& call) {
  const Value &a = call.at(0), &b = call.at(1);
  if (a.kind() != b.kind()) return Value(false);
  if (a.is(Kind::sequence)) return Value(&a.sequence() == &b.sequence());
  if (a.is(Kind::dict)) return Value(&a.dict() == &b.dict());
  return Value(equal(a, b));
}

Value is_filter(Interpreter&, const Call& call) {
  return Value(call.at(0).is(Kind::text) &&
               (find_filter(call.at(0).text().bytes) != nullptr || is_foreign_filter(call.at(0).text().bytes)));
}
Value is_test(Interpreter&, const Call& call) {
  return Value(call.at(0).is(Kind::text) && find_test(call.at(0).text().bytes) != nullptr);
}

constexpr Builtin kTests[] = {
    {"boolean", is_kind<Kind::boolean>, 1, {"value"}},
    {"callable", is_kind<Kind::callable, Kind::loop, Kind::undefined>, 1, {"value"}},
    {"defined", is_defined, 1, {"value"}},
    {"divisibleby", divisible, 2, {"value", "num"}},
    {"eq", relation<Op::equal>, 2, {"a", "b"}},
    {"equalto", relation<Op::equal>, 2, {"a", "b"}},
    {"==", relation<Op::equal>, 2, {"a", "b"}},
    {"escaped", is_escaped, 1, {"value"}},
    {"even", rest_of_two<0>, 1, {"value"}},
    {"false", is_exactly<false>, 1, {"value"}},
    {"filter", is_filter, 1, {"value"}},
    {"float", is_kind<Kind::real>, 1, {"value"}},
    {"ge", relation<Op::greater_equal>, 2, {"a", "b"}},
    {">=", relation<Op::greater_equal>, 2, {"a", "b"}},
    {"greaterthan", relation<Op::greater>, 2, {"a", "b"}},
    {"gt", relation<Op::greater>, 2, {"a", "b"}},
    {">", relation<Op::greater>, 2, {"a", "b"}},
    {"in", relation<Op::in>, 2, {"value", "seq"}},
    {"integer", is_kind<Kind::integer>, 1, {"value"}},
    {"iterable", is_any_iterable, 1, {"value"}},
    {"le", relation<Op::less_equal>, 2, {"a", "b"}},
    {"<=", relation<Op::less_equal>, 2, {"a", "b"}},
    {"lessthan", relation<Op::less>, 2, {"a", "b"}},
    {"lower", has_case<Property::lower>, 1, {"value"}},
    {"lt", relation<Op::less>, 2, {"a", "b"}},
    {"<", relation<Op::less>, 2, {"a", "b"}},
    {"mapping", is_kind<Kind::dict>, 1, {"value"}},
    {"ne", relation<Op::not_equal>, 2, {"a", "b"}},
    {"!=", relation<Op::not_equal>, 2, {"a", "b"}},
    {"none", is_kind<Kind::none>, 1, {"value"}},
    {"number", is_number, 1, {"value"}},
    {"odd", rest_of_two<1>, 1, {"value"}},
    {"sameas", is_same, 2, {"value", "other"}},
    {"sequence", is_sequence, 1, {"value"}},
    {"string", is_kind<Kind::text>, 1, {"value"}},
    {"test", is_test, 1, {"value"}},
    {"true", is_exactly<true>, 1, {"value"}},
    {"undefined", is_kind<Kind::undefined>, 1, {"value"}},
    {"upper", has_case<Property::upper>, 1, {"value"}},
};

}  // namespace

const Builtin* find_test(std::string_view name) noexcept { return find_builtin(kTests, name); }

}  // namespace ftlib::jinja
