// SPDX-License-Identifier: Apache-2.0
// The vector that kernels are written over, on the compiler's own vector types; src/kernels/ has the same interface on
// AVX2 and AVX-512, so every elementwise kernel exists once.
#pragma once
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "ftlib/core/half.h"

#define FT_ALWAYS_INLINE [[gnu::always_inline]] inline
#define FT_INLINE_LAMBDA __attribute__((always_inline))

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

// g++ takes no vector size that depends on a template argument.
template <int Lanes>
struct LaneTypes;
#define FT_LANE_TYPES(lanes)                                                 \
  template <>                                                                \
  struct LaneTypes<lanes> {                                                  \
    typedef float Float __attribute__((vector_size(lanes * 4)));             \
    typedef std::int32_t Int __attribute__((vector_size(lanes * 4)));        \
    typedef std::uint32_t Word __attribute__((vector_size(lanes * 4)));      \
    typedef std::uint16_t Half __attribute__((vector_size(lanes * 2)));      \
  }
FT_LANE_TYPES(4);
FT_LANE_TYPES(8);
FT_LANE_TYPES(16);
#undef FT_LANE_TYPES

/// `Lanes` floats. load and store convert bf16 on the way; with a count they touch `count` < Lanes elements only, and
/// lanes beyond it read as `fill`. Comparisons with NaN are false.
template <int Lanes>
struct CompilerVector {
  static constexpr int kLanes = Lanes;
  /// Register tile of products: rows times vectors of columns.
  static constexpr int kTileRows = 4, kTileColumns = 2;
  using Float = typename LaneTypes<Lanes>::Float;
  using Int = typename LaneTypes<Lanes>::Int;
  using Word = typename LaneTypes<Lanes>::Word;
  using Half = typename LaneTypes<Lanes>::Half;
  Float v;

  FT_ALWAYS_INLINE static CompilerVector set(float x) noexcept { return {Float{} + x}; }
  FT_ALWAYS_INLINE static CompilerVector load(const float* p) noexcept {
    CompilerVector x;
    std::memcpy(&x.v, p, sizeof x.v);
    return x;
  }
  FT_ALWAYS_INLINE static CompilerVector load(const bf16* p) noexcept {
    Half bits;
    std::memcpy(&bits, p, sizeof bits);
    return {reinterpret_cast<Float>(__builtin_convertvector(bits, Word) << 16)};
  }
  template <class S>
  FT_ALWAYS_INLINE static CompilerVector load(const S* p, std::int64_t count, float fill = 0) noexcept {
    float lane[Lanes];
    for (int i = 0; i < Lanes; ++i) lane[i] = fill;
    for (std::int64_t i = 0; i < count; ++i) {
      S one;
      std::memcpy(&one, p + i, sizeof one);
      lane[i] = to_float(one);
    }
    return load(lane);
  }
  FT_ALWAYS_INLINE void store(float* p) const noexcept { std::memcpy(p, &v, sizeof v); }
  FT_ALWAYS_INLINE void store(bf16* p) const noexcept {
    const Word bits = reinterpret_cast<Word>(v);
    const Word rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, quiet = (bits >> 16) | 0x40u;
    const Word nan = reinterpret_cast<Word>((bits & 0x7fffffffu) > 0x7f800000u);
    const Half half = __builtin_convertvector((nan & quiet) | (~nan & rounded), Half);
    std::memcpy(p, &half, sizeof half);
  }
  template <class S>
  FT_ALWAYS_INLINE void store(S* p, std::int64_t count) const noexcept {
    S lane[Lanes];
    store(lane);
    std::memcpy(p, lane, static_cast<std::size_t>(count) * sizeof(S));
  }
  /// Units of a panel (kernels/tile.h), moved as they are.
  FT_ALWAYS_INLINE static CompilerVector load_bits(const float* p) noexcept { return load(p); }
  FT_ALWAYS_INLINE void store_bits(float* p) const noexcept { store(p); }
  /// Lane j of vector i becomes lane i of vector j.
  FT_ALWAYS_INLINE static void transpose(CompilerVector (&x)[Lanes]) noexcept {
    float block[Lanes][Lanes];
    for (int i = 0; i < Lanes; ++i) x[i].store(block[i]);
    for (int i = 0; i < Lanes; ++i)
      for (int j = 0; j < Lanes; ++j) x[i].v[j] = block[j][i];
  }

  FT_ALWAYS_INLINE friend CompilerVector operator+(CompilerVector a, CompilerVector b) noexcept { return {a.v + b.v}; }
  FT_ALWAYS_INLINE friend CompilerVector operator-(CompilerVector a, CompilerVector b) noexcept { return {a.v - b.v}; }
  FT_ALWAYS_INLINE friend CompilerVector operator*(CompilerVector a, CompilerVector b) noexcept { return {a.v * b.v}; }
  FT_ALWAYS_INLINE friend CompilerVector operator/(CompilerVector a, CompilerVector b) noexcept { return {a.v / b.v}; }
  /// a * b + c, rounded once where the machine can.
  FT_ALWAYS_INLINE friend CompilerVector fma(CompilerVector a, CompilerVector b, CompilerVector c) noexcept {
    return {a.v * b.v + c.v};
  }
  /// The larger and the smaller; b where either is NaN.
  FT_ALWAYS_INLINE friend CompilerVector max(CompilerVector a, CompilerVector b) noexcept {
    return {a.v > b.v ? a.v : b.v};
  }
  FT_ALWAYS_INLINE friend CompilerVector min(CompilerVector a, CompilerVector b) noexcept {
    return {a.v < b.v ? a.v : b.v};
  }
  /// 1 / x to 2 units in the last place, x at most 2^127.
  FT_ALWAYS_INLINE CompilerVector reciprocal() const noexcept { return {1.0f / v}; }
  FT_ALWAYS_INLINE CompilerVector root() const noexcept {
#if defined(__SSE2__)
    CompilerVector x;
    for (int i = 0; i < Lanes; i += 4) {  // a loop over sqrtf would test every lane for errno's sake
      __m128 quarter;
      std::memcpy(&quarter, reinterpret_cast<const char*>(&v) + i * 4, sizeof quarter);
      quarter = _mm_sqrt_ps(quarter);
      std::memcpy(reinterpret_cast<char*>(&x.v) + i * 4, &quarter, sizeof quarter);
    }
    return x;
#else
    CompilerVector x;
    for (int i = 0; i < Lanes; ++i) x.v[i] = __builtin_sqrtf(v[i]);
    return x;
#endif
  }
  /// x < limit ? replacement : value
  FT_ALWAYS_INLINE friend CompilerVector if_less(CompilerVector x, CompilerVector limit, CompilerVector replacement,
                                                 CompilerVector value) noexcept {
    return {x.v < limit.v ? replacement.v : value.v};
  }
  /// Lanes at and beyond `count` become `fill`.
  FT_ALWAYS_INLINE CompilerVector keep(std::int64_t count, float fill) const noexcept {
    float lane[Lanes];
    store(lane);
    for (std::int64_t i = count > 0 ? count : 0; i < Lanes; ++i) lane[i] = fill;
    return load(lane);
  }
  /// The nearest integer, |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
  FT_ALWAYS_INLINE CompilerVector rounded() const noexcept { return {(v + 12582912.0f) - 12582912.0f}; }
  /// x * 2^n for an integer n, -126 <= n <= 127 (any n where kScalesFreely).
  static constexpr bool kScalesFreely = false;
  FT_ALWAYS_INLINE CompilerVector scaled(CompilerVector n) const noexcept {
    const Int exponent = __builtin_convertvector(n.v, Int) + 127;
    return {v * reinterpret_cast<Float>(exponent << 23)};
  }

  /// Sums and maxima over lanes in a fixed tree.
  FT_ALWAYS_INLINE float sum() const noexcept {
    float lane[Lanes];
    store(lane);
    for (int half = Lanes / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    return lane[0];
  }
  FT_ALWAYS_INLINE float highest() const noexcept {
    float best = v[0];
    for (int i = 1; i < Lanes; ++i) best = v[i] > best ? v[i] : best;
    return best;
  }
};

#if defined(__AVX512F__)
using PortableVector = CompilerVector<16>;
#elif defined(__AVX__)
using PortableVector = CompilerVector<8>;
#else
using PortableVector = CompilerVector<4>;
#endif

}  // namespace kernels
}  // namespace ftlib
