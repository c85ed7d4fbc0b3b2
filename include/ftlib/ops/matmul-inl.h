// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/matmul.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const MatmulArgs& a) noexcept {
  const std::int64_t depth = a.transpose_a ? a.a.shape[0] : a.a.shape[1];
  return {2 * static_cast<double>(a.c.numel()) * static_cast<double>(depth),
          detail::bytes_of(a.a, a.b, a.c) + (a.beta == 0 ? 0 : detail::bytes_of(a.c)), a.c.shape[1],
          a.transpose_a ? a.c.shape[0] : depth, a.transpose_a ? "over tokens" : ""};
}

FTLIB_INLINE void matmul(const MatmulArgs& args) {
  constexpr const char* kOp = "matmul";
  detail::check_storage(kOp, "a", args.a);
  detail::check_rank(kOp, "a", args.a, 2);
  detail::check_rank(kOp, "b", args.b, 2);
  const std::int64_t m = args.a.shape[args.transpose_a ? 1 : 0], k = args.a.shape[args.transpose_a ? 0 : 1];
  const std::int64_t n = args.b.shape[args.transpose_b ? 0 : 1];
  detail::check_view(kOp, "a", args.a, {args.a.shape[0], args.a.shape[1]}, args.a.dtype);
  if (args.transpose_b) detail::check_view(kOp, "b", args.b, {n, k}, args.a.dtype);
  else detail::check_view(kOp, "b", args.b, {k, n}, args.a.dtype);
  detail::check_view(kOp, "c", args.c, {m, n}, detail::result_dtype(args.c, args.a.dtype));
  detail::run(kOp, &KernelTable::matmul, args);
}

}  // namespace ftlib
