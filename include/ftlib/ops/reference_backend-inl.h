// SPDX-License-Identifier: Apache-2.0
// The last backend: the definitions of the op headers themselves, run in f32.
#pragma once
#include "ftlib/ops/attention.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/convert.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/embedding.h"
#include "ftlib/ops/nf4.h"
#include "ftlib/ops/reference_gemm-inl.h"
#include "ftlib/ops/rms_norm.h"
#include "ftlib/ops/rope.h"
#include "ftlib/ops/rows.h"
#include "ftlib/ops/swiglu.h"

namespace ftlib::inline FTLIB_ABI {
namespace reference {

inline Status run_attention(const AttentionArgs& a) noexcept {
  return with_storage(a.q.dtype, [&]<class S>() {
    attention<S>(heads_of<S>(a.q), heads_of<S>(a.k), heads_of<S>(a.v), a.segments, a.scale, heads_of<S>(a.y),
                 rows_of<float>(a.lse), a.q.shape[1], a.q.shape[1] / a.k.shape[1], a.q.shape[2]);
  });
}

inline Status run_attention_backward(const AttentionBackwardArgs& a) noexcept {
  return with_storage(a.q.dtype, [&]<class S>() {
    attention_backward<S>(heads_of<S>(a.q), heads_of<S>(a.k), heads_of<S>(a.v), heads_of<S>(a.y),
                          rows_of<float>(a.lse), heads_of<S>(a.dy), a.segments, a.scale, heads_of<S>(a.dq),
                          heads_of<S>(a.dk), heads_of<S>(a.dv), a.q.shape[1], a.q.shape[1] / a.k.shape[1],
                          a.q.shape[2]);
  });
}

inline Status run_rms_norm(const RmsNormArgs& a) noexcept {
  return with_storage(a.x.dtype, [&]<class S>() {
    rms_norm<S>(rows_of<S>(a.x), data_as<float>(a.weight), a.eps, rows_of<S>(a.y), data_as<float>(a.rstd),
                a.x.shape[0], a.x.shape[1]);
  });
}

inline Status run_rms_norm_backward(const RmsNormBackwardArgs& a) noexcept {
  return with_storage(a.x.dtype, [&]<class S>() {
    rms_norm_backward<S>(rows_of<S>(a.x), data_as<float>(a.weight), data_as<float>(a.rstd), rows_of<S>(a.dy),
                         rows_of<S>(a.residual), rows_of<S>(a.dx), a.x.shape[0], a.x.shape[1]);
  });
}

inline Status run_rope(const RopeArgs& a) noexcept {
  return with_storage(a.x.dtype, [&]<class S>() {
    rope<S>(heads_of<S>(a.x), data_as<std::int32_t>(a.positions), rows_of<float>(a.cos), rows_of<float>(a.sin),
            a.inverse, a.x.shape[0], a.x.shape[1], a.x.shape[2]);
  });
}

inline Status run_swiglu(const SwigluArgs& a) noexcept {
  return with_storage(a.gate.dtype, [&]<class S>() {
    swiglu<S>(rows_of<S>(a.gate), rows_of<S>(a.up), rows_of<S>(a.y), a.gate.shape[0], a.gate.shape[1]);
  });
}

inline Status run_swiglu_backward(const SwigluBackwardArgs& a) noexcept {
  return with_storage(a.gate.dtype, [&]<class S>() {
    swiglu_backward<S>(rows_of<S>(a.gate), rows_of<S>(a.up), rows_of<S>(a.dy), rows_of<S>(a.d_gate),
                       rows_of<S>(a.d_up), a.gate.shape[0], a.gate.shape[1]);
  });
}

inline Status run_embedding(const EmbeddingArgs& a) noexcept {
  return with_storage(a.y.dtype, [&]<class S>() {
    embedding<S>(data_as<std::int32_t>(a.tokens), a.weight, rows_of<S>(a.y), a.y.shape[0]);
  });
}

inline Status run_cross_entropy(const CrossEntropyArgs& a) noexcept {
  return with_storage(a.d_logits ? a.d_logits.dtype : DType::f32, [&]<class S>() {
    cross_entropy<float, S>(rows_of<float>(a.logits), data_as<std::int32_t>(a.targets), data_as<float>(a.weights),
                            a.gradient_scale, data_as<float>(a.nll), rows_of<S>(a.d_logits), a.logits.shape[0],
                            a.logits.shape[1]);
  });
}

inline Status run_dropout(const DropoutArgs& a) noexcept {
  return with_storage(a.x.dtype, [&]<class S>() {
    const auto x = rows_of<S>(a.x);
    const auto y = rows_of<S>(a.y);
    for (std::int64_t t = 0; t < a.x.shape[0]; ++t)
      dropout_row(x[t], a.key, data_as<std::int64_t>(a.row_keys)[t], a.probability, y[t], a.x.shape[1]);
  });
}

inline Status run_convert(const ConvertArgs& a) noexcept {
  const bool matrix = a.x.rank == 2;
  return with_storage(a.x.dtype, [&]<class From>() {
    with_storage(a.y.dtype, [&]<class To>() {
      convert<From, To>({data_as<From>(a.x), matrix ? a.x.stride[0] : 0},
                        {data_as<To>(a.y), matrix ? a.y.stride[0] : 0}, matrix ? a.x.shape[0] : 1, a.x.columns());
    });
  });
}

inline Status run_nf4_dequantize(const Nf4DequantizeArgs& a) noexcept {
  if (a.values.dtype == DType::f32) nf4_dequantize(a.weight, data_as<float>(a.values));
  if (a.values.dtype == DType::bf16) nf4_dequantize(a.weight, data_as<bf16>(a.values));
  if (a.values.dtype == DType::f16) nf4_dequantize(a.weight, data_as<f16>(a.values));
  return Status::ok;
}

inline Status run_nf4_quantize(const Nf4QuantizeArgs& a) noexcept {
  const auto run = [&]<class T>(const T* values) {
    nf4_quantize(values, a.values.numel(), a.block_size, data_as<std::uint8_t>(a.codes), data_as<float>(a.absmax));
    return Status::ok;
  };
  if (a.values.dtype == DType::f32) return run(data_as<float>(a.values));
  if (a.values.dtype == DType::bf16) return run(data_as<bf16>(a.values));
  return run(data_as<f16>(a.values));
}

}  // namespace reference

namespace detail {

FTLIB_INLINE const KernelTable& reference_backend() noexcept {
  static constexpr KernelTable table{
      .name = "ref",
      .available = []() noexcept { return true; },
      .matmul = reference_matmul,
      .linear = reference_linear,
      .linear_backward = reference_linear_backward,
      .attention = reference::run_attention,
      .attention_backward = reference::run_attention_backward,
      .rms_norm = reference::run_rms_norm,
      .rms_norm_backward = reference::run_rms_norm_backward,
      .rope = reference::run_rope,
      .swiglu = reference::run_swiglu,
      .swiglu_backward = reference::run_swiglu_backward,
      .embedding = reference::run_embedding,
      .cross_entropy = reference::run_cross_entropy,
      .dropout = reference::run_dropout,
      .convert = reference::run_convert,
      .nf4_quantize = reference::run_nf4_quantize,
      .nf4_dequantize = reference::run_nf4_dequantize,
  };
  return table;
}

}  // namespace detail
}  // namespace ftlib
