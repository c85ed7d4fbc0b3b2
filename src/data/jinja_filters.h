// SPDX-License-Identifier: Apache-2.0
// What the tables of filters, tests, methods and globals share.
#pragma once
#include <span>

#include "data/jinja_interpreter.h"

namespace ftlib::inline FTLIB_ABI::jinja {

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name) noexcept;
std::span<const Builtin> text_filters();
std::span<const Builtin> sequence_filters();

/// The input as a string: itself, or str(value).
Value as_text(Interpreter& in, const Value& value);
/// int(text) and float(text) of Python; nothing where those raise ValueError.
std::optional<std::int64_t> parse_integer(std::string_view text, int base);
std::optional<double> parse_real(std::string_view text);
/// The lower-case form of a string for comparisons, other values as they are.
Value fold_case(Interpreter& in, const Value& value, bool case_sensitive);
/// text.replace(from, to, limit); `limit` < 0: all.
Value replace_all(Interpreter& in, const Text& text, const Text& from, const Text& to, std::int64_t limit);
/// separator.join(elements), each printed first when `convert`, else raising for what is no string.
Value join(Interpreter& in, const Text& separator, const std::vector<Value>& elements, bool convert);
void sort_values(Interpreter& in, std::vector<Value>& values, const std::vector<Value>& keys, bool reverse);

}  // namespace ftlib::jinja
