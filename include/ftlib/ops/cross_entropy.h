// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of a block of logits with its gradient, and the language-model head around it: logits exist only for one
// chunk of supervised rows at a time, and the gradient is made in the forward pass.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

namespace ftlib::inline FTLIB_ABI {

/// nll[s] = logsumexp(logits[s]) - logits[s, targets[s]],
/// d_logits[s] = weights[s] * gradient_scale * (softmax(logits[s]) - onehot(targets[s]))
///
/// logits    [S, V]  f32, rows may be strided
/// targets   [S]     i32 in [0, V)
/// weights   [S]     f32; absent: all 1
/// nll       [S]     f32, nats, unweighted; overwritten
/// d_logits  [S, V]  f32 | bf16; may be absent; each row may lie in the memory of the same row of logits
struct CrossEntropyArgs {
  ConstTensorView logits, targets, weights;
  float gradient_scale = 1;
  TensorView nll, d_logits;
};

/// Throws Error{invalid_argument} on a mismatch or a target outside the vocabulary. Thread-safe. Allocates nothing.
void cross_entropy(const CrossEntropyArgs& args);

/// The head in chunks: logits = hidden head^T, cross_entropy, d_hidden = d_logits head.
///
/// hidden    [S, D]  f32 | bf16: the supervised rows, after the final norm
/// head      [V, D]  any WeightFormat
/// d_hidden  [S, D]  dtype of hidden; may be absent; may not alias hidden; overwritten
/// logits    [C, V]  f32 workspace; C >= 1 rows are made at a time
struct LinearCrossEntropyArgs {
  ConstTensorView hidden;
  WeightView head;
  ConstTensorView targets, weights;
  float gradient_scale = 1;
  TensorView nll, d_hidden, logits;
};
void linear_cross_entropy(const LinearCrossEntropyArgs& args);

}  // namespace ftlib
