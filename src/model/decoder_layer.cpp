// SPDX-License-Identifier: Apache-2.0
#include "model/decoder_layer.h"

#include <cmath>
#include <cstring>

#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/lora_linear.h"
#include "ftlib/ops/rms_norm.h"
#include "ftlib/ops/rope.h"
#include "ftlib/ops/swiglu.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kRowGrain = 64;

TensorView columns(const TensorView& v, std::int64_t begin, std::int64_t count) {
  TensorView slice = v;
  slice.data = static_cast<char*>(v.data) + begin * dtype_bytes(v.dtype);
  slice.shape[1] = count;
  return slice;
}

/// [T, heads * E] as [T, heads, E].
TensorView by_heads(const TensorView& v, std::int64_t head_dim) {
  TensorView heads = v;
  heads.rank = 3;
  heads.shape[1] = v.shape[1] / head_dim, heads.shape[2] = head_dim;
  heads.stride[0] = v.stride[0], heads.stride[1] = head_dim, heads.stride[2] = 1;
  return heads;
}

struct Qkv {
  TensorView q, k, v;
};
Qkv split_qkv(const ModelConfig& config, const TensorView& qkv) {
  return {columns(qkv, 0, config.q_size()), columns(qkv, config.q_size(), config.kv_size()),
          columns(qkv, config.q_size() + config.kv_size(), config.kv_size())};
}

struct GateUp {
  TensorView gate, up;
};
GateUp split_gate_up(const ModelConfig& config, const TensorView& gate_up) {
  return {columns(gate_up, 0, config.intermediate_size),
          columns(gate_up, config.intermediate_size, config.intermediate_size)};
}

template <class T>
void add_rows(const TensorView& x, const TensorView& y) {
  parallel_ranges(x.shape[0], kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const T* from = data_as<T>(x) + t * x.stride[0];
      T* to = data_as<T>(y) + t * y.stride[0];
      for (std::int64_t d = 0; d < x.shape[1]; ++d) to[d] = from_float<T>(to_float(to[d]) + to_float(from[d]));
    }
  });
}

/// y += x.
void accumulate(const TensorView& x, const TensorView& y) {
  x.dtype == DType::f32 ? add_rows<float>(x, y) : add_rows<bf16>(x, y);
}

/// One linear with its adapter, bound to a layer.
class AdaptedLinear {
 public:
  AdaptedLinear(const LayerContext& layer, const LayerActivations& kept, LinearKind kind)
      : layer_(layer), index_(static_cast<std::size_t>(kind)), adapter_(layer.adapters[index_]), u_(kept.u[index_]) {}

  /// y = x W^T + bias + scale * (dropout(x) A^T) B^T + residual.
  void forward(const TensorView& x, const TensorView& y, const ConstTensorView& residual = {}) const {
    const WeightView& weight = layer_.weights.linear[index_];
    if (!adapter_) return linear({x, weight, bias(), {}, residual, y});
    lora_linear({x, weight, bias(), adapter_input(x), adapter_.a, adapter_.b, adapter_.scale, u_, residual, y});
  }

  /// Adds to the adapter's gradients; du = scale * dy B is left for backward_input.
  void backward_parameters(const TensorView& x, const TensorView& dy) const {
    if (!adapter_) return;
    lora_linear_backward({dy, adapter_input(x), adapter_.a, adapter_.b, u_, adapter_.scale, du(), adapter_.d_a,
                          adapter_.d_b});
  }

  /// dx = dy W + dropout(du A) + residual; after backward_parameters.
  void backward_input(const TensorView& dy, const TensorView& dx, const ConstTensorView& residual = {}) const {
    const WeightView& weight = layer_.weights.linear[index_];
    if (adapter_ && layer_.dropout <= 0) return lora_linear_backward_input(dy, weight, du(), adapter_.a, dx, residual);
    linear_backward({dy, weight, {}, residual, dx});
    if (!adapter_) return;
    const TensorView update = columns(layer_.scratch.dropped, 0, dx.shape[1]);
    matmul({du(), adapter_.a, update});
    dropout({update, layer_.row_keys, adapter_.dropout_key, layer_.dropout, update});
    accumulate(update, dx);
  }

 private:
  ConstTensorView bias() const {
    const float* data = layer_.weights.bias[index_];
    if (data == nullptr) return {};
    return vector_view<const void*>(data, layer_.weights.linear[index_].out());
  }
  TensorView du() const { return columns(layer_.scratch.du, 0, adapter_.a.shape[0]); }
  TensorView adapter_input(const TensorView& x) const {
    if (layer_.dropout <= 0) return x;
    const TensorView dropped = columns(layer_.scratch.dropped, 0, x.shape[1]);
    dropout({x, layer_.row_keys, adapter_.dropout_key, layer_.dropout, dropped});
    return dropped;
  }

  const LayerContext& layer_;
  std::size_t index_;
  const LayerAdapter& adapter_;
  TensorView u_;
};

void norm(const LayerContext& layer, const TensorView& x, const float* weight, const TensorView& rstd) {
  const auto eps = static_cast<float>(layer.config.rms_norm_eps);
  rms_norm({x, vector_view<const void*>(weight, x.shape[1]), eps, layer.scratch.normed, rstd});
}

void norm_backward(const LayerContext& layer, const TensorView& x, const float* weight, const TensorView& rstd,
                   const TensorView& d_hidden) {
  rms_norm_backward({x, vector_view<const void*>(weight, x.shape[1]), rstd, layer.scratch.d_normed, d_hidden, d_hidden});
}

/// Copies this batch's keys or values [T, K, E] to their cache rows.
void store_rows(const LayerContext& layer, const TensorView& from, const TensorView& cache) {
  const std::int64_t size = dtype_bytes(from.dtype);
  for (std::int64_t t = 0; t < from.shape[0]; ++t)
    for (std::int64_t head = 0; head < from.shape[1]; ++head)
      std::memcpy(static_cast<char*>(cache.data) + (layer.cache_rows[t] * cache.stride[0] + head * cache.stride[1]) * size,
                  static_cast<const char*>(from.data) + (t * from.stride[0] + head * from.stride[1]) * size,
                  static_cast<std::size_t>(from.shape[2] * size));
}

float attention_scale(const ModelConfig& config) { return 1.0f / std::sqrt(static_cast<float>(config.head_dim)); }

void forward_attention(const LayerContext& layer, const LayerActivations& kept) {
  const std::int64_t head_dim = layer.config.head_dim;
  const auto [q, k, v] = split_qkv(layer.config, kept.qkv);
  norm(layer, kept.input, layer.weights.input_norm, kept.input_rstd);
  AdaptedLinear(layer, kept, LinearKind::q_proj).forward(layer.scratch.normed, q);
  AdaptedLinear(layer, kept, LinearKind::k_proj).forward(layer.scratch.normed, k);
  AdaptedLinear(layer, kept, LinearKind::v_proj).forward(layer.scratch.normed, v);
  rope({by_heads(q, head_dim), layer.positions, layer.cos, layer.sin});
  rope({by_heads(k, head_dim), layer.positions, layer.cos, layer.sin});
  ConstTensorView keys = by_heads(k, head_dim), values = by_heads(v, head_dim);
  if (layer.cache_k) {
    store_rows(layer, by_heads(k, head_dim), layer.cache_k);
    store_rows(layer, by_heads(v, head_dim), layer.cache_v);
    keys = layer.cache_k, values = layer.cache_v;
  }
  attention({by_heads(q, head_dim), keys, values, layer.segments, attention_scale(layer.config),
             by_heads(kept.attention, head_dim), kept.lse});
}

void activate(const LayerContext& layer, const LayerActivations& kept) {
  const auto [gate, up] = split_gate_up(layer.config, kept.gate_up);
  swiglu({gate, up, layer.scratch.activated});
}

void backward_mlp(const LayerContext& layer, const LayerActivations& kept, const TensorView& d_hidden,
                  bool middle_gradient) {
  const auto [gate, up] = split_gate_up(layer.config, kept.gate_up);
  const AdaptedLinear down(layer, kept, LinearKind::down_proj), up_proj(layer, kept, LinearKind::up_proj),
      gate_proj(layer, kept, LinearKind::gate_proj);
  activate(layer, kept);
  down.backward_parameters(layer.scratch.activated, d_hidden);
  down.backward_input(d_hidden, layer.scratch.activated);  // d_activated takes activated's place
  swiglu_backward({gate, up, layer.scratch.activated, gate, up});
  norm(layer, kept.middle, layer.weights.post_attention_norm, {});
  up_proj.backward_parameters(layer.scratch.normed, up);
  if (middle_gradient) up_proj.backward_input(up, layer.scratch.d_normed);
  gate_proj.backward_parameters(layer.scratch.normed, gate);
  if (!middle_gradient) return;
  gate_proj.backward_input(gate, layer.scratch.d_normed, layer.scratch.d_normed);
  norm_backward(layer, kept.middle, layer.weights.post_attention_norm, kept.middle_rstd, d_hidden);
}

void backward_attention(const LayerContext& layer, const LayerActivations& kept, const TensorView& d_hidden,
                        bool input_gradient) {
  const std::int64_t head_dim = layer.config.head_dim;
  const LayerScratch& s = layer.scratch;
  const auto [q, k, v] = split_qkv(layer.config, kept.qkv);
  const auto [dq, dk, dv] = split_qkv(layer.config, s.d_qkv);
  attention_backward({by_heads(q, head_dim), by_heads(k, head_dim), by_heads(v, head_dim),
                      by_heads(kept.attention, head_dim), kept.lse, by_heads(s.d_attention, head_dim), layer.segments,
                      attention_scale(layer.config), by_heads(dq, head_dim), by_heads(dk, head_dim),
                      by_heads(dv, head_dim)});
  rope({by_heads(dq, head_dim), layer.positions, layer.cos, layer.sin, true});
  rope({by_heads(dk, head_dim), layer.positions, layer.cos, layer.sin, true});
  norm(layer, kept.input, layer.weights.input_norm, {});
  ConstTensorView sum;
  const std::pair<LinearKind, TensorView> projections[] = {
      {LinearKind::q_proj, dq}, {LinearKind::k_proj, dk}, {LinearKind::v_proj, dv}};
  for (const auto& [kind, dy] : projections) {
    const AdaptedLinear projection(layer, kept, kind);
    projection.backward_parameters(s.normed, dy);
    if (!input_gradient) continue;
    projection.backward_input(dy, s.d_normed, sum);
    sum = s.d_normed;
  }
  if (input_gradient) norm_backward(layer, kept.input, layer.weights.input_norm, kept.input_rstd, d_hidden);
}

bool any(const LayerContext& layer, std::initializer_list<LinearKind> kinds) {
  for (const LinearKind kind : kinds)
    if (layer.adapters[static_cast<std::size_t>(kind)]) return true;
  return false;
}

}  // namespace

void recompute_mlp(const LayerContext& layer, const LayerActivations& kept) {
  const auto [gate, up] = split_gate_up(layer.config, kept.gate_up);
  norm(layer, kept.middle, layer.weights.post_attention_norm, kept.middle_rstd);
  AdaptedLinear(layer, kept, LinearKind::gate_proj).forward(layer.scratch.normed, gate);
  AdaptedLinear(layer, kept, LinearKind::up_proj).forward(layer.scratch.normed, up);
}

void forward_layer(const LayerContext& layer, const LayerActivations& kept, TensorView output) {
  forward_attention(layer, kept);
  AdaptedLinear(layer, kept, LinearKind::o_proj).forward(kept.attention, kept.middle, kept.input);
  recompute_mlp(layer, kept);
  activate(layer, kept);
  AdaptedLinear(layer, kept, LinearKind::down_proj).forward(layer.scratch.activated, output, kept.middle);
}

void backward_layer(const LayerContext& layer, const LayerActivations& kept, TensorView d_hidden, bool input_gradient) {
  const bool qkv_gradient = input_gradient || any(layer, {LinearKind::q_proj, LinearKind::k_proj, LinearKind::v_proj});
  const bool middle_gradient = qkv_gradient || any(layer, {LinearKind::o_proj});
  backward_mlp(layer, kept, d_hidden, middle_gradient);
  if (!middle_gradient) return;
  const AdaptedLinear o_proj(layer, kept, LinearKind::o_proj);
  o_proj.backward_parameters(kept.attention, d_hidden);
  if (!qkv_gradient) return;
  o_proj.backward_input(d_hidden, layer.scratch.d_attention);
  backward_attention(layer, kept, d_hidden, input_gradient);
}

}  // namespace ftlib
