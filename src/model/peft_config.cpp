// SPDX-License-Identifier: Apache-2.0
#include "model/peft_config.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "model/adapter_io.h"
#include "model/lora_targets.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

// Keys that change neither what an adapter computes nor where it goes.
constexpr std::string_view kHarmless[] = {
    "auto_mapping", "peft_version", "revision",    "inference_mode", "megatron_core",
    "loftq_config", "eva_config",   "corda_config", "lora_ga_config", "qalora_group_size", "runtime_config"};

// Initialisations that leave the base alone; the others train against a base that they have rewritten.
constexpr std::string_view kPlainInits[] = {"gaussian", "eva", "orthogonal"};

/// null, false, {} and []: as if the key were not there.
bool is_unset(const Json& value) {
  return value.is_null() || value == Json(false) || value == Json::object() || value == Json::array();
}

/// Reads one configuration; remembers what it was asked for.
class Reader {
 public:
  Reader(const Json& json, std::string_view what) : json_(json), what_(what) { json.as_object(what); }

  std::string name(std::string_view key) const { return concat(what_, ": ", key); }

  const Json* take(std::string_view key) {
    used_.push_back(key);
    const Json* value = json_.find(key);
    return value == nullptr || is_unset(*value) ? nullptr : value;
  }
  const Json& need(std::string_view key) {
    const Json* value = take(key);
    FT_CHECK_FILE(value != nullptr, schema, what_, ": \"", key, "\" is missing");
    return *value;
  }
  std::string text(std::string_view key) {
    const Json* value = take(key);
    return value ? value->as_string(name(key)) : std::string();
  }
  std::vector<std::string> texts(std::string_view key) {
    const Json* value = take(key);
    std::vector<std::string> result;
    if (value != nullptr && value->is_string()) return {value->as_string("")};
    if (value != nullptr)
      for (const Json& item : value->as_array(name(key))) result.push_back(item.as_string(name(key)));
    return result;
  }
  double alpha(const Json& value, const std::string& where) const {
    const double number = value.as_number(where);
    FT_CHECK_FILE(valid_alpha(number), range, where, ": ", kAlphaRange, ", got ", number);
    return number;
  }

  void refuse_the_rest() const {
    for (const auto& [key, value] : json_.as_object(what_)) {
      if (std::ranges::count(used_, key) || std::ranges::count(kHarmless, key) || is_unset(value)) continue;
      FT_CHECK_FILE(false, unsupported, name(excerpt(key)), ": ", excerpt(dump_json(value)), " is not supported");
    }
  }

 private:
  const Json& json_;
  std::string_view what_;
  std::vector<std::string_view> used_;
};

void check_kind(Reader& reader) {
  const std::string& type = reader.need("peft_type").as_string(reader.name("peft_type"));
  FT_CHECK_FILE(type == "LORA", unsupported, reader.name("peft_type"), ": ", excerpt(type),
                " is not supported (LORA is)");
  const std::string task = reader.text("task_type");
  FT_CHECK_FILE(task.empty() || task == "CAUSAL_LM", unsupported, reader.name("task_type"), ": ", excerpt(task),
                " is not supported (CAUSAL_LM is)");
  const std::string bias = reader.text("bias");
  FT_CHECK_FILE(bias.empty() || bias == "none", unsupported, reader.name("bias"), ": ", excerpt(bias),
                " is not supported (none is)");
  const Json* init = reader.take("init_lora_weights");
  const bool plain = init == nullptr || init->is_bool() ||
                     (init->is_string() && std::ranges::count(kPlainInits, init->as_string("")) > 0);
  FT_CHECK_FILE(plain, unsupported, reader.name("init_lora_weights"), ": ", plain ? "" : excerpt(dump_json(*init)),
                " rewrites the base's weights and is not supported; convert the adapter with PEFT's "
                "path_initial_model_for_weight_conversion");
}

void read_numbers(Reader& reader, LoraConfig& lora) {
  lora.r = reader.need("r").as_integer(reader.name("r"), 1, kLargestRank);
  lora.lora_alpha = reader.alpha(reader.need("lora_alpha"), reader.name("lora_alpha"));
  const Json* dropout = reader.take("lora_dropout");
  lora.lora_dropout = dropout ? dropout->as_number(reader.name("lora_dropout")) : 0;
  FT_CHECK_FILE(lora.lora_dropout >= 0 && lora.lora_dropout < 1, range, reader.name("lora_dropout"),
                ": want 0 to below 1, got ", lora.lora_dropout);
  const Json* rslora = reader.take("use_rslora");
  lora.use_rslora = rslora != nullptr && rslora->as_bool(reader.name("use_rslora"));
  if (const Json* ranks = reader.take("rank_pattern"))
    for (const auto& [key, value] : ranks->as_object(reader.name("rank_pattern")))
      lora.rank_pattern.emplace_back(key, value.as_integer(reader.name(concat("rank_pattern.", excerpt(key))), 1,
                                                           kLargestRank));
  if (const Json* alphas = reader.take("alpha_pattern"))
    for (const auto& [key, value] : alphas->as_object(reader.name("alpha_pattern")))
      lora.alpha_pattern.emplace_back(key, reader.alpha(value, reader.name(concat("alpha_pattern.", excerpt(key)))));
}

void read_targets(Reader& reader, PeftConfig& config) {
  const Json* targets = reader.take("target_modules");
  FT_CHECK_FILE(targets != nullptr, mismatch, reader.name("target_modules"), ": names no module");
  config.lora.target_modules.clear();
  if (targets->is_string() && targets->as_string("") != kAllLinear) config.lora.target_regex = targets->as_string("");
  else config.lora.target_modules = reader.texts("target_modules");
  const Json* exclude = reader.take("exclude_modules");
  if (exclude != nullptr && exclude->is_string()) config.exclude_regex = exclude->as_string("");
  else config.exclude_modules = reader.texts("exclude_modules");
}

void read_layers(Reader& reader, PeftConfig& config) {
  const std::string where = reader.name("layers_to_transform");
  const auto add = [&](const Json& layer) {
    config.layers_to_transform.push_back(layer.as_integer(where, 0, 1 << 20));
  };
  if (const Json* layers = reader.take("layers_to_transform")) {
    if (layers->is_integer()) add(*layers);
    else
      for (const Json& layer : layers->as_array(where)) add(layer);
    FT_CHECK_FILE(config.lora.target_regex.empty(), schema, where, ": works with a list of target_modules only");
  }
  config.layers_pattern = reader.texts("layers_pattern");
}

/// exclude_modules, layers_to_transform and layers_pattern.
class ModuleExclusion {
 public:
  explicit ModuleExclusion(const PeftConfig& config) : config_(config) {
    if (!config.exclude_regex.empty()) regex_.emplace(config.exclude_regex, kTargetSteps);
    for (const std::string& pattern : config.layers_pattern)
      layers_.emplace_back(concat("(?:.*?\\.)?(?:", pattern, ")\\.\\d+\\..*"), kTargetSteps);
  }

  bool excludes(const LoraModule& module) const {
    if (regex_ && regex_->matches(module.name)) return true;
    const auto named = [&](const std::string& name) { return ends_in_name(module.name, name); };
    if (std::ranges::any_of(config_.exclude_modules, named)) return true;
    if (config_.layers_to_transform.empty()) return false;
    const auto is_layer = [&](const Regex& pattern) { return pattern.matches(module.name); };
    if (!layers_.empty() && std::ranges::none_of(layers_, is_layer)) return true;
    return std::ranges::count(config_.layers_to_transform, module.layer) == 0;
  }

 private:
  const PeftConfig& config_;
  std::optional<Regex> regex_;
  std::vector<Regex> layers_;
};

/// Regular expressions that Python and PCRE2 read alike: literals, classes, groups, alternatives and quantifiers.
bool is_common_regex(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i], next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!letter && std::string_view("\\.*+?|()[]{},^$:-").find(c) == std::string_view::npos) return false;
    if (c == '\\' && std::string_view(".dw").find(next) == std::string_view::npos) return false;
    if (c == '\\') ++i;
    if ((c == '*' || c == '+' || c == '?' || c == '}') && next == '+') return false;
    if (c == '(' && next == '?' && pattern.substr(i, 3) != "(?:") return false;
  }
  return true;
}

/// Whole numbers without a point, as PEFT's users write them.
Json number(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

/// PEFT sorts the keys on the way out, and the first match wins on the way in.
LoraConfig sorted_patterns(const LoraConfig& config) {
  LoraConfig sorted = config;
  std::ranges::stable_sort(sorted.rank_pattern, {}, &std::pair<std::string, std::int64_t>::first);
  std::ranges::stable_sort(sorted.alpha_pattern, {}, &std::pair<std::string, double>::first);
  return sorted;
}

bool keeps_its_meaning(const LoraAdapter& adapter) {
  const auto common = [](const auto& entry) { return is_common_regex(entry.first); };
  if (!std::ranges::all_of(adapter.config.rank_pattern, common)) return false;
  if (!std::ranges::all_of(adapter.config.alpha_pattern, common)) return false;
  std::vector<LoraModule> modules = adapter.modules;
  resolve_ranks(modules, sorted_patterns(adapter.config));
  return std::ranges::equal(modules, adapter.modules, [](const LoraModule& a, const LoraModule& b) {
    return a.r == b.r && a.alpha == b.alpha;
  });
}

Json targets_to_json(const LoraAdapter& adapter) {
  const LoraConfig& config = adapter.config;
  if (!config.target_regex.empty() && is_common_regex(config.target_regex)) return config.target_regex;
  std::set<std::string> names;
  if (!config.target_regex.empty())
    for (const LoraModule& module : adapter.modules) names.insert(module.name);
  else if (config.target_modules == std::vector{std::string(kAllLinear)})
    for (const LoraModule& module : adapter.modules) names.insert(module.name.substr(module.name.rfind('.') + 1));
  else
    names.insert(config.target_modules.begin(), config.target_modules.end());
  return Json::Array(names.begin(), names.end());
}

void write_patterns(const LoraAdapter& adapter, Json& json) {
  Json& ranks = json["rank_pattern"] = Json::object();
  Json& alphas = json["alpha_pattern"] = Json::object();
  if (keeps_its_meaning(adapter)) {
    for (const auto& [key, r] : adapter.config.rank_pattern) ranks.append(key, r);
    for (const auto& [key, alpha] : adapter.config.alpha_pattern) alphas.append(key, number(alpha));
    return;
  }
  for (const LoraModule& module : adapter.modules) {
    if (module.r != adapter.config.r) ranks.append(module.name, module.r);
    if (module.alpha != adapter.config.lora_alpha) alphas.append(module.name, number(module.alpha));
  }
}

}  // namespace

PeftConfig peft_config_from_json(const Json& json, std::string_view what) {
  Reader reader(json, what);
  PeftConfig config;
  check_kind(reader);
  read_numbers(reader, config.lora);
  read_targets(reader, config);
  read_layers(reader, config);
  config.base_model_name_or_path = reader.text("base_model_name_or_path");
  reader.refuse_the_rest();
  return config;
}

std::vector<char> select_modules(const PeftConfig& config, const std::vector<LoraModule>& linears,
                                 std::string_view what) {
  return as_file_error(what, [&] {
    std::vector<char> selected = select_targets(linears, config.lora).selected;
    const ModuleExclusion exclusion(config);
    for (std::size_t i = 0; i < linears.size(); ++i)
      if (selected[i] && exclusion.excludes(linears[i])) selected[i] = 0;
    return selected;
  });
}

Json peft_config_to_json(const LoraAdapter& adapter, const std::string& base_model_name_or_path) {
  const LoraConfig& config = adapter.config;
  Json json = Json::object();
  for (const char* key : {"alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config",
                          "exclude_modules", "kasa_config", "layer_replication", "layers_pattern",
                          "layers_to_transform", "lora_ga_config", "megatron_config", "modules_to_save",
                          "monteclora_config", "revision", "target_parameters", "trainable_token_indices",
                          "use_bdlora", "velora_config"})
    json[key] = nullptr;
  for (const char* key : {"ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_dora", "use_qalora"})
    json[key] = false;
  json["base_model_name_or_path"] = base_model_name_or_path.empty() ? Json() : Json(base_model_name_or_path);
  json["bias"] = "none";
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  json["loftq_config"] = Json::object();
  json["lora_alpha"] = number(config.lora_alpha);
  json["lora_dropout"] = config.lora_dropout;
  json["megatron_core"] = "megatron.core";
  json["peft_type"] = "LORA";
  json["peft_version"] = "0.20.0";
  json["qalora_group_size"] = 16;
  json["r"] = config.r;
  json["target_modules"] = targets_to_json(adapter);
  json["task_type"] = "CAUSAL_LM";
  json["use_rslora"] = config.use_rslora;
  write_patterns(adapter, json);
  return json;
}

}  // namespace ftlib
