// SPDX-License-Identifier: Apache-2.0
// One decoder layer, forward and backward, over buffers that the pass has planned.
#pragma once
#include <array>
#include <cstdint>

#include "ftlib/model/causal_lm.h"
#include "ftlib/ops/attention.h"

namespace ftlib::inline FTLIB_ABI {

/// One adapted linear as the layer sees it: values in the compute dtype, gradients in f32.
struct LayerAdapter {
  ConstTensorView a, b;  ///< [R, in], [out, R]; a.data null: not adapted
  TensorView d_a, d_b;   ///< f32, accumulated
  float scale = 1;
  std::uint64_t dropout_key = 0;

  explicit operator bool() const noexcept { return a.data != nullptr; }
};

/// What one layer leaves for its backward pass; all [T, ...].
struct LayerActivations {
  TensorView input, qkv, attention, middle, gate_up;
  TensorView input_rstd, middle_rstd, lse;
  std::array<TensorView, kLinearKinds> u;  ///< [T, R] x A^T
};

/// Buffers that all layers share.
struct LayerScratch {
  TensorView normed, activated, dropped;        ///< [T, D], [T, F], [T, max in]
  TensorView d_normed, d_qkv, d_attention, du;  ///< [T, D], [T, Q + 2 KV], [T, Q], [T, max R]
};

/// Everything about the batch and the layer that the arithmetic needs.
struct LayerContext {
  const ModelConfig& config;
  const LayerWeights& weights;
  std::array<LayerAdapter, kLinearKinds> adapters;
  ConstTensorView positions, cos, sin, row_keys;
  AttentionSegments segments;
  float dropout = 0;
  LayerScratch scratch;
  TensorView cache_k, cache_v;              ///< generation: [rows, K, E]; data null in training
  const std::int32_t* cache_rows = nullptr;  ///< [T]
};

/// output [T, D] = layer(activations.input).
void forward_layer(const LayerContext& layer, const LayerActivations& activations, TensorView output);

/// Makes gate_up (and nothing else) again from `middle`.
void recompute_mlp(const LayerContext& layer, const LayerActivations& activations);

/// d_hidden [T, D]: gradient of the layer's output on entry, of its input on return (left undefined where
/// `input_gradient` is false: nothing below needs it). Destroys activations.gate_up.
void backward_layer(const LayerContext& layer, const LayerActivations& activations, TensorView d_hidden,
                    bool input_gradient);

}  // namespace ftlib
