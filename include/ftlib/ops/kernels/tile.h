// SPDX-License-Identifier: Apache-2.0
// Small products in registers: what attention is made of.
//
// A panel is made of units: the `kPair` neighbouring elements of a reduction that one instruction takes. F32Tile has one
// float a unit; the AVX-512 BF16 tile of src/kernels/ has two bf16.
#pragma once
#include <utility>

#include "ftlib/ops/kernels/vector_math.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

template <class Body, int... I>
FT_ALWAYS_INLINE void unroll(std::integer_sequence<int, I...>, Body&& body) noexcept {
  (body(std::integral_constant<int, I>{}), ...);
}
/// body(0), ..., body(N - 1) with compile-time indices.
template <int N, class Body>
FT_ALWAYS_INLINE void unroll(Body&& body) noexcept { unroll(std::make_integer_sequence<int, N>{}, body); }

/// Calls body with n as a compile-time constant, 1 <= n <= Most.
template <int Most, class Body>
FT_ALWAYS_INLINE void with_constant(std::int64_t n, Body&& body) noexcept {
  if constexpr (Most > 1) {
    if (n < Most) return with_constant<Most - 1>(n, body);
  }
  body(std::integral_constant<int, Most>{});
}

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) noexcept { return (n + to - 1) / to * to; }

/// Units of one float over any vector; storage is widened when a panel is filled.
template <class V>
struct F32Tile {
  using Vector = V;
  using Unit = float;
  static constexpr int kPair = 1;

  FT_ALWAYS_INLINE static V broadcast(const float* unit) noexcept { return V::set(*unit); }
  FT_ALWAYS_INLINE static V multiply_add(V a, V b, V sum) noexcept { return fma(a, b, sum); }

  /// kLanes units of a row from its element `at` on; beyond `end` zeros.
  template <class S>
  FT_ALWAYS_INLINE static V units(const S* row, std::int64_t at, std::int64_t end) noexcept {
    if (at + V::kLanes <= end) return V::load(row + at);
    return at < end ? V::load(row + at, end - at) : V::set(0);
  }
  /// kLanes units, each of column at + lane of the `kPair` rows from `row` on; here of one row.
  template <class S>
  FT_ALWAYS_INLINE static V joined(const S* row, const S*, std::int64_t at, std::int64_t end) noexcept {
    return row ? units(row, at, end) : V::set(0);
  }
  /// Scores [rows][kKeyBlock] as the left operand of a product over their columns; `room` where they need another form.
  FT_ALWAYS_INLINE static const float* left_operand(const float* scores, std::int64_t, std::int64_t, float*) noexcept {
    return scores;
  }
  /// Scores as the left operand of a product over their rows: join_rows puts `count` rows from `row` on into it.
  FT_ALWAYS_INLINE static void join_rows(const float*, std::int64_t, float*, std::int64_t) noexcept {}
  FT_ALWAYS_INLINE static const float* joined_left(const float* scores, const float*) noexcept { return scores; }
};

/// c [R rows, C vectors] (+)= sum over k < steps of a(r, k) * b(k): a in units with strides, b rows of vectors.
template <class Tile, int R, int C>
FT_ALWAYS_INLINE void multiply_tile(const typename Tile::Unit* a, std::int64_t a_row, std::int64_t a_step,
                                    const typename Tile::Unit* b, std::int64_t b_step, std::int64_t steps, float* c,
                                    std::int64_t c_row, bool accumulate) noexcept {
  using V = typename Tile::Vector;
  V sum[R][C];
  unroll<R>([&](auto r) FT_INLINE_LAMBDA {
    unroll<C>([&](auto v) FT_INLINE_LAMBDA {
      sum[r][v] = accumulate ? V::load(c + r * c_row + v * V::kLanes) : V::set(0);
    });
  });
  for (std::int64_t k = 0; k < steps; ++k, a += a_step, b += b_step) {
    V column[C];
    unroll<C>([&](auto v) FT_INLINE_LAMBDA { column[v] = V::load_bits(b + v * V::kLanes); });
    unroll<R>([&](auto r) FT_INLINE_LAMBDA {
      const V factor = Tile::broadcast(a + r * a_row);
      unroll<C>([&](auto v) FT_INLINE_LAMBDA { sum[r][v] = Tile::multiply_add(factor, column[v], sum[r][v]); });
    });
  }
  unroll<R>([&](auto r) FT_INLINE_LAMBDA {
    unroll<C>([&](auto v) FT_INLINE_LAMBDA { sum[r][v].store(c + r * c_row + v * V::kLanes); });
  });
}

/// The operands of one product: a [rows, steps], b [steps, columns], c [rows, columns] in f32.
template <class Unit>
struct Product {
  const Unit* a;
  std::int64_t a_row, a_step;
  const Unit* b;
  std::int64_t b_step, steps;
  float* c;
  std::int64_t c_row;
};

/// rows <= kTileRows; columns a multiple of kLanes. Every element is one chain of sums over k, whatever tile it is in.
template <class Tile>
void multiply_rows(const Product<typename Tile::Unit>& p, std::int64_t rows, std::int64_t columns,
                   bool accumulate) noexcept {
  using V = typename Tile::Vector;
  constexpr std::int64_t kWide = V::kTileColumns * V::kLanes;
  with_constant<V::kTileRows>(rows, [&](auto r) {
    std::int64_t n = 0;
    for (; n + kWide <= columns; n += kWide)
      multiply_tile<Tile, r, V::kTileColumns>(p.a, p.a_row, p.a_step, p.b + n, p.b_step, p.steps, p.c + n, p.c_row,
                                              accumulate);
    if (n == columns) return;
    with_constant<V::kTileColumns>((columns - n) / V::kLanes, [&](auto v) {
      multiply_tile<Tile, r, v>(p.a, p.a_row, p.a_step, p.b + n, p.b_step, p.steps, p.c + n, p.c_row, accumulate);
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
