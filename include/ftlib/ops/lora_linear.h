// SPDX-License-Identifier: Apache-2.0
// A frozen linear with its low-rank update, forward and backward: the products of linear.h and matmul.h in their order.
// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, equation 3.
//
//   forward    u = x A^T                          y = x W^T + bias + scale * u B^T + residual
//   backward   du = scale * dy B                  dA += du^T x    dB += scale * dy^T u
//              dx = dy W + du A + residual        the frozen weight gets no gradient
#pragma once
#include "ftlib/ops/linear.h"
#include "ftlib/ops/matmul.h"

namespace ftlib::inline FTLIB_ABI {

/// x         [T, K]  f32 | bf16
/// weight    [N, K]  any WeightFormat
/// bias      [N]     f32; may be absent
/// lora_x    [T, K]  what A sees, x after dropout; absent: x
/// a, b      [R, K], [N, R]  dtype of x
/// u         [T, R]  dtype of x; overwritten; the backward pass needs it
/// residual  [T, N]  dtype of y; may be absent; may alias y
/// y         [T, N]  f32, or bf16 where x is; overwritten; must not overlap x
struct LoraLinearArgs {
  ConstTensorView x;
  WeightView weight;
  ConstTensorView bias, lora_x, a, b;
  float scale = 1;
  TensorView u;
  ConstTensorView residual;
  TensorView y;
};

/// Throws as linear() and matmul(). Thread-safe. Bits as linear.h says.
inline void lora_linear(const LoraLinearArgs& args) {
  matmul({args.lora_x ? args.lora_x : args.x, args.a, args.u, false, true});
  linear({args.x, args.weight, args.bias, {args.u, args.b, args.scale}, args.residual, args.y});
}

/// dy        [T, N]  f32 | bf16
/// x, a, b, u        as lora_linear() had and left them, dtype of dy; x is what A saw
/// du        [T, R]  dtype of dy; overwritten; lora_linear_backward_input() needs it
/// d_a, d_b  [R, K], [N, R]  f32; added to
struct LoraLinearBackwardArgs {
  ConstTensorView dy, x, a, b, u;
  float scale = 1;
  TensorView du, d_a, d_b;
};

/// The adapter's gradients. Throws as matmul(). Thread-safe on buffers of its own.
inline void lora_linear_backward(const LoraLinearBackwardArgs& args) {
  matmul({args.dy, args.u, args.d_b, true, false, args.scale, 1});
  matmul({args.dy, args.b, args.du, false, false, args.scale});
  matmul({args.du, args.x, args.d_a, true, false, 1, 1});
}

/// dx = dy W + du A + residual, after lora_linear_backward() without dropout. `residual` may be absent, or alias dx.
inline void lora_linear_backward_input(const ConstTensorView& dy, const WeightView& weight, const ConstTensorView& du,
                                       const ConstTensorView& a, const TensorView& dx,
                                       const ConstTensorView& residual = {}) {
  linear_backward({dy, weight, {du, a, 1}, residual, dx});
}

}  // namespace ftlib
