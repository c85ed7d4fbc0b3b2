// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/linear.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

inline void check_low_rank(std::string_view op, const LowRankUpdate& update, std::int64_t tokens, std::int64_t columns,
                           bool backward, DType dtype) {
  if (!update.u) return;
  check_rank(op, "low_rank.u", update.u, 2);
  const std::int64_t rank = update.u.shape[1];
  check_view(op, "low_rank.u", update.u, {tokens, rank}, dtype);
  if (backward) check_view(op, "low_rank.v", update.v, {rank, columns}, dtype);
  else check_view(op, "low_rank.v", update.v, {columns, rank}, dtype);
}

/// `columns`: of the result.
inline OpWork product_work(std::int64_t rows, std::int64_t columns, const WeightView& weight, const LowRankUpdate& update,
                           double bytes) noexcept {
  const std::int64_t rank = update.u ? update.u.shape[1] : 0;
  const std::int64_t weight_bytes = weight_data_bytes(weight.format, weight.numel());
  return {2 * static_cast<double>(rows) * static_cast<double>(weight.numel() + rank * columns),
          bytes + bytes_of(update.u, update.v) + static_cast<double>(weight_bytes), weight.out(), weight.in(),
          weight_format_info(weight.format).name};
}

}  // namespace detail

inline OpWork op_work(const LinearArgs& a) noexcept {
  return detail::product_work(a.x.shape[0], a.weight.out(), a.weight, a.low_rank,
                              detail::bytes_of(a.x, a.bias, a.residual, a.y));
}
inline OpWork op_work(const LinearBackwardArgs& a) noexcept {
  return detail::product_work(a.dy.shape[0], a.weight.in(), a.weight, a.low_rank,
                              detail::bytes_of(a.dy, a.residual, a.dx));
}

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
