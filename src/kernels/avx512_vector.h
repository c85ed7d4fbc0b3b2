// SPDX-License-Identifier: Apache-2.0
// kernels/vector.h's interface on AVX-512, and the tile of bf16 pairs.
#pragma once
#include <immintrin.h>

#include "ftlib/ops/kernels/attention_panels.h"
#include "ftlib/ops/kernels/vector.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

struct Avx512Vector {
  static constexpr int kLanes = 16;
  static constexpr int kTileRows = 6, kTileColumns = 4;
  static constexpr bool kScalesFreely = true;
  __m512 v;

  FT_ALWAYS_INLINE static __mmask16 first(std::int64_t count) noexcept {
    return static_cast<__mmask16>(count >= 16 ? 0xffffu : count <= 0 ? 0u : (1u << count) - 1u);
  }
  FT_ALWAYS_INLINE static __m512 widen(__m256i half) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  /// To nearest even, NaN quiet. The conversion of the machine is that but for subnormals, which it takes as zeros.
  FT_ALWAYS_INLINE __m256i half() const noexcept {
    if (_mm512_fpclass_ps_mask(v, 0x20) == 0) [[likely]] return (__m256i)_mm512_cvtneps_pbh(v);
    return half_of_any();
  }
  FT_ALWAYS_INLINE __m256i half_of_any() const noexcept {
    const __m512i bits = _mm512_castps_si512(v), high = _mm512_srli_epi32(bits, 16);
    const __m512i even = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), even);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i rounded = _mm512_srli_epi32(sum, 16);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40)));
  }

  FT_ALWAYS_INLINE static Avx512Vector set(float x) noexcept { return {_mm512_set1_ps(x)}; }
  FT_ALWAYS_INLINE static Avx512Vector load(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
  FT_ALWAYS_INLINE static Avx512Vector load(const bf16* p) noexcept { return {widen(_mm256_loadu_si256((const __m256i*)p))}; }
  FT_ALWAYS_INLINE static Avx512Vector load(const float* p, std::int64_t count, float fill = 0) noexcept {
    return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(count), p)};
  }
  FT_ALWAYS_INLINE static Avx512Vector load(const bf16* p, std::int64_t count, float fill = 0) noexcept {
    const __mmask16 mask = first(count);
    return {_mm512_mask_blend_ps(mask, _mm512_set1_ps(fill), widen(_mm256_maskz_loadu_epi16(mask, p)))};
  }
  FT_ALWAYS_INLINE void store(float* p) const noexcept { _mm512_storeu_ps(p, v); }
  FT_ALWAYS_INLINE void store(bf16* p) const noexcept { _mm256_storeu_si256((__m256i*)p, half()); }
  FT_ALWAYS_INLINE void store(float* p, std::int64_t count) const noexcept { _mm512_mask_storeu_ps(p, first(count), v); }
  FT_ALWAYS_INLINE void store(bf16* p, std::int64_t count) const noexcept {
    _mm256_mask_storeu_epi16(p, first(count), half());
  }

  FT_ALWAYS_INLINE static Avx512Vector load_bits(const float* p) noexcept { return load(p); }
  FT_ALWAYS_INLINE static Avx512Vector load_bits(const std::uint32_t* p) noexcept { return {_mm512_loadu_ps(p)}; }
  FT_ALWAYS_INLINE void store_bits(float* p) const noexcept { store(p); }
  FT_ALWAYS_INLINE void store_bits(std::uint32_t* p) const noexcept { _mm512_storeu_ps(p, v); }
  static void transpose(Avx512Vector (&x)[16]) noexcept;

  FT_ALWAYS_INLINE friend Avx512Vector operator+(Avx512Vector a, Avx512Vector b) noexcept { return {_mm512_add_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx512Vector operator-(Avx512Vector a, Avx512Vector b) noexcept { return {_mm512_sub_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx512Vector operator*(Avx512Vector a, Avx512Vector b) noexcept { return {_mm512_mul_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx512Vector operator/(Avx512Vector a, Avx512Vector b) noexcept { return {_mm512_div_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx512Vector fma(Avx512Vector a, Avx512Vector b, Avx512Vector c) noexcept {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
  }
  /// 14 bits by the machine, doubled by one step of Newton's: a third of a division's time.
  FT_ALWAYS_INLINE Avx512Vector reciprocal() const noexcept {
    const Avx512Vector guess{_mm512_rcp14_ps(v)};
    return fma(guess, {_mm512_fnmadd_ps(v, guess.v, _mm512_set1_ps(1))}, guess);
  }
  FT_ALWAYS_INLINE friend Avx512Vector max(Avx512Vector a, Avx512Vector b) noexcept { return {_mm512_max_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx512Vector min(Avx512Vector a, Avx512Vector b) noexcept { return {_mm512_min_ps(a.v, b.v)}; }
  FT_ALWAYS_INLINE friend Avx512Vector if_less(Avx512Vector x, Avx512Vector limit, Avx512Vector replacement,
                                               Avx512Vector value) noexcept {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_LT_OQ), value.v, replacement.v)};
  }
  FT_ALWAYS_INLINE Avx512Vector keep(std::int64_t count, float fill) const noexcept {
    return {_mm512_mask_blend_ps(first(count), _mm512_set1_ps(fill), v)};
  }
  FT_ALWAYS_INLINE Avx512Vector rounded() const noexcept {
    return {_mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  FT_ALWAYS_INLINE Avx512Vector scaled(Avx512Vector n) const noexcept { return {_mm512_scalef_ps(v, n.v)}; }

  FT_ALWAYS_INLINE float sum() const noexcept {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
  }
  FT_ALWAYS_INLINE float highest() const noexcept {
    const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
  }
};

/// 16 x 16 in four rounds: pairs of lanes, pairs of pairs, then 128-bit quarters twice.
FT_ALWAYS_INLINE void Avx512Vector::transpose(Avx512Vector (&x)[16]) noexcept {
  __m512 a[16];
  unroll<8>([&](auto i) FT_INLINE_LAMBDA {
    a[2 * i] = _mm512_unpacklo_ps(x[2 * i].v, x[2 * i + 1].v);
    a[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i].v, x[2 * i + 1].v);
  });
  __m512 b[16];
  unroll<4>([&](auto i) FT_INLINE_LAMBDA {
    b[4 * i] = _mm512_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
    b[4 * i + 1] = _mm512_shuffle_ps(a[4 * i], a[4 * i + 2], 0xee);
    b[4 * i + 2] = _mm512_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
    b[4 * i + 3] = _mm512_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xee);
  });
  unroll<4>([&](auto i) FT_INLINE_LAMBDA {
    const __m512 low = _mm512_shuffle_f32x4(b[i], b[4 + i], 0x88), high = _mm512_shuffle_f32x4(b[i], b[4 + i], 0xdd);
    const __m512 low2 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0x88);
    const __m512 high2 = _mm512_shuffle_f32x4(b[8 + i], b[12 + i], 0xdd);
    x[i].v = _mm512_shuffle_f32x4(low, low2, 0x88);
    x[4 + i].v = _mm512_shuffle_f32x4(high, high2, 0x88);
    x[8 + i].v = _mm512_shuffle_f32x4(low, low2, 0xdd);
    x[12 + i].v = _mm512_shuffle_f32x4(high, high2, 0xdd);
  });
}

/// Units of two bf16, multiplied and added in f32 by one instruction.
struct Bf16Tile {
  using Vector = Avx512Vector;
  using Unit = std::uint32_t;
  static constexpr int kPair = 2;

  FT_ALWAYS_INLINE static Vector broadcast(const Unit* unit) noexcept {
    return {_mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*unit)))};
  }
  FT_ALWAYS_INLINE static Vector multiply_add(Vector a, Vector b, Vector sum) noexcept {
    return {_mm512_dpbf16_ps(sum.v, (__m512bh)_mm512_castps_si512(a.v), (__m512bh)_mm512_castps_si512(b.v))};
  }
  FT_ALWAYS_INLINE static Vector units(const bf16* row, std::int64_t at, std::int64_t end) noexcept {
    const std::int64_t count = end - at;
    if (count <= 0) return Vector::set(0);
    const __mmask32 mask = count >= 32 ? 0xffffffffu : (1u << count) - 1u;
    return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, row + at))};
  }
  FT_ALWAYS_INLINE static Vector joined(const bf16* first, const bf16* second, std::int64_t at,
                                        std::int64_t end) noexcept {
    const __mmask16 mask = Vector::first(end - at);
    __m512i low = _mm512_setzero_si512(), high = low;
    if (first) low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, first + at));
    if (second) high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, second + at)), 16);
    return {_mm512_castsi512_ps(_mm512_or_si512(low, high))};
  }
  /// Neighbouring columns become pairs.
  FT_ALWAYS_INLINE static const Unit* left_operand(const float* scores, std::int64_t rows, std::int64_t columns,
                                                   Unit* room) noexcept {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* from = scores + r * kKeyBlock;
      Unit* to = room + r * (kKeyBlock / kPair);
      for (std::int64_t n = 0; n < columns; n += 32)
        _mm512_storeu_si512(to + n / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + n + 16),
                                                                     _mm512_loadu_ps(from + n)));
    }
    return room;
  }
  /// Neighbouring rows become pairs; `row` is even.
  FT_ALWAYS_INLINE static void join_rows(const float* scores, std::int64_t count, Unit* joined_rows,
                                         std::int64_t row) noexcept {
    const __m512i order = _mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009,
                                           0x180008, 0x170007, 0x160006, 0x150005, 0x140004, 0x130003, 0x120002,
                                           0x110001, 0x100000);
    for (std::int64_t r = 0; r < count; r += 2) {
      const float* from = scores + r * kKeyBlock;
      Unit* to = joined_rows + (row + r) / 2 * kKeyBlock;
      for (std::int64_t n = 0; n < kKeyBlock; n += 16) {
        const __m512 first = _mm512_loadu_ps(from + n);
        const __m512 second = r + 1 < count ? _mm512_loadu_ps(from + kKeyBlock + n) : _mm512_setzero_ps();
        _mm512_storeu_si512(to + n, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
      }
    }
  }
  FT_ALWAYS_INLINE static const Unit* joined_left(const float*, const Unit* joined_rows) noexcept { return joined_rows; }
};

}  // namespace kernels
}  // namespace ftlib
