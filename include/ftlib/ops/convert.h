// SPDX-License-Identifier: Apache-2.0
// y = x in another dtype, rounded once to nearest even.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {

/// x, y  same shape, rank 1 or 2, last axis contiguous; f32 | bf16 each
struct ConvertArgs {
  ConstTensorView x;
  TensorView y;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void convert(const ConvertArgs& args);

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

template <class From, class To>
void convert(Rows<const From> x, Rows<To> y, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t t = 0; t < rows; ++t)
    for (std::int64_t d = 0; d < columns; ++d) y[t][d] = narrow<To>(widen(x[t][d]));
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/convert-inl.h"
#endif
