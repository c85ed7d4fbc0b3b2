// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/parallel.h"
#include "ftlib/ops/embedding.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

template <class V>
Status embedding(const EmbeddingArgs& args) noexcept {
  const std::int64_t tokens = args.y.shape[0], dim = args.y.shape[1];
  const std::int32_t* token = data_as<std::int32_t>(args.tokens);
  const auto decode = weight_format_info(args.weight.format).decode;
  return with_storage(args.y.dtype, [&]<class S>() {
    const auto y = rows_of<S>(args.y);
    parallel_ranges(tokens, rows_per_chunk(dim), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        for (std::int64_t first = 0; first < dim; first += kEmbeddingPiece) {
          const std::int64_t count = dim - first < kEmbeddingPiece ? dim - first : kEmbeddingPiece;
          float piece[kEmbeddingPiece];
          decode(args.weight, token[t] * dim + first, count, piece);
          each<V>(count, [from = piece, to = y[t] + first](std::int64_t i, auto... part) {
            V::load(from + i, part...).store(to + i, part...);
          });
        }
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
