// SPDX-License-Identifier: Apache-2.0
// Where every buffer of a pass lies: per layer what is kept, once what is shared.
#pragma once
#include <vector>

#include "model/decoder_layer.h"

namespace ftlib::inline FTLIB_ABI {

/// Slots of the arena, by meaning; allocate() turns them into views for a batch of T tokens.
class PassPlan {
 public:
  PassPlan(const CausalLM& model, const LoraAdapter* adapter, const PassOptions& options);

  std::int64_t bytes() const noexcept { return arena_.planned_bytes(); }
  const std::vector<ArenaSlot>& slots() const noexcept { return arena_.slots(); }
  void allocate() { arena_.allocate(); }

  Keep keep(std::int64_t layer) const noexcept;
  std::int64_t head_rows() const noexcept { return head_rows_; }

  /// Views of T rows; `layer` may be num_hidden_layers for the final hidden state.
  TensorView hidden(std::int64_t layer, std::int64_t tokens);
  LayerActivations activations(std::int64_t layer, std::int64_t tokens);
  LayerScratch scratch(std::int64_t tokens);
  TensorView d_hidden(std::int64_t tokens) { return rows(d_hidden_, tokens, config_.hidden_size); }

  /// The supervised rows: gathered hidden, after the norm, its gradient.
  TensorView head_hidden(std::int64_t count) { return rows(head_hidden_, count, config_.hidden_size); }
  TensorView head_normed(std::int64_t count) { return rows(head_normed_, count, config_.hidden_size); }
  TensorView head_gradient(std::int64_t count) { return rows(head_gradient_, count, config_.hidden_size); }
  TensorView head_rstd(std::int64_t count) { return vector(head_rstd_, count); }
  TensorView logits() { return matrix_view<void*>(arena_.at(logits_), head_rows_, config_.vocab_size); }

  /// A module's values in the compute dtype; module numbers as in adapter->modules.
  TensorView adapter_a(std::size_t module);
  TensorView adapter_b(std::size_t module);
  /// cos, sin [P, E/2] f32.
  TensorView cosines() { return matrix_view<void*>(arena_.at(cos_), positions_, config_.head_dim / 2); }
  TensorView sines() { return matrix_view<void*>(arena_.at(sin_), positions_, config_.head_dim / 2); }
  std::int64_t positions() const noexcept { return positions_; }

 private:
  struct LayerSlots {
    std::size_t input_rstd, qkv, attention, lse, middle, middle_rstd, gate_up;
    std::array<std::size_t, kLinearKinds> u;
  };

  std::size_t add(const char* name, std::int64_t columns) { return arena_.add(name, tokens_ * columns * width_); }
  std::size_t add_floats(const char* name, std::int64_t count) { return arena_.add(name, count * 4); }
  LayerSlots add_layer(std::int64_t layer, const LayerSlots* shared);
  void add_head();
  void add_adapter();
  TensorView rows(std::size_t slot, std::int64_t count, std::int64_t columns) {
    return matrix_view<void*>(arena_.at(slot), count, columns, dtype_);
  }
  TensorView vector(std::size_t slot, std::int64_t count) { return vector_view<void*>(arena_.at(slot), count); }

  const ModelConfig& config_;
  const LoraAdapter* adapter_;
  PassOptions options_;
  DType dtype_;
  std::int64_t width_, tokens_, positions_, head_rows_ = 0;
  std::int64_t largest_rank_ = 0;
  Arena arena_;
  std::vector<std::size_t> hidden_;
  std::vector<LayerSlots> layers_;
  std::vector<std::size_t> adapter_a_, adapter_b_;
  std::size_t normed_, activated_, dropped_, d_normed_, d_qkv_, d_attention_, du_, d_hidden_;
  std::size_t head_hidden_, head_normed_, head_gradient_, head_rstd_, logits_, cos_, sin_;
};

}  // namespace ftlib
