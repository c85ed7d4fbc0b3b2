// SPDX-License-Identifier: Apache-2.0
// Inverted dropout whose mask is a pure function of (key, row key, feature): packing, accumulation, threads and resume do
// not change it, and the backward pass is the same call on the gradient.
// Srivastava et al., "Dropout", 2014, section 4.
#pragma once
#include "ftlib/core/tensor.h"
#include "ftlib/core/random.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {

/// x, y      [T, D]  f32 | bf16, same dtype; y may alias x; y = 0 with probability p, else x / (1 - p)
/// row_keys  [T]     i64: identity of record and token position
/// key               identity of seed, step and module
struct DropoutArgs {
  ConstTensorView x, row_keys;
  std::uint64_t key = 0;
  float probability = 0;  ///< [0, 1)
  TensorView y;
};

/// Throws Error{invalid_argument} on a mismatch. Thread-safe. Allocates nothing.
void dropout(const DropoutArgs& args);

/// The definition, run in S = double by the tests and in f32 by the last backend.
namespace reference {

/// Element d is dropped where word d % 4 of philox(key, d / 4, row_key), as a number in [0, 1), is below the probability.
template <class S>
void dropout_row(const S* x, std::uint64_t key, std::int64_t row_key, float probability, S* y, std::int64_t dim) {
  const Wide<S> scale = 1 / (1 - static_cast<Wide<S>>(probability));
  for (std::int64_t first = 0; first < dim; first += 4) {
    const auto words = philox(key, static_cast<std::uint64_t>(first / 4), static_cast<std::uint64_t>(row_key));
    for (std::int64_t d = first; d < first + 4 && d < dim; ++d) {
      const bool dropped = uniform_from_bits(words[static_cast<std::size_t>(d - first)]) < probability;
      y[d] = dropped ? narrow<S>(0) : narrow<S>(widen(x[d]) * scale);
    }
  }
}

}  // namespace reference
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/dropout-inl.h"
#endif
