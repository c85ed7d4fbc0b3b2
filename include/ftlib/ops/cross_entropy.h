// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of a block of logits with its gradient, and the language-model head around it: logits exist only for one
// chunk of supervised rows at a time, and the gradient is made in the forward pass.
#pragma once
#include <cmath>
#include <cstring>

#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"
#include "ftlib/ops/rows.h"

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

/// The language-model head in chunks: logits = hidden head^T, cross_entropy, d_hidden = d_logits head, for C rows at a time.
///
/// hidden    [S, D]  f32 | bf16: the supervised rows, after the final norm
/// head      [V, D]  any WeightFormat
/// targets   [S]     i32 in [0, V)
/// weights   [S]     f32; absent: all 1
/// nll       [S]     f32, nats, unweighted; overwritten
/// d_hidden  [S, D]  dtype of hidden, the gradient of gradient_scale * sum(weights * nll); may be absent; may not alias
///                   hidden; overwritten
/// logits    [C, V]  f32 workspace, contiguous; C >= 1 where S > 0. d_logits, rounded to hidden's dtype, lie in it too.
struct LinearCrossEntropyArgs {
  ConstTensorView hidden;
  WeightView head;
  ConstTensorView targets, weights;
  float gradient_scale = 1;
  TensorView nll, d_hidden, logits;
};

/// Throws Error{invalid_argument} on a mismatch or a target outside the vocabulary. Thread-safe.
void linear_cross_entropy(const LinearCrossEntropyArgs& args);

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

/// The row in d may be the row in logits: element v is read before it, or any narrower one at its place, is written.
template <class L, class S>
void cross_entropy(Rows<const L> logits, const std::int32_t* targets, const L* weights, L gradient_scale, L* nll,
                   Rows<S> d, std::int64_t rows, std::int64_t vocabulary) {
  const auto read = [](const L* from) {
    L value;
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  for (std::int64_t s = 0; s < rows; ++s) {
    const L* x = logits[s];
    L highest = x[0], sum = 0;
    for (std::int64_t v = 1; v < vocabulary; ++v) highest = x[v] > highest ? x[v] : highest;
    for (std::int64_t v = 0; v < vocabulary; ++v) sum += std::exp(x[v] - highest);
    nll[s] = highest - x[targets[s]] + std::log(sum);
    const L scale = weights ? weights[s] * gradient_scale : gradient_scale;
    for (std::int64_t v = 0; d && v < vocabulary; ++v)
      d[s][v] = narrow<S>(scale * (std::exp(read(x + v) - highest) / sum - (v == targets[s] ? L{1} : L{0})));
  }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/cross_entropy-inl.h"
#include "ftlib/ops/linear_cross_entropy-inl.h"
#endif
