// SPDX-License-Identifier: Apache-2.0
// The functions that a template finds without being given them, as transformers' environment has them.
#include "data/jinja_filters.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // jinja2's sandbox
constexpr std::int64_t kMaxBound = std::int64_t{1} << 53;

Value make_range(Interpreter&, const Call& call) {
  Range range;
  if (call.find(1) == nullptr) {
    range.stop = to_index(call.at(0));
  } else {
    range.start = to_index(call.at(0));
    range.stop = to_index(call.at(1));
    if (call.find(2) != nullptr) range.step = to_index(call.at(2));
  }
  if (range.step == 0) raise("range() arg 3 must not be zero");
  for (const std::int64_t bound : {range.start, range.stop, range.step})
    if (bound > kMaxBound || bound < -kMaxBound) raise_unsupported("range: bounds beyond 2**53 are not supported");
  if (range.size() > kMaxRange) raise("range too big: the sandbox blocks ranges of more than ", kMaxRange, " items");
  return Value(range);
}

/// dict(mapping or pairs, **named), in order.
std::vector<std::pair<Value, Value>> pairs_of(Interpreter& in, const Arguments& arguments, std::string_view name) {
  if (arguments.positional.size() > 1) raise(name, " expected at most 1 argument, got ", arguments.positional.size());
  Value dict = make_dict(in.heap(), {});
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::dict)) {
      dict = source;
    } else {
      for (const Value& pair : iterate(in.heap(), source)) {
        const std::vector<Value> parts = iterate(in.heap(), pair);
        if (parts.size() != 2) raise(name, " wants pairs of a key and a value");
        dict = put(in.heap(), dict, parts[0], parts[1]);
      }
    }
  }
  for (const auto& [key, value] : arguments.named) {
    dict = put(in.heap(), dict, make_text(in.heap(), key), value);
  }
  return dict.dict().items;
}

Value new_dict(Interpreter& in, const Call& call) {
  return make_dict(in.heap(), pairs_of(in, call.arguments(), "dict"));
}

Value new_namespace(Interpreter& in, const Call& call) {
  Space* space = in.new_space();
  for (const auto& [key, value] : pairs_of(in, call.arguments(), "namespace")) {
    if (!key.is(Kind::text)) raise("a namespace's names must be strings");
    if (key.text().bytes.starts_with('_'))
      raise("a namespace cannot hold names that begin with an underscore: ", key.text().bytes);
    space->attributes.emplace_back(key.text().bytes, value);
  }
  return Value(space);
}

Value raise_exception(Interpreter& in, const Call& call) { raise(as_text(in, call.at(0)).text().bytes); }

Value time_now(Interpreter& in, const Call& call) {
  return make_text(in.heap(), format_time(*in.now(), call.text(0).bytes));
}

constexpr Builtin kGlobals[] = {
    {"dict", new_dict, 0, {}, true},
    {"namespace", new_namespace, 0, {}, true},
    {"raise_exception", raise_exception, 1, {"message"}},
    {"range", make_range, 1, {"start", "stop", "step"}, false, true},
    {"strftime_now", time_now, 1, {"format"}},
};

}  // namespace

const Builtin* find_global(std::string_view name) noexcept { return find_builtin(kGlobals, name); }

}  // namespace ftlib::jinja
