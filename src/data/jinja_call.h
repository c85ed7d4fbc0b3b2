// SPDX-License-Identifier: Apache-2.0
// How templates call: arguments, built-in functions with a declared signature, and what a value can be called with.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/jinja_value.h"

namespace ftlib::inline FTLIB_ABI::jinja {

class Interpreter;
class Call;
struct MacroNode;
struct Scope;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  const Value* find(std::string_view name) const noexcept;
};

inline constexpr std::size_t kMaxParameters = 6;

/// A function of this file's world. Filters and tests take the value they apply to as their first argument,
/// methods have it in Call::self().
struct Builtin {
  std::string_view name;
  Value (*body)(Interpreter&, const Call&);
  int required = 0;                                          ///< the first so many parameters must be given
  std::array<std::string_view, kMaxParameters> parameters{};  ///< in order; unused ones are empty
  bool free = false;                                         ///< takes any further arguments: see Call::arguments()
  bool positional_only = false;
};

/// What `x(...)` can call: a built-in, perhaps bound to a value, or a macro with the scope it was defined in.
struct Callable {
  const Builtin* builtin = nullptr;
  Value self;
  const MacroNode* macro = nullptr;
  Scope* scope = nullptr;
  Charge charge;
};

/// One call of a built-in, its arguments bound to its parameters.
class Call {
 public:
  /// Raises what Python's TypeError would say when the arguments do not fit the signature.
  Call(const Builtin& builtin, const Value& self, const Arguments& arguments);
  const Value& self() const noexcept { return self_; }
  const Arguments& arguments() const noexcept { return arguments_; }
  const Value* find(std::size_t index) const noexcept { return bound_[index]; }  ///< null: not given
  const Value& at(std::size_t index) const { return *bound_[index]; }           ///< of a required parameter
  bool flag(std::size_t index, bool otherwise = false) const;                   ///< truth of an optional one
  std::int64_t integer(std::size_t index, std::int64_t otherwise = 0) const;    ///< none counts as not given
  const Text& text(std::size_t index) const;  ///< of a required parameter that must be a string
  const Text* find_text(std::size_t index) const;  ///< null when not given or none

 private:
  const Builtin& builtin_;
  const Value& self_;
  const Arguments& arguments_;
  std::array<const Value*, kMaxParameters> bound_{};
};

/// The tables, sorted by nothing: a few dozen rows each. Null when there is no such name.
const Builtin* find_filter(std::string_view name) noexcept;
const Builtin* find_test(std::string_view name) noexcept;
const Builtin* find_global(std::string_view name) noexcept;
const Builtin* find_method(const Value& self, std::string_view name) noexcept;
/// Names that jinja2 knows and this interpreter refuses by name.
bool is_foreign_filter(std::string_view name) noexcept;
/// A method that would change a list or dict: the sandbox refuses it.
bool is_mutating_method(const Value& self, std::string_view name) noexcept;

std::int64_t to_index(const Value& value);  ///< an integer or boolean; raises otherwise

}  // namespace ftlib::jinja
