// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_interpreter.h"

#include <algorithm>

namespace ftlib::inline FTLIB_ABI::jinja {

Value* Scope::find(Symbol symbol) noexcept {
  for (auto& [name, value] : values)
    if (name == symbol) return &value;
  return nullptr;
}

void Scope::set(Symbol symbol, Value value) {
  if (Value* found = find(symbol)) *found = std::move(value);
  else values.emplace_back(symbol, std::move(value));
}

Interpreter::Interpreter(const Program& program, Heap& heap, Context context, std::optional<std::int64_t> now,
                         int& line)
    : program_(program), heap_(heap), context_(std::move(context)), now_(now), line_(line) {}

Rendering Interpreter::run() {
  enter(program_.scope, nullptr, root_);
  execute(program_.body, root_);
  return {std::move(out_.bytes), std::move(out_.marks), std::move(generations_)};
}

Scope& Interpreter::enter(const ScopeNode& node, Scope* parent, Scope& local) {
  Scope* scope = &local;
  if (node.keeps_scope && scope != &root_) {
    charges_.emplace_back(heap_, sizeof(Scope) + 8 * sizeof(Value));
    scope = &scopes_.emplace_back();
  }
  scope->parent = parent;
  for (const Symbol symbol : node.undefined)
    scope->set(symbol,
               Value::undefined(concat("'", program_.names[static_cast<std::size_t>(symbol)], "' is undefined")));
  return *scope;
}

Space* Interpreter::new_space() {
  charges_.emplace_back(heap_, sizeof(Space) + 8 * sizeof(Value));
  return &spaces_.emplace_back();
}

Interpreter::Flow Interpreter::execute(const Body& body, Scope& scope) {
  for (const Statement& statement : body) {
    const Flow flow = execute(statement, scope);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute(const Statement& statement, Scope& scope) {
  const Heap::Level level(heap_);
  heap_.step();
  line_ = statement.line;
  return std::visit([&](const auto& node) { return run_node(node, scope); }, statement.node);
}

void Interpreter::print(const Value& value) {
  heap_.step(static_cast<std::size_t>(value.weight()));
  out_.append(value);
  if (out_.bytes.size() + outer_bytes_ > heap_.limits().output)
    raise_limit("more than ", heap_.limits().output, " bytes of output");
}

Value Interpreter::capture(const Body& body, Scope& scope, Flow& flow) {
  TextBuilder outer = std::exchange(out_, {});
  const std::size_t outer_bytes = std::exchange(outer_bytes_, outer_bytes_ + outer.bytes.size());
  ++captures_;
  flow = execute(body, scope);
  --captures_;
  outer_bytes_ = outer_bytes;
  return make_text(heap_, std::exchange(out_, std::move(outer)));
}

Interpreter::Flow Interpreter::run_node(const OutputNode& node, Scope& scope) {
  for (const ExprPtr& part : node.parts) {
    heap_.step();
    print(evaluate(*part, scope));
  }
  return Flow::normal;
}

void Interpreter::assign(const Expr& target, const Value& value, Scope& scope) {
  if (target.kind == Expr::Kind::name) return scope.set(target.symbol, value);
  if (target.kind == Expr::Kind::attribute) {
    const Value object = evaluate(*target.items[0], scope);
    if (!object.is(Kind::space)) raise("cannot assign attribute on non-namespace object");
    if (target.text.starts_with('_'))
      raise("a namespace cannot hold names that begin with an underscore: ", target.text);
    Space& space = *object.space();
    const auto found = std::ranges::find(space.attributes, target.text, &std::pair<std::string, Value>::first);
    if (found != space.attributes.end()) {
      found->second = value;
      return;
    }
    charges_.emplace_back(heap_, sizeof(std::pair<std::string, Value>));
    space.attributes.emplace_back(target.text, value);
    return;
  }
  if (!is_iterable(value)) raise("cannot unpack non-iterable ", value.type_name(), " object");
  const std::vector<Value> parts = iterate(heap_, value);
  if (parts.size() != target.items.size())
    raise(parts.size() > target.items.size() ? "too many" : "not enough", " values to unpack (expected ",
          target.items.size(), ", got ", parts.size(), ")");
  for (std::size_t i = 0; i < parts.size(); ++i) assign(*target.items[i], parts[i], scope);
}

Interpreter::Flow Interpreter::run_node(const SetNode& node, Scope& scope) {
  assign(*node.target, evaluate(*node.value, scope), scope);
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_node(const SetBlockNode& node, Scope& scope) {
  Scope local;
  Scope& own = enter(node.scope, &scope, local);
  Flow flow{};
  Value value = capture(node.body, own, flow);
  if (flow != Flow::normal) return flow;
  if (node.filter != nullptr) value = evaluate_filter(*node.filter, own, &value);
  assign(*node.target, value, scope);
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_node(const IfNode& node, Scope& scope) {
  for (const auto& [test, body] : node.branches)
    if (truth(evaluate(*test, scope))) return execute(body, scope);
  return execute(node.otherwise, scope);
}

bool Interpreter::draw_item(const ForNode& node, Scope& scope, const std::vector<Value>& source, std::size_t& next,
                            Loop& loop) {
  while (next < source.size()) {
    const Value& item = source[next++];
    heap_.step();
    if (node.test != nullptr) {
      Scope local{&scope, {}};
      assign(*node.target, item, local);
      if (!truth(evaluate(*node.test, local))) continue;
    }
    loop.items.push_back(item);
    return true;
  }
  return false;
}

Interpreter::Flow Interpreter::run_node(const ForNode& node, Scope& scope) {
  const Value iterable = evaluate(*node.iterable, scope);
  const std::vector<Value> source = iterate(heap_, iterable);
  const Charge charge(heap_, 2 * source.size() * sizeof(Value));
  std::size_t next = 0;
  Loop local;
  if (node.uses_loop) charges_.emplace_back(heap_, sizeof(Loop) + 2 * sizeof(Value));
  Loop& loop = node.uses_loop ? loops_.emplace_back() : local;
  struct Over {
    Loop& loop;
    ~Over() { loop.draw = nullptr, loop.items.clear(), loop.last_changed.reset(); }
  } const over{loop};
  loop.draw = [&] { return draw_item(node, scope, source, next, loop); };
  return run_iterations(node, scope, loop);
}

Interpreter::Flow Interpreter::run_iterations(const ForNode& node, Scope& scope, Loop& loop) {
  bool finished_one = false;  // jinja2 runs the else branch too when every iteration was cut short
  while (loop.reach(loop.index + 1)) {
    ++loop.index;
    heap_.step();
    Scope local;
    Scope& own = enter(node.scope, &scope, local);
    const Value item = loop.items[static_cast<std::size_t>(loop.index)];
    if (node.uses_loop) own.set(program_.loop, Value(&loop));
    assign(*node.target, item, own);
    const Flow flow = execute(node.body, own);
    if (flow == Flow::breaks) break;
    finished_one = finished_one || flow == Flow::normal;
  }
  if (finished_one || node.otherwise.empty()) return Flow::normal;
  Scope local;
  return execute(node.otherwise, enter(node.else_scope, &scope, local));
}

Interpreter::Flow Interpreter::run_node(const MacroStatement& node, Scope& scope) {
  auto callable = std::make_shared<Callable>();
  callable->macro = node.macro.get();
  callable->scope = &scope;
  callable->charge = Charge(heap_, sizeof(Callable));
  scope.set(node.macro->symbol, Value(std::shared_ptr<const Callable>(std::move(callable))));
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_node(const CallBlockNode& node, Scope& scope) {
  auto caller = std::make_shared<Callable>();
  caller->macro = node.caller.get();
  caller->scope = &scope;
  caller->charge = Charge(heap_, sizeof(Callable));
  const Value value(std::shared_ptr<const Callable>(std::move(caller)));
  print(evaluate_call(*node.call, scope, &value));
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_node(const FilterBlockNode& node, Scope& scope) {
  Scope local;
  Scope& own = enter(node.scope, &scope, local);
  Flow flow{};
  const Value value = capture(node.body, own, flow);
  if (flow == Flow::normal) print(evaluate_filter(*node.filter, own, &value));
  return flow;
}

Interpreter::Flow Interpreter::run_node(const WithNode& node, Scope& scope) {
  Scope local;
  Scope& own = enter(node.scope, &scope, local);
  for (std::size_t i = 0; i < node.targets.size(); ++i) assign(*node.targets[i], evaluate(*node.values[i], scope), own);
  return execute(node.body, own);
}

Interpreter::Flow Interpreter::run_node(const GenerationNode& node, Scope& scope) {
  Scope local;
  Scope& own = enter(node.scope, &scope, local);
  const std::size_t begin = out_.bytes.size();
  execute(node.body, own);
  if (captures_ == 0) generations_.push_back({begin, out_.bytes.size()});
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_node(const LoopControlNode& node, Scope&) {
  return node.breaks ? Flow::breaks : Flow::continues;
}

Value Interpreter::run_macro(const Callable& callable, const Arguments& arguments) {
  const MacroNode& macro = *callable.macro;
  Scope local;
  Scope& own = enter(macro.scope, callable.scope, local);
  bind_macro(macro, arguments, own);
  Flow flow{};
  return capture(macro.body, own, flow);
}

void Interpreter::bind_macro(const MacroNode& macro, const Arguments& arguments, Scope& scope) {
  const std::size_t count = macro.parameters.size(), given = arguments.positional.size();
  std::vector<std::pair<Value, Value>> rest;
  std::optional<Value> caller;
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::ranges::find(macro.parameters, name, &std::pair<Symbol, std::string>::second);
    if (found != macro.parameters.end() && found - macro.parameters.begin() >= static_cast<std::ptrdiff_t>(given))
      scope.set(found->first, value);
    else if (name == "caller" && macro.uses_caller) caller = value;
    else if (macro.uses_kwargs) rest.emplace_back(make_text(heap_, name), value);
    else raise("macro '", macro.name, "' takes no keyword argument '", name, "'");
  }
  if (given > count && !macro.uses_varargs)
    raise("macro '", macro.name, "' takes not more than ", count, " argument(s)");
  for (std::size_t i = 0; i < std::min(given, count); ++i)
    scope.set(macro.parameters[i].first, arguments.positional[i]);
  const bool own_caller =
      std::ranges::count(macro.parameters, program_.caller, &std::pair<Symbol, std::string>::first) > 0;
  if (macro.uses_caller && !own_caller)
    scope.set(program_.caller, caller ? *caller : Value::undefined("No caller defined"));
  if (macro.uses_kwargs) scope.set(program_.kwargs, make_dict(heap_, std::move(rest)));
  if (macro.uses_varargs)
    scope.set(program_.varargs,
              make_list(heap_,
                        {arguments.positional.begin() + static_cast<std::ptrdiff_t>(std::min(given, count)),
                         arguments.positional.end()},
                        Sequence::tuple));
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [symbol, name] = macro.parameters[i];
    if (scope.find(symbol) != nullptr) continue;
    const std::size_t first_default = count - macro.defaults.size();
    scope.set(symbol, i < first_default ? Value::undefined(concat("parameter '", name, "' was not provided"))
                                        : evaluate(*macro.defaults[i - first_default], scope));
  }
}

}  // namespace ftlib::jinja
