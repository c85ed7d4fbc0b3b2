// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/parallel.h"
#include "ftlib/ops/convert.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

template <class V, class From, class To>
void convert_rows(Rows<const From> x, Rows<To> y, std::int64_t rows, std::int64_t columns) noexcept {
  // A row longer than a chunk is cut too: one long vector is the common case.
  constexpr std::int64_t kPiece = 32768;
  const std::int64_t pieces = (columns + kPiece - 1) / kPiece, grain = rows_per_chunk(columns);
  parallel_ranges(rows * pieces, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t row = job / pieces, first = job % pieces * kPiece;
      const std::int64_t count = columns - first < kPiece ? columns - first : kPiece;
      each<V>(count, [from = x[row] + first, to = y[row] + first](std::int64_t i, auto... part) {
        V::load(from + i, part...).store(to + i, part...);
      });
    }
  });
}

template <class V>
Status convert(const ConvertArgs& args) noexcept {
  const bool matrix = args.x.rank == 2;
  const std::int64_t rows = matrix ? args.x.shape[0] : 1, columns = args.x.columns();
  return with_storage(args.x.dtype, [&]<class From>() {
    with_storage(args.y.dtype, [&]<class To>() {
      convert_rows<V>(Rows<const From>{data_as<From>(args.x), matrix ? args.x.stride[0] : 0},
                      Rows<To>{data_as<To>(args.y), matrix ? args.y.stride[0] : 0}, rows, columns);
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
