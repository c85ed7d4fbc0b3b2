// SPDX-License-Identifier: Apache-2.0
// kernels/vector.h's interface on AVX2 and FMA.
#pragma once
#include <immintrin.h>

#include "ftlib/ops/kernels/vector.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

struct Avx2Vector {
  static constexpr int kLanes = 8;
  static constexpr int kTileRows = 6, kTileColumns = 2;
  static constexpr bool kScalesFreely = false;
  __m256 v;

  FT_ALWAYS_INLINE static __m256i first(std::int64_t count) noexcept {
    const int bound = count >= 8 ? 8 : count <= 0 ? 0 : static_cast<int>(count);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(bound), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  FT_ALWAYS_INLINE static __m256 widen(__m128i half) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
  /// To nearest even, NaN quiet.
  FT_ALWAYS_INLINE __m128i half() const noexcept {
    const __m256i bits = _mm256_castps_si256(v), high = _mm256_srli_epi32(bits, 16);
    const __m256i even = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), even);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i words = _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet, nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }

  FT_ALWAYS_INLINE static Avx2Vector set(float x) noexcept { return {_mm256_set1_ps(x)}; }
  FT_ALWAYS_INLINE static Avx2Vector load(const float* p) noexcept { return {_mm256_loadu_ps(p)}; }
  FT_ALWAYS_INLINE static Avx2Vector load(const bf16* p) noexcept { return {widen(_mm_loadu_si128((const __m128i*)p))}; }
  FT_ALWAYS_INLINE static Avx2Vector load(const float* p, std::int64_t count, float fill = 0) noexcept {
    return Avx2Vector{_mm256_maskload_ps(p, first(count))}.keep(count, fill);
  }
  FT_ALWAYS_INLINE static Avx2Vector load(const bf16* p, std::int64_t count, float fill = 0) noexcept {
    bf16 lane[8] = {};
    for (int i = 0; i < 8 && i < count; ++i) lane[i] = p[i];
    return load(lane).keep(count, fill);
  }
  FT_ALWAYS_INLINE void store(float* p) const noexcept { _mm256_storeu_ps(p, v); }
  FT_ALWAYS_INLINE void store(bf16* p) const noexcept { _mm_storeu_si128((__m128i*)p, half()); }
  FT_ALWAYS_INLINE void store(float* p, std::int64_t count) const noexcept { _mm256_maskstore_ps(p, first(count), v); }
  FT_ALWAYS_INLINE void store(bf16* p, std::int64_t count) const noexcept {
    bf16 lane[8];
    store(lane);
    for (int i = 0; i < 8 && i < count; ++i) p[i] = lane[i];
  }
  FT_ALWAYS_INLINE static Avx2Vector load_bits(const float* p) noexcept { return load(p); }
  FT_ALWAYS_INLINE void store_bits(float* p) const noexcept { store(p); }
  static void transpose(Avx2Vector (&x)[8]) noexcept;

  FT_ALWAYS_INLINE friend Avx2Vector operator+(Avx2Vector a, Avx2Vector b) noexcept { return {_mm256_add_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx2Vector operator-(Avx2Vector a, Avx2Vector b) noexcept { return {_mm256_sub_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx2Vector operator*(Avx2Vector a, Avx2Vector b) noexcept { return {_mm256_mul_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx2Vector operator/(Avx2Vector a, Avx2Vector b) noexcept { return {_mm256_div_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx2Vector fma(Avx2Vector a, Avx2Vector b, Avx2Vector c) noexcept {
    return {_mm256_fmadd_ps(a.v, b.v, c.v)};
  }
  FT_ALWAYS_INLINE Avx2Vector reciprocal() const noexcept { return set(1) / *this; }
  FT_ALWAYS_INLINE friend Avx2Vector max(Avx2Vector a, Avx2Vector b) noexcept { return {_mm256_max_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx2Vector min(Avx2Vector a, Avx2Vector b) noexcept { return {_mm256_min_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx2Vector if_less(Avx2Vector x, Avx2Vector limit, Avx2Vector replacement,
                                             Avx2Vector value) noexcept {
    return {_mm256_blendv_ps(value.v, replacement.v, _mm256_cmp_ps(x.v, limit.v, _CMP_LT_OQ))};
  }
  FT_ALWAYS_INLINE Avx2Vector keep(std::int64_t count, float fill) const noexcept {
    return {_mm256_blendv_ps(_mm256_set1_ps(fill), v, _mm256_castsi256_ps(first(count)))};
  }
  FT_ALWAYS_INLINE Avx2Vector rounded() const noexcept {
    return {_mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  FT_ALWAYS_INLINE Avx2Vector scaled(Avx2Vector n) const noexcept {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)))};
  }

  FT_ALWAYS_INLINE float sum() const noexcept {
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
  }
  FT_ALWAYS_INLINE float highest() const noexcept {
    const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
  }
};

FT_ALWAYS_INLINE void Avx2Vector::transpose(Avx2Vector (&x)[8]) noexcept {
  __m256 a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_ps(x[2 * i].v, x[2 * i + 1].v);
    a[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i].v, x[2 * i + 1].v);
  }
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
    b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xee);
    b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
    b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    x[i].v = _mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
    x[4 + i].v = _mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
  }
}

}  // namespace kernels
}  // namespace ftlib
