// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/peak.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

constexpr int kChains = 24;  // independent sums: more than latency times issue rate of any core so far

float sum(const __m512 (&chains)[kChains]) noexcept {
  __m512 total = _mm512_setzero_ps();
  for (const __m512& chain : chains) total = _mm512_add_ps(total, chain);
  return _mm512_reduce_add_ps(total);
}

}  // namespace

double avx512_burst_bf16(std::int64_t rounds, float* sink) noexcept {
  __m512 chains[kChains];
  for (__m512& chain : chains) chain = _mm512_setzero_ps();
  const auto x = (__m512bh)_mm512_set1_epi16(0x3f80), y = (__m512bh)_mm512_set1_epi16(0x3c00);
  for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 24
    for (int k = 0; k < kChains; ++k) chains[k] = _mm512_dpbf16_ps(chains[k], x, y);
  *sink = sum(chains);
  return static_cast<double>(rounds) * kChains * 64;
}

double avx512_burst_f32(std::int64_t rounds, float* sink) noexcept {
  __m512 chains[kChains];
  for (__m512& chain : chains) chain = _mm512_setzero_ps();
  const __m512 x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
  for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 24
    for (int k = 0; k < kChains; ++k) chains[k] = _mm512_fmadd_ps(chains[k], x, y);
  *sink = sum(chains);
  return static_cast<double>(rounds) * kChains * 32;
}

}  // namespace kernels
}  // namespace ftlib
