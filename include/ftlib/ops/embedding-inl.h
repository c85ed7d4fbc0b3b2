// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/embedding.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const EmbeddingArgs& a) noexcept {
  return {0, detail::bytes_of(a.tokens, a.y) + static_cast<double>(weight_data_bytes(a.weight.format, a.y.numel()))};
}

FTLIB_INLINE void embedding(const EmbeddingArgs& args) {
  constexpr const char* kOp = "embedding";
  FT_CHECK(args.weight, invalid_argument, "[embedding] weight has no memory");
  detail::check_storage(kOp, "y", args.y);
  detail::check_rank(kOp, "y", args.y, 2);
  const std::int64_t tokens = args.y.shape[0];
  detail::check_view(kOp, "y", args.y, {tokens, args.weight.in()}, args.y.dtype);
  detail::check_view(kOp, "tokens", args.tokens, {tokens}, DType::i32);
  detail::check_indices(kOp, "tokens", args.tokens, args.weight.out());
  detail::run(kOp, &KernelTable::embedding, args);
}

}  // namespace ftlib
