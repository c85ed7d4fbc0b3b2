// SPDX-License-Identifier: Apache-2.0
#include "model/lora_targets.h"

#include <algorithm>
#include <ranges>
#include <set>

#include "core/edit_distance.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// A key of letters, digits, `_` and dots matches itself alone: no module differs from another in what stands for a
/// dot.
bool is_plain(std::string_view key) {
  return std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
}

[[noreturn]] void refuse_outside_decoder(std::string_view name, std::string_view target) {
  throw Error(Status::invalid_argument, concat("[lora] target ", excerpt(target), " asks for ", name,
                                               "; adapters go on the linears of the decoder's layers only"));
}

Selection select_names(const std::vector<LoraModule>& linears, const std::vector<std::string>& names) {
  Selection result{std::vector<char>(linears.size()), {}};
  for (const std::string& name : names) {
    for (const std::string_view outside : {kHead, kEmbedding})
      if (ends_in_name(outside, name)) refuse_outside_decoder(outside, name);
    bool any = false;
    for (std::size_t i = 0; i < linears.size(); ++i)
      if (ends_in_name(linears[i].name, name)) result.selected[i] = 1, any = true;
    if (!any) result.nothing.push_back(name);
  }
  return result;
}

Selection select_regex(const std::vector<LoraModule>& linears, const std::string& pattern) {
  const Regex regex(pattern, kTargetSteps);
  for (const std::string_view outside : {kHead, kEmbedding})
    if (regex.matches(outside)) refuse_outside_decoder(outside, pattern);
  Selection result{std::vector<char>(linears.size()), {}};
  for (std::size_t i = 0; i < linears.size(); ++i) result.selected[i] = regex.matches(linears[i].name);
  if (!std::ranges::count(result.selected, 1)) result.nothing.push_back(pattern);
  return result;
}

/// One of the two patterns, compiled; remembers which keys matched a module.
template <class Value>
class PatternTable {
 public:
  explicit PatternTable(const std::vector<std::pair<std::string, Value>>& patterns)
      : patterns_(patterns), used_(patterns.size()) {
    for (const auto& [key, value] : patterns) compiled_.emplace_back(key);
  }

  Value find(std::string_view module, Value absent) {
    const Value* found = nullptr;
    for (std::size_t i = 0; i < compiled_.size(); ++i)
      if (compiled_[i].matches(module)) {
        used_[i] = 1;
        if (found == nullptr) found = &patterns_[i].second;
      }
    return found ? *found : absent;
  }

  void add_unused(std::vector<std::string>& keys) const {
    for (std::size_t i = 0; i < used_.size(); ++i)
      if (!used_[i]) keys.push_back(patterns_[i].first);
  }

 private:
  const std::vector<std::pair<std::string, Value>>& patterns_;
  std::vector<ModulePattern> compiled_;
  std::vector<char> used_;
};

void check_rank(std::int64_t r, std::string_view what) {
  FT_CHECK(r >= 1 && r <= kLargestRank, invalid_argument, "[lora] ", what, " must be 1 to ", kLargestRank, ", got ", r);
}

void check_alpha(double alpha, std::string_view what) {
  FT_CHECK(valid_alpha(alpha), invalid_argument, "[lora] ", what, ": ", kAlphaRange, ", got ", alpha);
}

void check_ranges(const LoraConfig& config) {
  check_rank(config.r, "r");
  check_alpha(config.lora_alpha, "lora_alpha");
  for (const auto& [key, r] : config.rank_pattern) check_rank(r, concat("rank_pattern ", excerpt(key)));
  for (const auto& [key, alpha] : config.alpha_pattern) check_alpha(alpha, concat("alpha_pattern ", excerpt(key)));
}

}  // namespace

std::vector<LoraModule> all_linears(const ModelConfig& model) {
  std::vector<LoraModule> linears;
  for (std::int64_t layer = 0; layer < model.num_hidden_layers; ++layer)
    for (int kind = 0; kind < kLinearKinds; ++kind) {
      LoraModule& module = linears.emplace_back();
      module.layer = layer;
      module.kind = static_cast<LinearKind>(kind);
      module.name = linear_name(layer, module.kind);
      const LinearShape shape = linear_shape(model, module.kind);
      module.out = shape.out, module.in = shape.in;
    }
  return linears;
}

bool ends_in_name(std::string_view module, std::string_view name) noexcept {
  if (name.empty() || !module.ends_with(name)) return false;
  return module.size() == name.size() || module[module.size() - name.size() - 1] == '.';
}

ModulePattern::ModulePattern(std::string_view key) : key_(key) {
  if (!is_plain(key)) regex_.emplace(concat("(.*\\.)?(", key, ")"), kTargetSteps);
}

bool ModulePattern::matches(std::string_view module) const {
  return regex_ ? regex_->matches(module) : ends_in_name(module, key_);
}

Selection select_targets(const std::vector<LoraModule>& linears, const LoraConfig& config) {
  if (!config.target_regex.empty()) return select_regex(linears, config.target_regex);
  if (config.target_modules == std::vector<std::string>{std::string(kAllLinear)})
    return {std::vector<char>(linears.size(), 1), {}};
  return select_names(linears, config.target_modules);
}

std::string near_names(std::string_view name, const std::vector<LoraModule>& linears) {
  const bool whole = name.find('.') != name.npos;
  std::set<std::string_view> candidates;
  for (const LoraModule& module : linears) {
    const std::string_view linear = module.name;
    candidates.insert(whole ? linear : linear.substr(linear.rfind('.') + 1));
  }
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const std::string_view candidate : candidates)
    if (const std::size_t distance = edit_distance(name.substr(0, 128), candidate); distance <= candidate.size() / 2)
      near.emplace_back(distance, candidate);
  std::ranges::sort(near);
  std::string text;
  for (std::size_t i = 0; i < near.size() && i < 3; ++i) text += concat(i ? ", " : "; near names: ", near[i].second);
  return text;
}

std::vector<std::string> resolve_ranks(std::vector<LoraModule>& modules, const LoraConfig& config) {
  check_ranges(config);
  PatternTable ranks(config.rank_pattern);
  PatternTable alphas(config.alpha_pattern);
  for (LoraModule& module : modules) {
    module.r = ranks.find(module.name, config.r);
    module.alpha = alphas.find(module.name, config.lora_alpha);
    const double r = static_cast<double>(module.r);
    module.scale = static_cast<float>(module.alpha / (config.use_rslora ? std::sqrt(r) : r));
  }
  std::vector<std::string> unused;
  ranks.add_unused(unused);
  alphas.add_unused(unused);
  return unused;
}

void allocate_parameters(LoraAdapter& adapter) {
  constexpr std::int64_t kAlignment = 16, kMostFloats = std::int64_t{1} << 40;  // 64 bytes; 4 TiB
  const auto aligned = [](std::int64_t floats) { return (floats + kAlignment - 1) / kAlignment * kAlignment; };
  std::int64_t floats = 0;
  for (const LoraModule& module : adapter.modules) {
    floats += aligned(module.r * module.in) + aligned(module.out * module.r);
    FT_CHECK(floats <= kMostFloats, out_of_memory, "[lora] the adapter has more than ", kMostFloats, " parameters");
  }
  adapter.parameters = Buffer(floats * 4);
  adapter.parameter_count = 0;
  float* next = adapter.parameters.as<float>();
  for (LoraModule& module : adapter.modules) {
    module.a = next;
    module.b = module.a + aligned(module.r * module.in);
    next = module.b + aligned(module.out * module.r);
    adapter.parameter_count += module.r * (module.in + module.out);
  }
}

}  // namespace ftlib
