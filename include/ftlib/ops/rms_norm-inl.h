// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/rms_norm.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const RmsNormArgs& a) noexcept {
  return {4 * static_cast<double>(a.x.numel()), detail::bytes_of(a.x, a.weight, a.y, a.rstd)};
}
inline OpWork op_work(const RmsNormBackwardArgs& a) noexcept {
  return {8 * static_cast<double>(a.x.numel()), detail::bytes_of(a.x, a.weight, a.rstd, a.dy, a.residual, a.dx)};
}

FTLIB_INLINE void rms_norm(const RmsNormArgs& args) {
  constexpr const char* kOp = "rms_norm";
  detail::check_storage(kOp, "x", args.x);
  detail::check_rank(kOp, "x", args.x, 2);
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  detail::check_view(kOp, "x", args.x, {tokens, dim}, args.x.dtype);
  detail::check_view(kOp, "weight", args.weight, {dim}, DType::f32);
  detail::check_view(kOp, "y", args.y, {tokens, dim}, args.x.dtype);
  detail::check_optional(kOp, "rstd", args.rstd, {tokens}, DType::f32);
  detail::run(kOp, &KernelTable::rms_norm, args);
}

FTLIB_INLINE void rms_norm_backward(const RmsNormBackwardArgs& args) {
  constexpr const char* kOp = "rms_norm_backward";
  detail::check_storage(kOp, "x", args.x);
  detail::check_rank(kOp, "x", args.x, 2);
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  detail::check_view(kOp, "x", args.x, {tokens, dim}, args.x.dtype);
  detail::check_view(kOp, "weight", args.weight, {dim}, DType::f32);
  detail::check_view(kOp, "rstd", args.rstd, {tokens}, DType::f32);
  detail::check_view(kOp, "dy", args.dy, {tokens, dim}, args.x.dtype);
  detail::check_optional(kOp, "residual", args.residual, {tokens, dim}, args.x.dtype);
  detail::check_view(kOp, "dx", args.dx, {tokens, dim}, args.x.dtype);
  detail::run(kOp, &KernelTable::rms_norm_backward, args);
}

}  // namespace ftlib
