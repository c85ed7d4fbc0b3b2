// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/rope.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const RopeArgs& a) noexcept {
  return {3 * static_cast<double>(a.x.numel()), 2 * detail::bytes_of(a.x)};
}

FTLIB_INLINE void rope(const RopeArgs& args) {
  constexpr const char* kOp = "rope";
  detail::check_storage(kOp, "x", args.x);
  detail::check_rank(kOp, "x", args.x, 3);
  const std::int64_t tokens = args.x.shape[0], head_dim = args.x.shape[2];
  FT_CHECK(head_dim % 2 == 0, invalid_argument, "[rope] the head dim must be even, got ", describe(args.x));
  detail::check_view(kOp, "x", args.x, {tokens, args.x.shape[1], head_dim}, args.x.dtype);
  detail::check_view(kOp, "positions", args.positions, {tokens}, DType::i32);
  detail::check_rank(kOp, "cos", args.cos, 2);
  const std::int64_t table = args.cos.shape[0];
  detail::check_view(kOp, "cos", args.cos, {table, head_dim / 2}, DType::f32);
  detail::check_view(kOp, "sin", args.sin, {table, head_dim / 2}, DType::f32);
  detail::check_indices(kOp, "positions", args.positions, table);
  detail::run(kOp, &KernelTable::rope, args);
}

}  // namespace ftlib
