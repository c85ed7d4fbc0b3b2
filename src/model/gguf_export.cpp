// SPDX-License-Identifier: Apache-2.0
#include "model/gguf_export.h"

#include <limits>

namespace ftlib::inline FTLIB_ABI {

std::vector<GgufField> gguf_model_fields(const ModelConfig& model) {
  std::vector<GgufField> fields;
  const auto integer = [&](std::string_view key, std::int64_t value) {
    FT_CHECK(value <= std::numeric_limits<std::uint32_t>::max(), unsupported, "[gguf] llama.", key, " ", value,
             " does not fit 32 bits");
    fields.emplace_back(concat("llama.", key), GgufValue::u32(static_cast<std::uint32_t>(value)));
  };
  const auto number = [&](std::string_view key, double value) {
    fields.emplace_back(concat("llama.", key), GgufValue::f32(static_cast<float>(value)));
  };
  integer("vocab_size", model.vocab_size);
  integer("block_count", model.num_hidden_layers);
  integer("context_length", model.max_position_embeddings);
  integer("embedding_length", model.hidden_size);
  integer("feed_forward_length", model.intermediate_size);
  integer("attention.head_count", model.num_attention_heads);
  integer("attention.head_count_kv", model.num_key_value_heads);
  integer("attention.key_length", model.head_dim);
  integer("attention.value_length", model.head_dim);
  integer("rope.dimension_count", model.head_dim);
  number("attention.layer_norm_rms_epsilon", model.rms_norm_eps);
  number("rope.freq_base", model.rope_theta);
  if (model.rope_scaling.type == RopeScaling::Type::linear) {
    fields.emplace_back("llama.rope.scaling.type", GgufValue::string("linear"));
    number("rope.scaling.factor", model.rope_scaling.factor);
  }
  return fields;
}

std::vector<float> gguf_rope_factors(const ModelConfig& model) {
  if (model.rope_scaling.type == RopeScaling::Type::factors) return model.rope_scaling.factors;
  if (model.rope_scaling.type != RopeScaling::Type::llama3) return {};
  ModelConfig plain = model;
  plain.rope_scaling = {};
  const std::vector<double> unscaled = rope_inverse_frequencies(plain), scaled = rope_inverse_frequencies(model);
  std::vector<float> factors(scaled.size());
  for (std::size_t i = 0; i < factors.size(); ++i) factors[i] = static_cast<float>(unscaled[i] / scaled[i]);
  return factors;
}

}  // namespace ftlib
