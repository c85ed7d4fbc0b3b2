// SPDX-License-Identifier: Apache-2.0
// A parsed template: immutable, shared by all threads that render it.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data/jinja_value.h"

namespace ftlib::inline FTLIB_ABI::jinja {

using Symbol = int;  ///< index of a name in Program::names

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class Op {
  add, subtract, multiply, divide, floor_divide, modulo, power,
  equal, not_equal, less, less_equal, greater, greater_equal, in, not_in,
};

struct CallNode {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, double_star;  ///< *args, **kwargs
};

/// One node of an expression; `items` are its operands in the order in which they are evaluated.
struct Expr {
  enum class Kind {
    constant,     // value
    name,         // symbol
    list, tuple,  // items
    dict,         // items: key, value, key, value ...
    negate, plus, logical_not,
    binary,       // items 0, 1; op
    compare,      // items n + 1, ops n
    logical_and, logical_or, concat,  // items
    conditional,  // items: test, then, otherwise (null: undefined)
    attribute,    // items 0; text
    item,         // items: object, index
    slice,        // items: start, stop, step, each may be null
    call,         // items 0 (the callee); call
    filter,       // items 0 (null at the head of a filter block); text; call
    test,         // items 0; text; call
  };
  Kind kind = Kind::constant;
  Op op = Op::add;
  int line = 0;
  int depth = 1;
  Symbol symbol = -1;
  Value value;
  std::string text;
  std::vector<ExprPtr> items;
  std::vector<Op> ops;
  std::unique_ptr<CallNode> call;
};

struct Statement;
using Body = std::vector<Statement>;

/// What a block with its own names needs to know of them before it runs; filled by resolve_names().
struct ScopeNode {
  std::vector<Symbol> undefined;  ///< set here and nowhere outside: undefined until set, whatever the context holds
  bool keeps_scope = false;       ///< a macro or call block below may outlive the block's C++ frame
};

struct OutputNode {
  std::vector<ExprPtr> parts;  ///< template data are constants of kind text
};
struct SetNode {
  ExprPtr target, value;
};
struct SetBlockNode {
  ExprPtr target, filter;  ///< filter: a chain whose head is null, or null
  Body body;
  ScopeNode scope;
};
struct IfNode {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct ForNode {
  ExprPtr target, iterable, test;
  Body body, otherwise;
  ScopeNode scope, else_scope;
  bool uses_loop = false;
};
/// A macro, or the body of a call block.
struct MacroNode {
  std::string name;
  Symbol symbol = -1;
  std::vector<std::pair<Symbol, std::string>> parameters;
  std::vector<ExprPtr> defaults;  ///< of the last parameters
  Body body;
  ScopeNode scope;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;
};
struct MacroStatement {
  std::unique_ptr<MacroNode> macro;
};
struct CallBlockNode {
  ExprPtr call;
  std::unique_ptr<MacroNode> caller;
};
struct FilterBlockNode {
  ExprPtr filter;
  Body body;
  ScopeNode scope;
};
struct WithNode {
  std::vector<ExprPtr> targets, values;
  Body body;
  ScopeNode scope;
};
struct GenerationNode {
  Body body;
  ScopeNode scope;
};
struct LoopControlNode {
  bool breaks = false;  ///< else continues
};

struct Statement {
  int line = 0;
  std::variant<OutputNode, SetNode, SetBlockNode, IfNode, ForNode, MacroStatement, CallBlockNode, FilterBlockNode,
               WithNode, GenerationNode, LoopControlNode>
      node;
};

struct Program {
  std::vector<std::string> names;
  Body body;
  ScopeNode scope;
  bool has_generation = false;
  Symbol loop = -1, caller = -1, varargs = -1, kwargs = -1;  ///< names with a meaning of their own
};

/// Lexes, parses and resolves. Throws SyntaxError. `source` is valid UTF-8 of at most kMaxTemplateBytes.
Program compile(std::string_view source);
inline constexpr std::size_t kMaxTemplateBytes = std::size_t{256} << 10;

/// Fills every ScopeNode and the macros' special names; refuses filters and tests that do not exist.
void resolve_names(Program& program);

}  // namespace ftlib::jinja
