// SPDX-License-Identifier: Apache-2.0
// One run of a program: names, statements, expressions and calls. Used by one thread, once.
#pragma once
#include <deque>
#include <functional>
#include <optional>

#include "data/jinja_ast.h"
#include "data/jinja_call.h"

namespace ftlib::inline FTLIB_ABI::jinja {

/// A block's names while it runs; reads fall through to the block around it.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<Symbol, Value>> values;
  Value* find(Symbol symbol) noexcept;
  void set(Symbol symbol, Value value);
};

/// The special variable of a running for loop. Items are drawn one at a time, as a Python generator would.
struct Loop {
  std::vector<Value> items;            ///< drawn so far, the current one among them
  std::int64_t index = -1;             ///< of the current item
  std::function<bool()> draw;  ///< appends the next item to `items`; false at the end; empty when the loop is over
  std::optional<Value> last_changed;
  bool reach(std::int64_t position) {  ///< whether there is an item at `position`
    while (static_cast<std::int64_t>(items.size()) <= position)
      if (!draw || !draw()) return false;
    return true;
  }
  std::int64_t length() {
    while (draw && draw()) {}
    return static_cast<std::int64_t>(items.size());
  }
};

struct Rendering {
  std::string text;
  std::vector<Piece> marks;        ///< bytes that came from the conversation
  std::vector<Piece> generations;  ///< what {% generation %} blocks printed, in order; not those within captured text
};

using Context = std::vector<std::pair<std::string, Value>>;

class Interpreter {
 public:
  /// `now`: what strftime_now formats, seconds since 1970 in the zone meant; absent: the function is undefined.
  /// `line` follows the statement or expression that runs, for errors; it outlives what raises.
  Interpreter(const Program& program, Heap& heap, Context context, std::optional<std::int64_t> now, int& line);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  Rendering run();

  // What the built-ins need.
  Heap& heap() noexcept { return heap_; }
  std::optional<std::int64_t> now() const noexcept { return now_; }
  Value get_attribute(const Value& object, std::string_view name);
  Value get_item(const Value& object, const Value& index);
  /// Follows a path such as "a.b.0", as attribute arguments of filters do.
  Value get_path(const Value& object, const Value& path, const Value* otherwise = nullptr);
  Value call(const Value& callable, const Arguments& arguments);
  Value call_filter(std::string_view name, const Arguments& arguments);
  bool call_test(std::string_view name, const Arguments& arguments);
  Space* new_space();

 private:
  enum class Flow { normal, breaks, continues };

  // Statements (jinja_interpreter.cpp).
  Flow execute(const Body& body, Scope& scope);
  Flow execute(const Statement& statement, Scope& scope);
  Flow run_node(const OutputNode& node, Scope& scope);
  Flow run_node(const SetNode& node, Scope& scope);
  Flow run_node(const SetBlockNode& node, Scope& scope);
  Flow run_node(const IfNode& node, Scope& scope);
  Flow run_node(const ForNode& node, Scope& scope);
  Flow run_node(const MacroStatement& node, Scope& scope);
  Flow run_node(const CallBlockNode& node, Scope& scope);
  Flow run_node(const FilterBlockNode& node, Scope& scope);
  Flow run_node(const WithNode& node, Scope& scope);
  Flow run_node(const GenerationNode& node, Scope& scope);
  Flow run_node(const LoopControlNode& node, Scope& scope);
  Flow run_iterations(const ForNode& node, Scope& scope, Loop& loop);
  bool draw_item(const ForNode& node, Scope& scope, const std::vector<Value>& source, std::size_t& next, Loop& loop);
  Value run_macro(const Callable& callable, const Arguments& arguments);
  void bind_macro(const MacroNode& macro, const Arguments& arguments, Scope& scope);
  void assign(const Expr& target, const Value& value, Scope& scope);
  void print(const Value& value);
  /// Runs `body` with its output collected; the flow by which it ended comes back in `flow`.
  Value capture(const Body& body, Scope& scope, Flow& flow);
  /// A new scope for a block: `local`, or one kept to the end of the run where a macro may refer to it.
  Scope& enter(const ScopeNode& node, Scope* parent, Scope& local);

  // Expressions (jinja_evaluate.cpp).
  Value evaluate(const Expr& expr, Scope& scope);
  Value evaluate_name(const Expr& expr, Scope& scope);
  Value evaluate_list(const Expr& expr, Scope& scope);
  Value evaluate_dict(const Expr& expr, Scope& scope);
  Value evaluate_compare(const Expr& expr, Scope& scope);
  Value evaluate_chain(const Expr& expr, Scope& scope);
  Value evaluate_concat(const Expr& expr, Scope& scope);
  Value evaluate_conditional(const Expr& expr, Scope& scope);
  Value evaluate_item(const Expr& expr, Scope& scope);
  Value evaluate_call(const Expr& expr, Scope& scope, const Value* caller = nullptr);
  Value evaluate_filter(const Expr& expr, Scope& scope, const Value* head);
  Value evaluate_test(const Expr& expr, Scope& scope);
  void evaluate_arguments(const CallNode& call, Scope& scope, Arguments& arguments);
  Value loop_attribute(Loop& loop, std::string_view name, const Value& object);
  Value bind(const Value& self, const Builtin& method);
  Value missing_attribute(const Value& object, std::string_view name);

  const Program& program_;
  Heap& heap_;
  Context context_;
  std::optional<std::int64_t> now_;
  int& line_;
  Scope root_;
  TextBuilder out_;              ///< of the block that runs; captured blocks swap it
  std::size_t outer_bytes_ = 0;  ///< collected by the blocks around it
  int captures_ = 0;
  std::vector<Piece> generations_;
  std::deque<Scope> scopes_;  ///< kept ones: macros point to them
  std::deque<Space> spaces_;
  std::deque<Loop> loops_;
  std::deque<Charge> charges_;  ///< of all that is kept to the end of the run
};

// Operators (jinja_operators.cpp); Python's semantics, raising where Python does.
Value apply_binary(Heap& heap, Op op, const Value& left, const Value& right);
Value apply_negate(const Value& value, bool negative);
bool compare(Heap& heap, Op op, const Value& left, const Value& right);
Value take_index(Heap& heap, const Value& object, const Value& index, bool& found);
Value take_slice(Heap& heap, const Value& object, const Value& start, const Value& stop, const Value& step);
std::string escape_html(std::string_view text);

// Formatting (jinja_format.cpp).
Value format_percent(Heap& heap, const Text& pattern, const Value& values);
Value format_braces(Interpreter& interpreter, const Text& pattern, const Arguments& arguments);
std::string format_time(std::int64_t seconds, std::string_view pattern);

// JSON (jinja_json.cpp).
struct JsonOptions {
  bool ascii = false, sort = false;
  std::optional<std::string> indent;
  std::string comma, colon;
};
void append_json(Heap& heap, const Value& value, const JsonOptions& options, int level, TextBuilder& out);

}  // namespace ftlib::jinja
