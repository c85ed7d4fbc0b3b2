// SPDX-License-Identifier: Apache-2.0
// Loops, reductions and the exponential over any vector V of kernels/vector.h.
#pragma once
#include "ftlib/ops/kernels/vector.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// body(i) for every full vector of [0, n), then body(i, count) for the rest.
template <class V, class Body>
FT_ALWAYS_INLINE void each(std::int64_t n, Body&& body) noexcept {
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) body(i);
  if (i < n) body(i, n - i);
}

/// Combines term(i) over [0, n): four partial results in flight, joined in a fixed tree. term(i, count) must give the
/// neutral element in lanes beyond count.
template <class V, class Term, class Join>
FT_ALWAYS_INLINE V reduce(std::int64_t n, V neutral, Term&& term, Join&& join) noexcept {
  constexpr std::int64_t kLanes = V::kLanes;
  V a = neutral, b = neutral, c = neutral, d = neutral;
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a = join(a, term(i)), b = join(b, term(i + kLanes));
    c = join(c, term(i + 2 * kLanes)), d = join(d, term(i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) a = join(a, term(i));
  if (i < n) b = join(b, term(i, n - i));
  return join(join(a, b), join(c, d));
}

template <class V, class Term>
FT_ALWAYS_INLINE float sum_of(std::int64_t n, Term&& term) noexcept {
  return reduce<V>(n, V::set(0), term, [](V a, V b) { return a + b; }).sum();
}

/// 2^r for |r| <= 1/2, relative error 3e-9 before rounding (minimax, 2^0 = 1 exactly).
template <class V>
FT_ALWAYS_INLINE V exp2_fraction(V r) noexcept {
  V p = fma(V::set(1.5594677550931658e-4f), r, V::set(1.3406643905038548e-3f));
  p = fma(p, r, V::set(9.617692974883579e-3f));
  p = fma(p, r, V::set(5.550310550995771e-2f));
  p = fma(p, r, V::set(2.4022652782876183e-1f));
  p = fma(p, r, V::set(6.931472149680398e-1f));
  return fma(p, r, V::set(1));
}

/// x within [low, high]; NaN stays NaN. Where the machine scales by any power, the lower bound is left to the caller.
template <class V>
FT_ALWAYS_INLINE V bounded(V x, float low, float high) noexcept {
  const V below = min(V::set(high), x);
  if constexpr (V::kScalesFreely) return below;
  else return max(V::set(low), below);
}

/// 2^x; 0 below -126 (so for -infinity), 2^127 above 127; NaN stays NaN.
template <class V>
FT_ALWAYS_INLINE V exp2(V x) noexcept {
  const V at = bounded(x, -126, 127), n = at.rounded();
  return if_less(x, V::set(-126), V::set(0), exp2_fraction(at - n).scaled(n));
}

/// e^x in the same bounds. ln 2 in two parts keeps large |x| exact to 2 units in the last place.
template <class V>
FT_ALWAYS_INLINE V exp(V x) noexcept {
  constexpr float kLow = -87.33654f, kHigh = 88.02969f, kLog2E = 1.44269502f;
  const V at = bounded(x, kLow, kHigh), n = (at * V::set(kLog2E)).rounded();
  // ln 2 = 0.693359375 (9 bits, so n times it is exact) - 2.12194440e-4
  const V rest = fma(n, V::set(2.12194440e-4f), fma(n, V::set(-0.693359375f), at));
  return if_less(x, V::set(kLow), V::set(0), exp2_fraction(rest * V::set(kLog2E)).scaled(n));
}

/// 1 / (1 + e^-x)
template <class V>
FT_ALWAYS_INLINE V sigmoid(V x) noexcept { return (V::set(1) + exp(V::set(0) - x)).reciprocal(); }

}  // namespace kernels
}  // namespace ftlib
