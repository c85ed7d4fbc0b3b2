// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/check.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/linear.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

inline void check_linear_cross_entropy(const LinearCrossEntropyArgs& args) {
  constexpr const char* kOp = "linear_cross_entropy";
  check_storage(kOp, "hidden", args.hidden);
  check_rank(kOp, "hidden", args.hidden, 2);
  FT_CHECK(args.head, invalid_argument, "[linear_cross_entropy] head has no memory");
  const std::int64_t rows = args.hidden.shape[0], vocabulary = args.head.out();
  check_view(kOp, "hidden", args.hidden, {rows, args.head.in()}, args.hidden.dtype);
  check_view(kOp, "targets", args.targets, {rows}, DType::i32);
  check_indices(kOp, "targets", args.targets, vocabulary);
  check_optional(kOp, "weights", args.weights, {rows}, DType::f32);
  check_view(kOp, "nll", args.nll, {rows}, DType::f32);
  check_optional(kOp, "d_hidden", args.d_hidden, {rows, args.head.in()}, args.hidden.dtype);
  check_rank(kOp, "logits", args.logits, 2);
  check_view(kOp, "logits", args.logits, {args.logits.shape[0], vocabulary}, DType::f32);
  FT_CHECK(rows == 0 || args.logits.shape[0] > 0, invalid_argument,
           "[linear_cross_entropy] logits needs at least one row, got ", describe(args.logits));
}

/// The same memory as rows of a narrower type.
inline TensorView overlay(TensorView v, DType dtype) noexcept {
  v.stride[0] *= dtype_bytes(v.dtype) / dtype_bytes(dtype);
  v.dtype = dtype;
  return v;
}

template <class View>
View elements(View v, std::int64_t begin, std::int64_t count) noexcept {
  if (!v) return v;
  v.stride[0] = 1;
  return row_range(v, begin, count);
}

}  // namespace detail

FTLIB_INLINE void linear_cross_entropy(const LinearCrossEntropyArgs& args) {
  detail::check_linear_cross_entropy(args);
  const std::int64_t rows = args.hidden.shape[0];
  std::int64_t count = args.logits.shape[0];
  for (std::int64_t first = 0; first < rows; first += count) {
    count = count < rows - first ? count : rows - first;
    const TensorView logits = row_range(args.logits, 0, count);
    LinearArgs forward;
    forward.x = row_range(args.hidden, first, count), forward.weight = args.head, forward.y = logits;
    linear(forward);
    CrossEntropyArgs loss;
    loss.logits = logits;
    loss.targets = detail::elements(args.targets, first, count);
    loss.weights = detail::elements(args.weights, first, count);
    loss.gradient_scale = args.gradient_scale;
    loss.nll = detail::elements(args.nll, first, count);
    if (args.d_hidden) loss.d_logits = detail::overlay(logits, args.hidden.dtype);
    cross_entropy(loss);
    if (!args.d_hidden) continue;
    LinearBackwardArgs backward;
    backward.dy = loss.d_logits, backward.weight = args.head;
    backward.dx = row_range(args.d_hidden, first, count);
    linear_backward(backward);
  }
}

}  // namespace ftlib
