// SPDX-License-Identifier: Apache-2.0
#include "model/pass_plan.h"

#include <algorithm>

namespace ftlib::inline FTLIB_ABI {
namespace {

// Logits of one chunk of supervised rows; a chunk shares one decoding of the head.
constexpr std::int64_t kLogitsBytes = std::int64_t{48} << 20;
constexpr std::int64_t kMostHeadRows = 256, kFewestHeadRows = 16;

}  // namespace

PassPlan::PassPlan(const CausalLM& model, const LoraAdapter* adapter, const PassOptions& options)
    : config_(model.config()),
      adapter_(adapter),
      options_(options),
      dtype_(model.compute()),
      width_(dtype_bytes(model.compute())),
      tokens_(options.max_tokens),
      positions_(options.max_positions > 0 ? options.max_positions : options.max_tokens) {
  FT_CHECK(tokens_ >= 1, invalid_argument, "[pass] max_tokens must be at least 1, got ", tokens_);
  FT_CHECK(positions_ <= config_.max_position_embeddings, invalid_argument, "[pass] a segment of ", positions_,
           " tokens is longer than the model's ", config_.max_position_embeddings, " positions");
  const std::int64_t layers = config_.num_hidden_layers;
  FT_CHECK(options_.keep.empty() || static_cast<std::int64_t>(options_.keep.size()) == layers, invalid_argument,
           "[pass] keep has ", options_.keep.size(), " entries for ", layers, " layers");
  if (adapter_)
    for (const LoraModule& module : adapter_->modules) largest_rank_ = std::max(largest_rank_, module.r);
  // Without a backward pass two hidden states take turns; with one, each layer's input is kept.
  for (std::int64_t i = 0; i < (options_.backward ? layers + 1 : 2); ++i) hidden_.push_back(add("hidden", config_.hidden_size));
  const LayerSlots shared = add_layer(-1, nullptr);
  for (std::int64_t layer = 0; layer < layers; ++layer) layers_.push_back(add_layer(layer, &shared));
  normed_ = add("normed", config_.hidden_size);
  activated_ = add("activated", config_.intermediate_size);
  const bool drops = adapter_ && adapter_->config.lora_dropout > 0 && options_.backward;
  dropped_ = add("dropped", drops ? std::max({config_.hidden_size, config_.q_size(), config_.intermediate_size}) : 0);
  const std::int64_t backward = options_.backward ? 1 : 0;
  d_normed_ = add("d_normed", backward * config_.hidden_size);
  d_qkv_ = add("d_qkv", backward * (config_.q_size() + 2 * config_.kv_size()));
  d_attention_ = add("d_attention", backward * config_.q_size());
  du_ = add("d_u", backward * largest_rank_);
  d_hidden_ = add("d_hidden", backward * config_.hidden_size);
  add_head();
  add_adapter();
  cos_ = add_floats("cos", positions_ * (config_.head_dim / 2));
  sin_ = add_floats("sin", positions_ * (config_.head_dim / 2));
}

Keep PassPlan::keep(std::int64_t layer) const noexcept {
  if (!options_.backward) return Keep::input;
  return options_.keep.empty() ? Keep::gemm_outputs : options_.keep[static_cast<std::size_t>(layer)];
}

/// layer -1 adds what layers that do not keep share: as little as their plans need.
PassPlan::LayerSlots PassPlan::add_layer(std::int64_t layer, const LayerSlots* shared) {
  const auto wanted = [&](Keep at_most) {
    if (layer >= 0) return keep(layer) <= at_most;
    for (std::int64_t other = 0; other < config_.num_hidden_layers; ++other)
      if (keep(other) > at_most) return true;
    return false;
  };
  LayerSlots slots = shared ? *shared : LayerSlots{};
  if (wanted(Keep::without_mlp)) {
    slots.input_rstd = add_floats("input_rstd", tokens_);
    slots.qkv = add("qkv", config_.q_size() + 2 * config_.kv_size());
    slots.attention = add("attention", config_.q_size());
    slots.lse = add_floats("lse", tokens_ * config_.num_attention_heads);
    slots.middle = add("middle", config_.hidden_size);
    slots.middle_rstd = add_floats("middle_rstd", tokens_);
    for (int kind = 0; kind < kLinearKinds; ++kind) {
      const LoraModule* module =
          adapter_ && layer >= 0 ? adapter_->find(layer, static_cast<LinearKind>(kind)) : nullptr;
      slots.u[static_cast<std::size_t>(kind)] = add("u", layer < 0 ? largest_rank_ : module ? module->r : 0);
    }
  }
  if (wanted(Keep::gemm_outputs)) slots.gate_up = add("gate_up", 2 * config_.intermediate_size);
  return slots;
}

void PassPlan::add_head() {
  head_rows_ = std::clamp(kLogitsBytes / (4 * config_.vocab_size), kFewestHeadRows, kMostHeadRows);
  head_rows_ = std::min(head_rows_, tokens_);
  head_hidden_ = add("head_hidden", config_.hidden_size);
  head_normed_ = add("head_normed", config_.hidden_size);
  head_gradient_ = add("head_gradient", options_.backward ? config_.hidden_size : 0);
  head_rstd_ = add_floats("head_rstd", tokens_);
  logits_ = add_floats("logits", head_rows_ * config_.vocab_size);
}

void PassPlan::add_adapter() {
  if (adapter_ == nullptr || dtype_ == DType::f32) return;
  for (const LoraModule& module : adapter_->modules) {
    adapter_a_.push_back(arena_.add("adapter", module.r * module.in * width_));
    adapter_b_.push_back(arena_.add("adapter", module.out * module.r * width_));
  }
}

TensorView PassPlan::hidden(std::int64_t layer, std::int64_t tokens) {
  return rows(hidden_[static_cast<std::size_t>(options_.backward ? layer : layer % 2)], tokens, config_.hidden_size);
}

LayerActivations PassPlan::activations(std::int64_t layer, std::int64_t tokens) {
  const LayerSlots& slots = layers_[static_cast<std::size_t>(layer)];
  LayerActivations kept;
  kept.input = hidden(layer, tokens);
  kept.qkv = rows(slots.qkv, tokens, config_.q_size() + 2 * config_.kv_size());
  kept.attention = rows(slots.attention, tokens, config_.q_size());
  kept.middle = rows(slots.middle, tokens, config_.hidden_size);
  kept.gate_up = rows(slots.gate_up, tokens, 2 * config_.intermediate_size);
  kept.input_rstd = vector(slots.input_rstd, tokens);
  kept.middle_rstd = vector(slots.middle_rstd, tokens);
  kept.lse = matrix_view<void*>(arena_.at(slots.lse), config_.num_attention_heads, tokens);
  for (int kind = 0; kind < kLinearKinds; ++kind)
    if (const LoraModule* module = adapter_ ? adapter_->find(layer, static_cast<LinearKind>(kind)) : nullptr)
      kept.u[static_cast<std::size_t>(kind)] = rows(slots.u[static_cast<std::size_t>(kind)], tokens, module->r);
  return kept;
}

LayerScratch PassPlan::scratch(std::int64_t tokens) {
  const std::int64_t widest = std::max({config_.hidden_size, config_.q_size(), config_.intermediate_size});
  return {rows(normed_, tokens, config_.hidden_size),
          rows(activated_, tokens, config_.intermediate_size),
          rows(dropped_, tokens, widest),
          rows(d_normed_, tokens, config_.hidden_size),
          rows(d_qkv_, tokens, config_.q_size() + 2 * config_.kv_size()),
          rows(d_attention_, tokens, config_.q_size()),
          rows(du_, tokens, largest_rank_)};
}

TensorView PassPlan::adapter_a(std::size_t module) {
  const LoraModule& m = adapter_->modules[module];
  if (dtype_ == DType::f32) return matrix_view<void*>(m.a, m.r, m.in);
  return matrix_view<void*>(arena_.at(adapter_a_[module]), m.r, m.in, dtype_);
}

TensorView PassPlan::adapter_b(std::size_t module) {
  const LoraModule& m = adapter_->modules[module];
  if (dtype_ == DType::f32) return matrix_view<void*>(m.b, m.out, m.r);
  return matrix_view<void*>(arena_.at(adapter_b_[module]), m.out, m.r, dtype_);
}

}  // namespace ftlib
