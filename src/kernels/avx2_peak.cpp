// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/peak.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

double avx2_burst_f32(std::int64_t rounds, float* sink) noexcept {
  constexpr int kChains = 12;
  __m256 chains[kChains];
  for (__m256& chain : chains) chain = _mm256_setzero_ps();
  const __m256 x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(0.25f);
  for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) chains[k] = _mm256_fmadd_ps(chains[k], x, y);
  __m256 total = _mm256_setzero_ps();
  for (const __m256& chain : chains) total = _mm256_add_ps(total, chain);
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, total);
  *sink = lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
  return static_cast<double>(rounds) * kChains * 16;
}

}  // namespace kernels
}  // namespace ftlib
