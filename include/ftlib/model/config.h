// SPDX-License-Identifier: Apache-2.0
// Architecture is data: what one decoder body needs to know, from config.json or GGUF metadata, validated once.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {

class GgufFile;

/// Rotary frequencies are stretched for longer contexts: none, linear (divide by factor) or Llama 3's ramp
/// (transformers, modeling_rope_utils: _compute_llama3_parameters), or GGUF's explicit divisors per frequency.
struct RopeScaling {
  enum class Type : std::int32_t { none = 0, linear, llama3, factors } type = Type::none;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  std::int64_t original_max_position_embeddings = 8192;
  std::vector<float> factors;  ///< [E/2], GGUF's rope_freqs.weight
};

/// Names and meaning as in Hugging Face's config.json.
struct ModelConfig {
  std::string model_type = "llama";
  std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0, max_position_embeddings = 0;
  double rms_norm_eps = 1e-5, rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false;

  std::int64_t q_size() const noexcept { return num_attention_heads * head_dim; }
  std::int64_t kv_size() const noexcept { return num_key_value_heads * head_dim; }
};

/// From a parsed config.json. `what` names it in errors. Every key is consumed or on the list of harmless ones; any other
/// is Error{unsupported} by name.
ModelConfig model_config_from_json(const Json& json, std::string_view what);

/// Throws Error{invalid_file, RANGE} where the numbers do not fit each other.
void validate(const ModelConfig& config, std::string_view what);

/// From GGUF metadata (general.architecture = llama); rope_freqs.weight is read by the loader of the weights.
ModelConfig model_config_from_gguf(const GgufFile& file);

/// The config.json that transformers reads, without quantization_config.
Json model_config_to_json(const ModelConfig& config);

/// Inverse frequencies [E/2] after scaling, in double.
std::vector<double> rope_inverse_frequencies(const ModelConfig& config);

/// The linear layers of one decoder layer, in the order of the computation.
enum class LinearKind : std::int32_t { q_proj = 0, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj };
inline constexpr int kLinearKinds = 7;

/// "self_attn.q_proj", "mlp.down_proj": the module's path below its layer.
std::string_view linear_path(LinearKind kind) noexcept;

/// "model.layers.3.self_attn.q_proj"
std::string linear_name(std::int64_t layer, LinearKind kind);

/// out and in of one linear.
struct LinearShape {
  std::int64_t out, in;
};
LinearShape linear_shape(const ModelConfig& config, LinearKind kind) noexcept;

}  // namespace ftlib
