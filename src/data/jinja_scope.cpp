// SPDX-License-Identifier: Apache-2.0
// Which names each block owns, decided before the template runs as jinja2's compiler decides it: a name first set in a
// block is undefined there until then, unless an outer block mentions it or only some branches set it.
#include <algorithm>
#include <map>
#include <set>

#include "data/jinja_ast.h"
#include "data/jinja_call.h"
#include "data/jinja_lexer.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

enum class Origin { undefined, outer, context, parameter };

/// One block's names while its statements are read in order. A branch of an if is a frame over its block's.
struct Frame {
  const Frame* parent = nullptr;  // the block around this one
  const Frame* base = nullptr;    // of a branch: the same block before the if
  std::map<Symbol, Origin> origins;
  std::set<Symbol> stores;

  bool owns(Symbol symbol) const { return origins.count(symbol) != 0 || (base != nullptr && base->owns(symbol)); }
  bool stored(Symbol symbol) const { return stores.count(symbol) != 0 || (base != nullptr && base->stored(symbol)); }
  bool outer_knows(Symbol symbol) const {
    return parent != nullptr && (parent->owns(symbol) || parent->outer_knows(symbol));
  }
  void load(Symbol symbol) {
    if (!owns(symbol) && !outer_knows(symbol)) origins[symbol] = Origin::context;
  }
  void store(Symbol symbol) {
    if (!owns(symbol)) origins[symbol] = outer_knows(symbol) ? Origin::outer : Origin::undefined;
    stores.insert(symbol);
  }
  void parameter(Symbol symbol) {
    stores.insert(symbol);
    origins[symbol] = Origin::parameter;
  }
  Frame branch() const { return {parent, this, {}, {}}; }
  /// Names that a branch sets keep their outer value when the branch is not taken.
  void join(const std::vector<Frame>& branches) {
    std::set<Symbol> branched;
    for (const Frame& branch : branches)
      for (const Symbol symbol : branch.stores)
        if (!stored(symbol)) branched.insert(symbol);
    for (const Frame& branch : branches) {
      for (const auto& [symbol, origin] : branch.origins) origins[symbol] = origin;
      stores.insert(branch.stores.begin(), branch.stores.end());
    }
    for (const Symbol symbol : branched) origins[symbol] = outer_knows(symbol) ? Origin::outer : Origin::context;
  }
};

template <class Visit>
void each_operand(const Expr& expr, Visit&& visit) {
  for (const ExprPtr& item : expr.items)
    if (item != nullptr) visit(*item);
  if (expr.call == nullptr) return;
  for (const ExprPtr& argument : expr.call->positional) visit(*argument);
  for (const auto& [name, argument] : expr.call->named) visit(*argument);
  if (expr.call->star != nullptr) visit(*expr.call->star);
  if (expr.call->double_star != nullptr) visit(*expr.call->double_star);
}

/// Finds which of some names are read before they are set, anywhere below: jinja2's find_undeclared.
class Mentions {
 public:
  explicit Mentions(std::set<Symbol> names) : open_(std::move(names)) {}
  bool found(Symbol symbol) const { return found_.count(symbol) != 0; }
  void walk(const Body& body) {
    for (const Statement& statement : body) std::visit([&](const auto& node) { visit(node); }, statement.node);
  }

 private:
  void read(const ExprPtr& expr) {
    if (expr == nullptr) return;
    if (expr->kind == Expr::Kind::name && open_.count(expr->symbol) != 0) found_.insert(expr->symbol);
    each_operand(*expr, [&](const Expr& operand) { read_one(operand); });
  }
  void read_one(const Expr& expr) {
    if (expr.kind == Expr::Kind::name && open_.count(expr.symbol) != 0) found_.insert(expr.symbol);
    each_operand(expr, [&](const Expr& operand) { read_one(operand); });
  }
  void close(const Expr& target) {
    if (target.kind == Expr::Kind::name) open_.erase(target.symbol);
    for (const ExprPtr& item : target.items)
      if (item != nullptr) close(*item);
  }
  void visit(const OutputNode& node) { for (const ExprPtr& part : node.parts) read(part); }
  void visit(const SetNode& node) {
    close(*node.target);
    read(node.value);
  }
  void visit(const SetBlockNode& node) {
    close(*node.target);
    read(node.filter);
    walk(node.body);
  }
  void visit(const IfNode& node) {
    for (const auto& [test, body] : node.branches) {
      read(test);
      walk(body);
    }
    walk(node.otherwise);
  }
  void visit(const ForNode& node) {
    close(*node.target);
    read(node.iterable);
    walk(node.body);
    walk(node.otherwise);
    read(node.test);
  }
  void visit(const MacroNode& node) {
    for (const auto& [symbol, name] : node.parameters) open_.erase(symbol);
    for (const ExprPtr& value : node.defaults) read(value);
    walk(node.body);
  }
  void visit(const MacroStatement& node) { visit(*node.macro); }
  void visit(const CallBlockNode& node) {
    read(node.call);
    visit(*node.caller);
  }
  void visit(const FilterBlockNode& node) {
    walk(node.body);
    read(node.filter);
  }
  void visit(const WithNode& node) {
    for (const ExprPtr& target : node.targets) close(*target);
    for (const ExprPtr& value : node.values) read(value);
    walk(node.body);
  }
  void visit(const GenerationNode& node) { walk(node.body); }
  void visit(const LoopControlNode&) {}

  std::set<Symbol> open_, found_;
};

class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  void run() {
    Frame root;
    names(root, program_.body);
    finish(program_.scope, root);
    inner(root, program_.body, false);
    program_.scope.keeps_scope = true;
  }

 private:
  // First pass over a block: its own names, in order, nested blocks left out.
  void names(Frame& frame, const Body& body) {
    for (const Statement& statement : body) std::visit([&](const auto& node) { name(frame, node); }, statement.node);
  }
  void load(Frame& frame, const Expr& expr) {
    if (expr.kind == Expr::Kind::name) frame.load(expr.symbol);
    each_operand(expr, [&](const Expr& operand) { load(frame, operand); });
  }
  void load(Frame& frame, const ExprPtr& expr) {
    if (expr != nullptr) load(frame, *expr);
  }
  void store(Frame& frame, const Expr& target) {
    if (target.kind == Expr::Kind::name) store(frame, target.symbol, target.line);
    else if (target.kind == Expr::Kind::attribute) load(frame, target);
    else for (const ExprPtr& item : target.items) store(frame, *item);
  }
  void store(Frame& frame, Symbol symbol, int line) {
    if (symbol == program_.loop && loops_ > 0) refuse_loop(line);
    frame.store(symbol);
  }
  void parameter(Frame& frame, const Expr& target) {
    if (target.kind == Expr::Kind::name) frame.parameter(target.symbol);
    for (const ExprPtr& item : target.items) parameter(frame, *item);
  }
  void name(Frame& frame, const OutputNode& node) { for (const ExprPtr& part : node.parts) load(frame, part); }
  void name(Frame& frame, const SetNode& node) {
    load(frame, node.value);
    store(frame, *node.target);
  }
  void name(Frame& frame, const SetBlockNode& node) { store(frame, *node.target); }
  void name(Frame& frame, const IfNode& node) {
    load(frame, node.branches[0].first);
    std::vector<Frame> branches(3, frame.branch());
    names(branches[0], node.branches[0].second);
    for (std::size_t i = 1; i < node.branches.size(); ++i) {  // each elif is an if of its own
      load(branches[1], node.branches[i].first);
      std::vector<Frame> own(1, branches[1].branch());
      names(own[0], node.branches[i].second);
      branches[1].join(own);
    }
    names(branches[2], node.otherwise);
    frame.join(branches);
  }
  void name(Frame& frame, const ForNode& node) { load(frame, node.iterable); }
  void name(Frame& frame, const MacroStatement& node) { store(frame, node.macro->symbol, line_); }
  void name(Frame& frame, const CallBlockNode& node) { load(frame, node.call); }
  void name(Frame& frame, const FilterBlockNode& node) { load(frame, node.filter); }
  void name(Frame& frame, const WithNode& node) { for (const ExprPtr& value : node.values) load(frame, value); }
  void name(Frame&, const GenerationNode&) {}
  void name(Frame&, const LoopControlNode&) {}

  void finish(ScopeNode& scope, const Frame& frame) {
    for (const auto& [symbol, origin] : frame.origins)
      if (origin == Origin::undefined) scope.undefined.push_back(symbol);
  }

  // Second pass: the blocks within, and the existence of filters and tests. True when a macro is defined below.
  bool inner(const Frame& frame, Body& body, bool soft) {
    bool macros = false;
    for (Statement& statement : body) {
      line_ = statement.line;
      macros |= std::visit([&](auto& node) { return enter(frame, node, soft); }, statement.node);
    }
    return macros;
  }
  bool block(const Frame& parent, ScopeNode& scope, Body& body, const Expr* filter = nullptr) {
    Frame frame{&parent, nullptr, {}, {}};
    names(frame, body);
    if (filter != nullptr) load(frame, *filter);
    finish(scope, frame);
    return scope.keeps_scope = inner(frame, body, false);
  }

  bool enter(const Frame&, OutputNode& node, bool soft) {
    for (const ExprPtr& part : node.parts) check(part, soft);
    return false;
  }
  bool enter(const Frame&, SetNode& node, bool soft) {
    check(node.value, soft);
    return false;
  }
  bool enter(const Frame& frame, SetBlockNode& node, bool) {
    check(node.filter, false);
    return block(frame, node.scope, node.body);
  }
  bool enter(const Frame& frame, IfNode& node, bool) {
    bool macros = false;
    for (auto& [test, body] : node.branches) {
      check(test, true);
      macros |= inner(frame, body, true);
    }
    return inner(frame, node.otherwise, true) || macros;
  }
  bool enter(const Frame& parent, ForNode& node, bool soft) {
    refuse_loop_target(*node.target);
    check(node.iterable, soft);
    check(node.test, false);
    Mentions mentions({program_.loop});
    mentions.walk(node.body);
    node.uses_loop = mentions.found(program_.loop);
    Frame frame{&parent, nullptr, {}, {}};
    if (node.uses_loop) frame.parameter(program_.loop);
    parameter(frame, *node.target);
    ++loops_;
    names(frame, node.body);
    finish(node.scope, frame);
    node.scope.keeps_scope = inner(frame, node.body, false);
    const bool otherwise = block(parent, node.else_scope, node.otherwise);
    --loops_;
    return node.scope.keeps_scope || otherwise;
  }
  bool enter(const Frame& frame, MacroStatement& node, bool) { return macro(frame, *node.macro); }
  bool enter(const Frame& frame, CallBlockNode& node, bool soft) {
    check(node.call, soft);
    return macro(frame, *node.caller);
  }
  bool enter(const Frame& frame, FilterBlockNode& node, bool) {
    check(node.filter, false);
    return block(frame, node.scope, node.body, node.filter.get());
  }
  bool enter(const Frame& parent, WithNode& node, bool soft) {
    for (const ExprPtr& value : node.values) check(value, soft);
    Frame frame{&parent, nullptr, {}, {}};
    for (const ExprPtr& target : node.targets) parameter(frame, *target);
    names(frame, node.body);
    finish(node.scope, frame);
    return node.scope.keeps_scope = inner(frame, node.body, false);
  }
  bool enter(const Frame& frame, GenerationNode& node, bool) { return block(frame, node.scope, node.body); }
  bool enter(const Frame&, LoopControlNode&, bool) { return false; }

  bool macro(const Frame& parent, MacroNode& node) {
    for (const ExprPtr& value : node.defaults) check(value, false);
    Mentions mentions({program_.caller, program_.kwargs, program_.varargs});
    mentions.walk(node.body);
    const auto is_parameter = [&](Symbol symbol) {
      return std::ranges::any_of(node.parameters, [&](const auto& p) { return p.first == symbol; });
    };
    node.uses_caller = mentions.found(program_.caller);
    node.uses_kwargs = mentions.found(program_.kwargs) && !is_parameter(program_.kwargs);
    node.uses_varargs = mentions.found(program_.varargs) && !is_parameter(program_.varargs);
    Frame frame{&parent, nullptr, {}, {}};
    for (const auto& [symbol, name] : node.parameters) frame.parameter(symbol);
    if (node.uses_caller) frame.parameter(program_.caller);
    if (node.uses_kwargs) frame.parameter(program_.kwargs);
    if (node.uses_varargs) frame.parameter(program_.varargs);
    for (const ExprPtr& value : node.defaults) load(frame, value);
    names(frame, node.body);
    finish(node.scope, frame);
    node.scope.keeps_scope = inner(frame, node.body, false);
    return true;
  }

  void refuse_loop_target(const Expr& target) const {
    if (target.kind == Expr::Kind::name && target.symbol == program_.loop) refuse_loop(target.line);
    for (const ExprPtr& item : target.items) refuse_loop_target(*item);
  }
  [[noreturn]] static void refuse_loop(int line) {
    throw SyntaxError{line, "the name 'loop' cannot be assigned in a loop"};
  }

  // A missing filter is an error at once, but in a branch only when it runs.
  void check(const ExprPtr& expr, bool soft) const {
    if (expr != nullptr) check(*expr, soft);
  }
  void check(const Expr& expr, bool soft) const {
    soft = soft || expr.kind == Expr::Kind::conditional;
    if (!soft && expr.kind == Expr::Kind::filter && find_filter(expr.text) == nullptr) refuse(expr, "filter");
    if (!soft && expr.kind == Expr::Kind::test && find_test(expr.text) == nullptr) refuse(expr, "test");
    each_operand(expr, [&](const Expr& operand) { check(operand, soft); });
  }
  [[noreturn]] static void refuse(const Expr& expr, std::string_view what) {
    if (is_foreign_filter(expr.text))
      throw SyntaxError{expr.line, concat("the filter '", expr.text, "' is not supported"), Status::unsupported,
                        Reason::unsupported};
    throw SyntaxError{expr.line, concat("no ", what, " named '", expr.text.substr(0, 40), "'")};
  }

  Program& program_;
  int line_ = 1;
  int loops_ = 0;
};

}  // namespace

void resolve_names(Program& program) { Resolver(program).run(); }

}  // namespace ftlib::jinja
