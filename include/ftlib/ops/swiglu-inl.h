// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/swiglu.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const SwigluArgs& a) noexcept {
  return {4 * static_cast<double>(a.y.numel()), detail::bytes_of(a.gate, a.up, a.y)};
}
inline OpWork op_work(const SwigluBackwardArgs& a) noexcept {
  return {8 * static_cast<double>(a.dy.numel()), detail::bytes_of(a.gate, a.up, a.dy, a.d_gate, a.d_up)};
}

FTLIB_INLINE void swiglu(const SwigluArgs& args) {
  constexpr const char* kOp = "swiglu";
  detail::check_storage(kOp, "gate", args.gate);
  detail::check_rank(kOp, "gate", args.gate, 2);
  const std::int64_t tokens = args.gate.shape[0], dim = args.gate.shape[1];
  detail::check_view(kOp, "gate", args.gate, {tokens, dim}, args.gate.dtype);
  detail::check_view(kOp, "up", args.up, {tokens, dim}, args.gate.dtype);
  detail::check_view(kOp, "y", args.y, {tokens, dim}, args.gate.dtype);
  detail::run(kOp, &KernelTable::swiglu, args);
}

FTLIB_INLINE void swiglu_backward(const SwigluBackwardArgs& args) {
  constexpr const char* kOp = "swiglu_backward";
  detail::check_storage(kOp, "gate", args.gate);
  detail::check_rank(kOp, "gate", args.gate, 2);
  const std::int64_t tokens = args.gate.shape[0], dim = args.gate.shape[1];
  detail::check_view(kOp, "gate", args.gate, {tokens, dim}, args.gate.dtype);
  detail::check_view(kOp, "up", args.up, {tokens, dim}, args.gate.dtype);
  detail::check_view(kOp, "dy", args.dy, {tokens, dim}, args.gate.dtype);
  detail::check_view(kOp, "d_gate", args.d_gate, {tokens, dim}, args.gate.dtype);
  detail::check_view(kOp, "d_up", args.d_up, {tokens, dim}, args.gate.dtype);
  detail::run(kOp, &KernelTable::swiglu_backward, args);
}

}  // namespace ftlib
