// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/config.h"

#include <algorithm>
#include <array>

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 31;
constexpr std::int64_t kMostLayers = 4096;
constexpr std::int64_t kLongestContext = std::int64_t{1} << 40;

// Keys that do not change a forward pass of this library, whatever their value.
constexpr std::string_view kHarmless[] = {
    "architectures",     "model_type",          "torch_dtype",        "dtype",           "transformers_version",
    "use_cache",         "initializer_range",   "bos_token_id",       "eos_token_id",    "pad_token_id",
    "_name_or_path",     "pretraining_tp",      "transformers.js_config", "quantization_config",
    "is_llama_config",   "unsloth_version",     "unsloth_fixed",      "return_dict",     "output_hidden_states",
    "output_attentions", "chunk_size_feed_forward", "id2label",       "label2id",        "problem_type",
    "is_encoder_decoder", "tokenizer_class",    "_attn_implementation", "_attn_implementation_autoset"};

// Keys that change the computation unless they hold this value.
struct Fixed {
  std::string_view key;
  Json value;
};
const std::array<Fixed, 7>& fixed_keys() {
  static const std::array<Fixed, 7> kFixed{{{"hidden_act", "silu"},
                                            {"attention_dropout", 0.0},
                                            {"rope_interleaved", false},
                                            {"sliding_window", nullptr},
                                            {"partial_rotary_factor", 1.0},
                                            {"logits_soft_cap", nullptr},
                                            {"is_decoder", true}}};
  return kFixed;
}

bool same_value(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return a.as_number("") == b.as_number("");
  return a == b;
}

/// Reads config.json key by key and remembers which ones were used.
class Reader {
 public:
  Reader(const Json& json, std::string_view what) : json_(json), what_(what) { json.as_object(what); }

  std::string name(std::string_view key) const { return concat(what_, ": ", excerpt(key)); }
  const Json* take(std::string_view key) {
    used_.push_back(key);
    const Json* value = json_.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t absent) {
    const Json* value = take(key);
    if (value == nullptr && absent >= 0) return absent;
    FT_CHECK_FILE(value != nullptr, schema, what_, ": \"", key, "\" is missing");
    return value->as_integer(name(key), low, high);
  }
  double positive(std::string_view key, double absent) {
    const Json* value = take(key);
    const double number = value ? value->as_number(name(key)) : absent;
    FT_CHECK_FILE(std::isfinite(number) && number > 0, range, name(key), ": want a positive number, got ", number);
    return number;
  }
  bool flag(std::string_view key) {
    const Json* value = take(key);
    return value != nullptr && value->as_bool(name(key));
  }
  void refuse_the_rest() const {
    for (const auto& [key, value] : json_.as_object(what_)) {
      if (std::ranges::count(used_, key) || std::ranges::count(kHarmless, key)) continue;
      const auto& fixed = fixed_keys();
      const auto found = std::ranges::find(fixed, key, &Fixed::key);
      FT_CHECK_FILE(found != fixed.end() && (value.is_null() || same_value(value, found->value)), unsupported, name(key),
                    ": ", excerpt(dump_json(value)), " is not supported",
                    found == fixed.end() ? " (unknown key)" : concat(", only ", dump_json(found->value)));
    }
  }

 private:
  const Json& json_;
  std::string_view what_;
  std::vector<std::string_view> used_;
};

RopeScaling read_scaling(const Json& json, std::string_view what) {
  Reader reader(json, what);
  const Json* type = reader.take("rope_type");
  const Json* old_type = reader.take("type");
  reader.take("rope_theta");
  const std::string kind = type ? type->as_string(reader.name("rope_type"))
                                : old_type ? old_type->as_string(reader.name("type")) : "default";
  RopeScaling scaling;
  if (kind == "linear" || kind == "llama3") {
    scaling.type = kind == "linear" ? RopeScaling::Type::linear : RopeScaling::Type::llama3;
    scaling.factor = reader.positive("factor", 0);
  }
  if (kind == "llama3") {
    scaling.low_freq_factor = reader.positive("low_freq_factor", 0);
    scaling.high_freq_factor = reader.positive("high_freq_factor", 0);
    scaling.original_max_position_embeddings =
        reader.integer("original_max_position_embeddings", 1, kLongestContext, -1);
    FT_CHECK_FILE(scaling.high_freq_factor > scaling.low_freq_factor, range, what,
                  ": high_freq_factor must be above low_freq_factor");
  }
  FT_CHECK_FILE(kind == "default" || kind == "linear" || kind == "llama3", unsupported, what, ": rope type \"",
                excerpt(kind), "\" is not supported (default, linear, llama3 are)");
  reader.refuse_the_rest();
  return scaling;
}

void check_architecture(const Json& json, std::string_view what) {
  const Json* type = json.find("model_type");
  FT_CHECK_FILE(type != nullptr, schema, what, ": \"model_type\" is missing");
  FT_CHECK_FILE(type->as_string(concat(what, ": model_type")) == "llama", unsupported, what, ": model_type \"",
                excerpt(type->as_string(what)), "\" is not supported (llama is); see ftlib info --supported");
  FT_CHECK_FILE(json.find("auto_map") == nullptr, unsupported, what,
                ": auto_map asks for code from the model's folder, which is never run");
  if (const Json* names = json.find("architectures"))
    for (const Json& entry : names->as_array(concat(what, ": architectures")))
      FT_CHECK_FILE(entry.as_string(what) == "LlamaForCausalLM", unsupported, what, ": architecture \"",
                    excerpt(entry.as_string(what)), "\" is not supported (LlamaForCausalLM is)");
}

}  // namespace

void validate(const ModelConfig& config, std::string_view what) {
  FT_CHECK_FILE(config.num_attention_heads % config.num_key_value_heads == 0, range, what, ": ",
                config.num_attention_heads, " heads are not a multiple of ", config.num_key_value_heads,
                " key/value heads");
  FT_CHECK_FILE(config.head_dim % 2 == 0, range, what, ": head_dim ", config.head_dim, " is odd, rotary needs pairs");
  FT_CHECK_FILE(config.q_size() <= kLargest, range, what, ": heads x head_dim is too large");
  const std::size_t factors = config.rope_scaling.factors.size();
  FT_CHECK_FILE(factors == 0 || static_cast<std::int64_t>(factors) == config.head_dim / 2, mismatch, what, ": ", factors,
                " rope factors for head_dim ", config.head_dim);
}

ModelConfig model_config_from_json(const Json& json, std::string_view what) {
  check_architecture(json, what);
  Reader reader(json, what);
  ModelConfig config;
  config.vocab_size = reader.integer("vocab_size", 1, kLargest, -1);
  config.hidden_size = reader.integer("hidden_size", 1, kLargest, -1);
  config.intermediate_size = reader.integer("intermediate_size", 1, kLargest, -1);
  config.num_hidden_layers = reader.integer("num_hidden_layers", 1, kMostLayers, -1);
  config.num_attention_heads = reader.integer("num_attention_heads", 1, 65536, -1);
  config.num_key_value_heads = reader.integer("num_key_value_heads", 1, 65536, config.num_attention_heads);
  config.head_dim = reader.integer("head_dim", 1, 65536, 0);
  if (config.head_dim == 0) {
    FT_CHECK_FILE(config.hidden_size % config.num_attention_heads == 0, range, what, ": hidden_size ",
                  config.hidden_size, " is not a multiple of ", config.num_attention_heads, " heads");
    config.head_dim = config.hidden_size / config.num_attention_heads;
  }
  config.max_position_embeddings = reader.integer("max_position_embeddings", 1, kLongestContext, 2048);
  config.rms_norm_eps = reader.positive("rms_norm_eps", 1e-6);
  config.tie_word_embeddings = reader.flag("tie_word_embeddings");
  config.attention_bias = reader.flag("attention_bias");
  config.mlp_bias = reader.flag("mlp_bias");
  config.rope_theta = reader.positive("rope_theta", 10000);
  for (const std::string_view key : {"rope_scaling", "rope_parameters"})  // the second since transformers 5
    if (const Json* scaling = reader.take(key)) {
      config.rope_scaling = read_scaling(*scaling, reader.name(key));
      if (const Json* theta = scaling->find("rope_theta")) config.rope_theta = theta->as_number(reader.name(key));
    }
  FT_CHECK_FILE(std::isfinite(config.rope_theta) && config.rope_theta > 0, range, what, ": rope_theta must be positive");
  reader.refuse_the_rest();
  validate(config, what);
  return config;
}

Json model_config_to_json(const ModelConfig& config) {
  Json json = Json::object();
  json["architectures"] = Json::Array{"LlamaForCausalLM"};
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["rope_theta"] = config.rope_theta;
  json["hidden_act"] = "silu";
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["attention_bias"] = config.attention_bias;
  json["mlp_bias"] = config.mlp_bias;
  const RopeScaling& scaling = config.rope_scaling;
  FT_CHECK(scaling.type != RopeScaling::Type::factors, unsupported,
           "[config] explicit rope factors have no form in config.json; keep the model as GGUF");
  if (scaling.type != RopeScaling::Type::none) {
    Json& entry = json["rope_scaling"];
    entry["rope_type"] = scaling.type == RopeScaling::Type::linear ? "linear" : "llama3";
    entry["factor"] = scaling.factor;
    if (scaling.type == RopeScaling::Type::llama3) {
      entry["low_freq_factor"] = scaling.low_freq_factor;
      entry["high_freq_factor"] = scaling.high_freq_factor;
      entry["original_max_position_embeddings"] = scaling.original_max_position_embeddings;
    }
  }
  return json;
}

namespace {

double llama3_frequency(double frequency, const RopeScaling& scaling) {
  const double wavelength = 6.283185307179586 / frequency;
  const double original = static_cast<double>(scaling.original_max_position_embeddings);
  const double low = original / scaling.low_freq_factor, high = original / scaling.high_freq_factor;
  if (wavelength > low) return frequency / scaling.factor;
  if (wavelength < high) return frequency;
  const double smooth = (original / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - smooth) * frequency / scaling.factor + smooth * frequency;
}

}  // namespace

std::vector<double> rope_inverse_frequencies(const ModelConfig& config) {
  std::vector<double> result(static_cast<std::size_t>(config.head_dim / 2));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    const double frequency = 1.0 / std::pow(config.rope_theta, exponent);
    switch (config.rope_scaling.type) {
      case RopeScaling::Type::none: result[i] = frequency; break;
      case RopeScaling::Type::linear: result[i] = frequency / config.rope_scaling.factor; break;
      case RopeScaling::Type::llama3: result[i] = llama3_frequency(frequency, config.rope_scaling); break;
      case RopeScaling::Type::factors: result[i] = frequency / double{config.rope_scaling.factors[i]}; break;
    }
  }
  return result;
}

std::string_view linear_path(LinearKind kind) noexcept {
  constexpr std::string_view kPaths[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                         "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  return kPaths[static_cast<int>(kind)];
}

std::string linear_name(std::int64_t layer, LinearKind kind) {
  return concat("model.layers.", layer, ".", linear_path(kind));
}

LinearShape linear_shape(const ModelConfig& config, LinearKind kind) noexcept {
  switch (kind) {
    case LinearKind::q_proj: return {config.q_size(), config.hidden_size};
    case LinearKind::k_proj:
    case LinearKind::v_proj: return {config.kv_size(), config.hidden_size};
    case LinearKind::o_proj: return {config.hidden_size, config.q_size()};
    case LinearKind::gate_proj:
    case LinearKind::up_proj: return {config.intermediate_size, config.hidden_size};
    case LinearKind::down_proj: break;
  }
  return {config.hidden_size, config.intermediate_size};
}

}  // namespace ftlib
