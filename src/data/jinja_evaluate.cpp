// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "data/jinja_interpreter.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  const std::string_view dot = ".";
  for (const Piece& piece : split(path, &dot, -1)) parts.push_back(path.substr(piece.begin, piece.end - piece.begin));
  return parts;
}

}  // namespace

Value Interpreter::evaluate(const Expr& expr, Scope& scope) {
  const Heap::Level level(heap_);
  heap_.step();
  using K = Expr::Kind;
  switch (expr.kind) {
    case K::constant: return expr.value;
    case K::name: return evaluate_name(expr, scope);
    case K::list:
    case K::tuple: return evaluate_list(expr, scope);
    case K::dict: return evaluate_dict(expr, scope);
    case K::negate: return apply_negate(evaluate(*expr.items[0], scope), true);
    case K::plus: return apply_negate(evaluate(*expr.items[0], scope), false);
    case K::logical_not: return Value(!truth(evaluate(*expr.items[0], scope)));
    case K::compare: return evaluate_compare(expr, scope);
    case K::logical_and:
    case K::logical_or: return evaluate_chain(expr, scope);
    case K::concat: return evaluate_concat(expr, scope);
    case K::conditional: return evaluate_conditional(expr, scope);
    case K::item: return evaluate_item(expr, scope);
    case K::slice: raise("a slice outside of [...]");
    case K::call: return evaluate_call(expr, scope);
    case K::filter: return evaluate_filter(expr, scope, nullptr);
    case K::test: return evaluate_test(expr, scope);
    case K::attribute: {
      const Value object = evaluate(*expr.items[0], scope);
      line_ = expr.line;
      return get_attribute(object, expr.text);
    }
    case K::binary: break;
  }
  const Value left = evaluate(*expr.items[0], scope);
  const Value right = evaluate(*expr.items[1], scope);
  line_ = expr.line;
  return apply_binary(heap_, expr.op, left, right);
}

Value Interpreter::evaluate_name(const Expr& expr, Scope& scope) {
  for (Scope* at = &scope; at != nullptr; at = at->parent)
    if (const Value* value = at->find(expr.symbol)) return *value;
  for (const auto& [name, value] : context_)
    if (name == expr.text) return value;
  if (const Builtin* global = find_global(expr.text); global != nullptr && (now_ || expr.text != "strftime_now"))
    return bind(Value(), *global);
  return Value::undefined(concat("'", expr.text, "' is undefined"));
}

Value Interpreter::bind(const Value& self, const Builtin& method) {
  auto callable = std::make_shared<Callable>();
  callable->builtin = &method;
  callable->self = self;
  callable->charge = Charge(heap_, sizeof(Callable));
  return Value(std::shared_ptr<const Callable>(std::move(callable)));
}

Value Interpreter::evaluate_list(const Expr& expr, Scope& scope) {
  std::vector<Value> elements;
  elements.reserve(expr.items.size());
  for (const ExprPtr& item : expr.items) elements.push_back(evaluate(*item, scope));
  return make_list(heap_, std::move(elements), expr.kind == Expr::Kind::tuple ? Sequence::tuple : Sequence::list);
}

Value Interpreter::evaluate_dict(const Expr& expr, Scope& scope) {
  std::vector<std::pair<Value, Value>> items;
  for (std::size_t i = 0; i < expr.items.size(); i += 2) {
    const Value key = evaluate(*expr.items[i], scope);
    Value value = evaluate(*expr.items[i + 1], scope);
    check_hashable(key);
    heap_.step(items.size() * static_cast<std::size_t>(key.weight()));
    const auto found = std::ranges::find_if(items, [&](const auto& item) { return equal(item.first, key); });
    if (found == items.end()) items.emplace_back(key, std::move(value));
    else found->second = std::move(value);
  }
  return make_dict(heap_, std::move(items));
}

Value Interpreter::evaluate_compare(const Expr& expr, Scope& scope) {
  Value left = evaluate(*expr.items[0], scope);
  for (std::size_t i = 0; i < expr.ops.size(); ++i) {
    Value right = evaluate(*expr.items[i + 1], scope);
    line_ = expr.line;
    if (!compare(heap_, expr.ops[i], left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::evaluate_chain(const Expr& expr, Scope& scope) {
  const bool stop_at = expr.kind == Expr::Kind::logical_or;
  for (std::size_t i = 0; i + 1 < expr.items.size(); ++i) {
    Value value = evaluate(*expr.items[i], scope);
    if (truth(value) == stop_at) return value;
  }
  return evaluate(*expr.items.back(), scope);
}

Value Interpreter::evaluate_concat(const Expr& expr, Scope& scope) {
  TextBuilder built(heap_);
  for (const ExprPtr& item : expr.items) {
    const Value value = evaluate(*item, scope);
    heap_.step(static_cast<std::size_t>(value.weight()));
    built.append(value);
  }
  return make_text(heap_, std::move(built));
}

Value Interpreter::evaluate_conditional(const Expr& expr, Scope& scope) {
  if (truth(evaluate(*expr.items[0], scope))) return evaluate(*expr.items[1], scope);
  if (expr.items[2] != nullptr) return evaluate(*expr.items[2], scope);
  return Value::undefined(concat("the inline if-expression on line ", expr.line,
                                 " evaluated to false and no else section was defined"));
}

Value Interpreter::evaluate_item(const Expr& expr, Scope& scope) {
  const Value object = evaluate(*expr.items[0], scope);
  const Expr& index = *expr.items[1];
  if (index.kind != Expr::Kind::slice) {
    const Value key = evaluate(index, scope);
    line_ = expr.line;
    return get_item(object, key);
  }
  Value parts[3];
  for (std::size_t i = 0; i < 3; ++i)
    if (index.items[i] != nullptr) parts[i] = evaluate(*index.items[i], scope);
  line_ = expr.line;
  return take_slice(heap_, object, parts[0], parts[1], parts[2]);
}

void Interpreter::evaluate_arguments(const CallNode& call, Scope& scope, Arguments& arguments) {
  for (const ExprPtr& argument : call.positional) arguments.positional.push_back(evaluate(*argument, scope));
  for (const auto& [name, argument] : call.named) arguments.named.emplace_back(name, evaluate(*argument, scope));
  if (call.star != nullptr)
    for (Value& value : iterate(heap_, evaluate(*call.star, scope))) arguments.positional.push_back(std::move(value));
  if (call.double_star == nullptr) return;
  const Value extra = evaluate(*call.double_star, scope);
  if (!extra.is(Kind::dict)) raise("the argument after ** must be a mapping, not ", extra.type_name());
  for (const auto& [key, value] : extra.dict().items) {
    if (!key.is(Kind::text)) raise("keywords must be strings");
    if (arguments.find(key.text().bytes) != nullptr)
      raise("got multiple values for keyword argument '", key.text().bytes, "'");
    heap_.step(arguments.named.size());
    arguments.named.emplace_back(key.text().bytes, value);
  }
}

Value Interpreter::evaluate_call(const Expr& expr, Scope& scope, const Value* caller) {
  const Value callable = evaluate(*expr.items[0], scope);
  Arguments arguments;
  evaluate_arguments(*expr.call, scope, arguments);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  line_ = expr.line;
  return call(callable, arguments);
}

Value Interpreter::evaluate_filter(const Expr& expr, Scope& scope, const Value* head) {
  Arguments arguments;
  const Expr* input = expr.items[0].get();
  if (input == nullptr) arguments.positional.push_back(*head);
  else if (head != nullptr && input->kind == Expr::Kind::filter)
    arguments.positional.push_back(evaluate_filter(*input, scope, head));
  else arguments.positional.push_back(evaluate(*input, scope));
  evaluate_arguments(*expr.call, scope, arguments);
  line_ = expr.line;
  return call_filter(expr.text, arguments);
}

Value Interpreter::evaluate_test(const Expr& expr, Scope& scope) {
  Arguments arguments;
  arguments.positional.push_back(evaluate(*expr.items[0], scope));
  evaluate_arguments(*expr.call, scope, arguments);
  line_ = expr.line;
  return Value(call_test(expr.text, arguments));
}

Value Interpreter::call(const Value& callable, const Arguments& arguments) {
  if (callable.is(Kind::undefined)) raise_undefined(callable);
  if (callable.is(Kind::loop)) raise("loop() needs a recursive loop, which is not supported");
  if (!callable.is(Kind::callable)) raise("'", callable.type_name(), "' object is not callable");
  const Callable& target = callable.callable();
  if (target.macro != nullptr) return run_macro(target, arguments);
  return target.builtin->body(*this, Call(*target.builtin, target.self, arguments));
}

Value Interpreter::call_filter(std::string_view name, const Arguments& arguments) {
  const Builtin* filter = find_filter(name);
  if (filter == nullptr && is_foreign_filter(name)) raise_unsupported("the filter '", name, "' is not supported");
  if (filter == nullptr) raise("no filter named '", name, "'");
  return filter->body(*this, Call(*filter, Value(), arguments));
}

bool Interpreter::call_test(std::string_view name, const Arguments& arguments) {
  const Builtin* test = find_test(name);
  if (test == nullptr) raise("no test named '", name, "'");
  return truth(test->body(*this, Call(*test, Value(), arguments)));
}

Value Interpreter::missing_attribute(const Value& object, std::string_view name) {
  return Value::undefined(concat("'", object.type_name(), " object' has no attribute '", excerpt(name), "'"));
}

Value Interpreter::loop_attribute(Loop& loop, std::string_view name, const Value& object) {
  const std::int64_t index = loop.index;
  const auto item = [&](std::int64_t at, std::string_view which) {
    const bool there = at >= 0 && at < static_cast<std::int64_t>(loop.items.size());
    return there ? loop.items[static_cast<std::size_t>(at)] : Value::undefined(concat("there is no ", which, " item"));
  };
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(!loop.reach(index + 1));
  if (name == "length") return Value(loop.length());
  if (name == "revindex") return Value(loop.length() - index);
  if (name == "revindex0") return Value(loop.length() - index - 1);
  if (name == "depth") return Value(std::int64_t{1});
  if (name == "depth0") return Value(std::int64_t{0});
  if (name == "previtem") return item(index - 1, "previous");
  if (name == "nextitem") return loop.reach(index + 1), item(index + 1, "next");
  if (const Builtin* method = find_method(object, name)) return bind(object, *method);
  return missing_attribute(object, name);
}

Value Interpreter::get_attribute(const Value& object, std::string_view name) {
  if (object.is(Kind::undefined)) raise_undefined(object);
  if (object.is(Kind::loop)) return loop_attribute(*object.loop(), name, object);
  if (object.is(Kind::space)) {
    const Value* found = object.space()->find(name);
    return found != nullptr ? *found : missing_attribute(object, name);
  }
  const bool hidden = name.starts_with("__") && name.ends_with("__");
  if (hidden || is_mutating_method(object, name))
    return Value::undefined(
        concat("access to attribute '", excerpt(name), "' of '", object.type_name(), "' object is unsafe"));
  if (const Builtin* method = find_method(object, name)) return bind(object, *method);
  if (object.is(Kind::dict)) {
    heap_.step(object.dict().items.size() / 8);
    if (const Value* found = object.dict().find(name)) return *found;
  }
  return missing_attribute(object, name);
}

Value Interpreter::get_item(const Value& object, const Value& index) {
  if (object.is(Kind::undefined)) raise_undefined(object);
  bool found = false;
  Value value = take_index(heap_, object, index, found);
  if (found) return value;
  // A dict's own keys came first already; what is left are methods.
  if (index.is(Kind::text) && !object.is(Kind::dict)) return get_attribute(object, index.text().bytes);
  if (index.is(Kind::text)) {
    if (const Builtin* method = find_method(object, index.text().bytes)) return bind(object, *method);
    return missing_attribute(object, index.text().bytes);
  }
  return Value::undefined(concat(object.type_name(), " object has no element ", excerpt(repr(index))));
}

Value Interpreter::get_path(const Value& object, const Value& path, const Value* otherwise) {
  const auto fall_back = [&](Value value) {
    return otherwise != nullptr && value.is(Kind::undefined) ? *otherwise : value;
  };
  if (path.is(Kind::none)) return object;
  if (!path.is(Kind::text)) return fall_back(get_item(object, path));
  Value value = object;
  for (const std::string_view part : split_path(path.text().bytes)) {
    const bool number = has_property(part, Property::digit) && part.size() < 19;
    std::int64_t index = 0;
    if (number) std::from_chars(part.data(), part.data() + part.size(), index);
    value = fall_back(get_item(value, number ? Value(index) : make_text(heap_, std::string(part))));
  }
  return value;
}

}  // namespace ftlib::jinja
