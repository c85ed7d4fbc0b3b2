// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/linear.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

inline void check_weight(std::string_view op, const WeightView& weight) {
  FT_CHECK(weight && weight.out() >= 1 && weight.in() >= 1, invalid_argument, "[", op, "] weight is empty, got ",
           describe(weight));
  if (weight.format == WeightFormat::nf4) {
    FT_CHECK(weight.scales != nullptr && weight.block_size >= 1, invalid_argument, "[", op,
             "] weight has no absmax, got ", describe(weight), " with block_size ", weight.block_size);
    return;
  }
  const std::int64_t block = weight_format_info(weight.format).block_size;
  FT_CHECK(weight.in() % block == 0, invalid_argument, "[", op, "] weight rows must be whole blocks of ", block, ", got ",
           describe(weight));
}

inline void check_low_rank(std::string_view op, const LowRankUpdate& update, std::int64_t tokens, std::int64_t columns,
                           bool backward, DType dtype) {
  if (!update.u) return;
  check_rank(op, "low_rank.u", update.u, 2);
  const std::int64_t rank = update.u.shape[1];
  check_view(op, "low_rank.u", update.u, {tokens, rank}, dtype);
  if (backward) check_view(op, "low_rank.v", update.v, {rank, columns}, dtype);
  else check_view(op, "low_rank.v", update.v, {columns, rank}, dtype);
}

}  // namespace detail

FTLIB_INLINE void linear(const LinearArgs& args) {
  constexpr const char* kOp = "linear";
  detail::check_weight(kOp, args.weight);
  detail::check_storage(kOp, "x", args.x);
  detail::check_rank(kOp, "x", args.x, 2);
  const std::int64_t tokens = args.x.shape[0], out = args.weight.out();
  const DType result = detail::result_dtype(args.y, args.x.dtype);
  detail::check_view(kOp, "x", args.x, {tokens, args.weight.in()}, args.x.dtype);
  detail::check_view(kOp, "y", args.y, {tokens, out}, result);
  detail::check_optional(kOp, "bias", args.bias, {out}, DType::f32);
  detail::check_low_rank(kOp, args.low_rank, tokens, out, false, args.x.dtype);
  detail::check_optional(kOp, "residual", args.residual, {tokens, out}, result);
  detail::run(kOp, &KernelTable::linear, args);
}

FTLIB_INLINE void linear_backward(const LinearBackwardArgs& args) {
  constexpr const char* kOp = "linear_backward";
  detail::check_weight(kOp, args.weight);
  detail::check_storage(kOp, "dy", args.dy);
  detail::check_rank(kOp, "dy", args.dy, 2);
  const std::int64_t tokens = args.dy.shape[0], in = args.weight.in();
  const DType result = detail::result_dtype(args.dx, args.dy.dtype);
  detail::check_view(kOp, "dy", args.dy, {tokens, args.weight.out()}, args.dy.dtype);
  detail::check_view(kOp, "dx", args.dx, {tokens, in}, result);
  detail::check_low_rank(kOp, args.low_rank, tokens, in, true, args.dy.dtype);
  detail::check_optional(kOp, "residual", args.residual, {tokens, in}, result);
  detail::run(kOp, &KernelTable::linear_backward, args);
}

}  // namespace ftlib
