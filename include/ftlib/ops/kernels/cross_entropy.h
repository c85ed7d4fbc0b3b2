// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <limits>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

struct LogSumExp {
  float highest, sum;  ///< log(sum(exp(x))) = highest + log(sum), sum >= 1
};

template <class V>
FT_ALWAYS_INLINE LogSumExp log_sum_exp(const float* x, std::int64_t n) noexcept {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const auto value = [&](std::int64_t i, auto... part) {
    if constexpr (sizeof...(part) == 0) return V::load(x + i);
    else return V::load(x + i, part..., kLowest);
  };
  const float highest = reduce<V>(n, V::set(kLowest), value, [](V a, V b) { return max(a, b); }).highest();
  const V shift = V::set(highest);
  return {highest, sum_of<V>(n, [&](std::int64_t i, auto... part) { return exp(value(i, part...) - shift); })};
}

/// d may be the row's own memory: element i is read before it, or any narrower one at its place, is written.
template <class V, class S>
FT_ALWAYS_INLINE float cross_entropy_row(const float* x, std::int32_t target, float scale, S* d,
                                         std::int64_t n) noexcept {
  const LogSumExp lse = log_sum_exp<V>(x, n);
  const float target_logit = x[target], log_sum = std::log(lse.sum);
  const float nll = lse.highest - target_logit + log_sum;
  if (d == nullptr) return nll;
  const V factor = V::set(scale / lse.sum), shift = V::set(lse.highest);
  each<V>(n, [&](std::int64_t i, auto... part) {
    (exp(V::load(x + i, part...) - shift) * factor).store(d + i, part...);
  });
  // Of the target: p - 1 from its own logit, since d may already lie where it was.
  d[target] = narrow<S>(scale * std::expm1(-nll));
  return nll;
}

template <class V>
Status cross_entropy(const CrossEntropyArgs& args) noexcept {
  const std::int64_t rows = args.logits.shape[0], vocabulary = args.logits.shape[1];
  const auto logits = rows_of<float>(args.logits);
  const std::int32_t* targets = data_as<std::int32_t>(args.targets);
  const float* weights = data_as<float>(args.weights);
  float* nll = data_as<float>(args.nll);
  return with_storage(args.d_logits ? args.d_logits.dtype : DType::f32, [&]<class S>() {
    const auto d = rows_of<S>(args.d_logits);
    parallel_for(rows, [&](std::int64_t s) {
      const float scale = (weights ? weights[s] : 1) * args.gradient_scale;
      nll[s] = cross_entropy_row<V>(logits[s], targets[s], scale, d ? d[s] : nullptr, vocabulary);
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
