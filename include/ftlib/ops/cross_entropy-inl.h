// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/cross_entropy.h"

namespace ftlib::inline FTLIB_ABI {

inline OpWork op_work(const CrossEntropyArgs& a) noexcept {
  return {(a.d_logits ? 6 : 3) * static_cast<double>(a.logits.numel()),
          detail::bytes_of(a.logits, a.targets, a.weights, a.nll, a.d_logits)};
}

FTLIB_INLINE void cross_entropy(const CrossEntropyArgs& args) {
  constexpr const char* kOp = "cross_entropy";
  detail::check_rank(kOp, "logits", args.logits, 2);
  const std::int64_t rows = args.logits.shape[0], vocabulary = args.logits.shape[1];
  detail::check_view(kOp, "logits", args.logits, {rows, vocabulary}, DType::f32);
  detail::check_view(kOp, "targets", args.targets, {rows}, DType::i32);
  detail::check_indices(kOp, "targets", args.targets, vocabulary);
  detail::check_optional(kOp, "weights", args.weights, {rows}, DType::f32);
  detail::check_view(kOp, "nll", args.nll, {rows}, DType::f32);
  if (args.d_logits) {
    detail::check_storage(kOp, "d_logits", args.d_logits);
    detail::check_view(kOp, "d_logits", args.d_logits, {rows, vocabulary}, args.d_logits.dtype);
  }
  detail::run(kOp, &KernelTable::cross_entropy, args);
}

}  // namespace ftlib
