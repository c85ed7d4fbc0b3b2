// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/convert.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const ConvertArgs& a) noexcept { return {0, detail::bytes_of(a.x, a.y)}; }

FTLIB_INLINE void convert(const ConvertArgs& args) {
  constexpr const char* kOp = "convert";
  detail::check_storage(kOp, "x", args.x);
  detail::check_storage(kOp, "y", args.y);
  FT_CHECK(args.x.rank == 1 || args.x.rank == 2, invalid_argument, "[convert] x must have 1 or 2 axes, got ",
           describe(args.x));
  if (args.x.rank == 1) {
    detail::check_view(kOp, "x", args.x, {args.x.shape[0]}, args.x.dtype);
    detail::check_view(kOp, "y", args.y, {args.x.shape[0]}, args.y.dtype);
  } else {
    detail::check_view(kOp, "x", args.x, {args.x.shape[0], args.x.shape[1]}, args.x.dtype);
    detail::check_view(kOp, "y", args.y, {args.x.shape[0], args.x.shape[1]}, args.y.dtype);
  }
  detail::run(kOp, &KernelTable::convert, args);
}

}  // namespace ftlib
