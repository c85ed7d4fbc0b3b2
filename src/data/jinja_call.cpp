// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_call.h"

namespace ftlib::inline FTLIB_ABI::jinja {

const Value* Arguments::find(std::string_view name) const noexcept {
  for (const auto& [key, value] : named)
    if (key == name) return &value;
  return nullptr;
}

Call::Call(const Builtin& builtin, const Value& self, const Arguments& arguments)
    : builtin_(builtin), self_(self), arguments_(arguments) {
  std::size_t count = 0;
  while (count < kMaxParameters && !builtin.parameters[count].empty()) ++count;
  const std::size_t given = arguments.positional.size();
  if (given > count && !builtin.free) raise(builtin.name, "() takes at most ", count, " arguments, got ", given);
  for (std::size_t i = 0; i < std::min(given, count); ++i) bound_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    if (builtin.positional_only) raise(builtin.name, "() takes no keyword arguments");
    std::size_t i = 0;
    while (i < count && builtin.parameters[i] != name) ++i;
    if (i == count && builtin.free) continue;
    if (i == count) raise(builtin.name, "() got an unexpected keyword argument '", name, "'");
    if (bound_[i] != nullptr) raise(builtin.name, "() got multiple values for argument '", name, "'");
    bound_[i] = &value;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(builtin.required); ++i)
    if (bound_[i] == nullptr) raise(builtin.name, "() misses its argument '", builtin.parameters[i], "'");
}

bool Call::flag(std::size_t index, bool otherwise) const {
  return bound_[index] == nullptr ? otherwise : truth(*bound_[index]);
}

std::int64_t Call::integer(std::size_t index, std::int64_t otherwise) const {
  const Value* value = bound_[index];
  return value == nullptr || value->is(Kind::none) ? otherwise : to_index(*value);
}

const Text& Call::text(std::size_t index) const {
  const Value& value = *bound_[index];
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (!value.is(Kind::text)) raise(builtin_.name, "() wants a string, got ", value.type_name());
  return value.text();
}

const Text* Call::find_text(std::size_t index) const {
  const Value* value = bound_[index];
  return value == nullptr || value->is(Kind::none) ? nullptr : &text(index);
}

std::int64_t to_index(const Value& value) {
  if (value.is(Kind::undefined)) raise_undefined(value);
  if (!value.is(Kind::integer) && !value.is(Kind::boolean))
    raise("'", value.type_name(), "' object cannot be interpreted as an integer");
  return value.integer();
}

}  // namespace ftlib::jinja
