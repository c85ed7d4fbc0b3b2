// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/parallel.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// Rows in parallel over the definition itself: the generator's ten rounds are all the cost.
inline Status dropout(const DropoutArgs& args) noexcept {
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  const std::int64_t* row_keys = data_as<std::int64_t>(args.row_keys);
  return with_storage(args.x.dtype, [&]<class S>() {
    const auto x = rows_of<S>(args.x);
    const auto y = rows_of<S>(args.y);
    parallel_ranges(tokens, rows_per_chunk(dim * 8), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        reference::dropout_row(x[t], args.key, row_keys[t], args.probability, y[t], dim);
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
