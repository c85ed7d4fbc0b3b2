// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/dropout.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const DropoutArgs& a) noexcept {
  return {static_cast<double>(a.x.numel()), detail::bytes_of(a.x, a.row_keys, a.y)};
}

FTLIB_INLINE void dropout(const DropoutArgs& args) {
  constexpr const char* kOp = "dropout";
  detail::check_storage(kOp, "x", args.x);
  detail::check_rank(kOp, "x", args.x, 2);
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  detail::check_view(kOp, "x", args.x, {tokens, dim}, args.x.dtype);
  detail::check_view(kOp, "row_keys", args.row_keys, {tokens}, DType::i64);
  detail::check_view(kOp, "y", args.y, {tokens, dim}, args.x.dtype);
  FT_CHECK(args.probability >= 0 && args.probability < 1, invalid_argument,
           "[dropout] the probability got ", args.probability, ", want 0 to below 1");
  detail::run(kOp, &KernelTable::dropout, args);
}

}  // namespace ftlib
