// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ftlib/core/random.h"
#include "ftlib/io/json.h"
#include "model/lora_targets.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// FNV-1a, 64 bit: names a stream of random numbers.
std::uint64_t stream_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  return hash;
}

void check_targets(const Selection& selection, const LoraConfig& config, const std::vector<LoraModule>& linears) {
  if (selection.nothing.empty()) return;
  const std::string& name = selection.nothing.front();
  const std::string hint = config.target_regex.empty()
                               ? near_names(name, linears)
                               : concat("; it must match a whole name such as ", linears.front().name);
  throw Error(Status::invalid_argument,
              concat("[lora] target ", excerpt(name), " matches none of the ", linears.size(), " linears", hint));
}

void check_config(const LoraConfig& config) {
  FT_CHECK(config.lora_dropout >= 0 && config.lora_dropout < 1, invalid_argument,
           "[lora] lora_dropout must be 0 to below 1, got ", config.lora_dropout);
  FT_CHECK(!config.target_modules.empty() || !config.target_regex.empty(), invalid_argument,
           "[lora] target_modules is empty; name modules or say ", kAllLinear);
}

}  // namespace

const LoraModule* LoraAdapter::find(std::int64_t layer, LinearKind kind) const noexcept {
  const auto key = [](const LoraModule& module) { return std::pair(module.layer, module.kind); };
  const auto found = std::ranges::lower_bound(modules, std::pair(layer, kind), {}, key);
  return found != modules.end() && key(*found) == std::pair(layer, kind) ? &*found : nullptr;
}

LoraAdapter make_lora_adapter(const ModelConfig& model, const LoraConfig& config) {
  check_config(config);
  const std::vector<LoraModule> linears = all_linears(model);
  const Selection selection = select_targets(linears, config);
  check_targets(selection, config, linears);
  LoraAdapter adapter;
  adapter.config = config;
  for (std::size_t i = 0; i < linears.size(); ++i)
    if (selection.selected[i]) adapter.modules.push_back(linears[i]);
  const std::vector<std::string> unused = resolve_ranks(adapter.modules, config);
  FT_CHECK(unused.empty(), invalid_argument, "[lora] pattern ", excerpt(unused.front()), " matches none of the ",
           adapter.modules.size(), " adapted modules", near_names(unused.front(), adapter.modules));
  allocate_parameters(adapter);
  return adapter;
}

LoraAdapter copy_of(const LoraAdapter& adapter) {
  LoraAdapter copy;
  copy.config = adapter.config, copy.modules = adapter.modules, copy.parameter_count = adapter.parameter_count;
  copy.parameters = Buffer(adapter.parameters.bytes());
  std::memcpy(copy.parameters.data(), adapter.parameters.data(), static_cast<std::size_t>(adapter.parameters.bytes()));
  const auto moved = [&](const float* from) { return copy.parameters.as<float>() + (from - adapter.parameters.as<float>()); };
  for (LoraModule& module : copy.modules) module.a = moved(module.a), module.b = moved(module.b);
  return copy;
}

void initialize(LoraAdapter& adapter, std::uint64_t seed) {
  for (const LoraModule& module : adapter.modules) {
    Random random(seed, stream_of(module.name));
    const float bound = 1.0f / std::sqrt(static_cast<float>(module.in));
    for (std::int64_t i = 0; i < module.r * module.in; ++i) module.a[i] = (2.0f * random.uniform() - 1.0f) * bound;
    std::fill_n(module.b, module.out * module.r, 0.0f);
  }
}

}  // namespace ftlib
