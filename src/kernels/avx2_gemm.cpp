// SPDX-License-Identifier: Apache-2.0
// f32 tile of 6 rows by 16 columns: 12 of the 16 registers hold sums. Under bf16 compute values are rounded to bf16 when a
// panel is filled, for both sides, and multiplied in f32.
#include <immintrin.h>

#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

using detail::GemmFactor;
using detail::GemmFinish;
using detail::GemmOperand;
using detail::PanelJob;
using detail::TileJob;

constexpr int kWidth = 16;

template <int kRows>
[[gnu::always_inline]] inline void accumulate(__m256 (&sum)[kRows][2], const GemmFactor& factor, std::int64_t row) {
  const std::int64_t a_row = factor.a_row, a_step = factor.a_step, b_step = factor.panel_step / 4;
  const char* a = static_cast<const char*>(factor.a) + row * a_row;
  const float* b = static_cast<const float*>(factor.panel);
  for (std::int64_t step = factor.steps; step > 0; --step, a += a_step, b += b_step) {
    const __m256 low = _mm256_loadu_ps(b), high = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const __m256 value = _mm256_broadcast_ss(reinterpret_cast<const float*>(a + r * a_row));
      sum[r][0] = _mm256_fmadd_ps(value, low, sum[r][0]);
      sum[r][1] = _mm256_fmadd_ps(value, high, sum[r][1]);
    }
  }
}

/// Round to nearest even as to_bf16 does, in the upper half of each word; NaN stays NaN.
__m256i round_to_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  return _mm256_and_si256(_mm256_blendv_epi8(rounded, quiet, nan), _mm256_set1_epi32(static_cast<int>(0xffff0000u)));
}

__m256 widen(__m128i bf16s) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bf16s), 16)); }

float widen_one(std::uint16_t bf16) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(std::uint32_t{bf16} << 16))));
}

void store_bf16(std::uint16_t* to, __m256 value) {
  const __m256i words = _mm256_srli_epi32(round_to_bf16(value), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
}

/// y = alpha * acc + bias + beta * add for eight columns of one row.
__m256 finish_eight(const GemmFinish& out, const float* bias, const void* add, __m256 acc) {
  acc = _mm256_mul_ps(acc, _mm256_set1_ps(out.alpha));
  if (bias) acc = _mm256_add_ps(acc, _mm256_loadu_ps(bias));
  if (add == nullptr) return acc;
  const __m256 more = out.bf16 ? widen(_mm_loadu_si128(static_cast<const __m128i*>(add)))
                               : _mm256_loadu_ps(static_cast<const float*>(add));
  return _mm256_add_ps(acc, _mm256_mul_ps(more, _mm256_set1_ps(out.beta)));
}

/// Columns [column, column + count) with count < 8, through memory that is there for all eight.
void finish_few(const GemmFinish& out, std::int64_t row, std::int64_t column, std::int64_t count, __m256 acc) {
  alignas(32) float bias[8] = {}, add[8] = {}, y[8];
  for (std::int64_t i = 0; i < count; ++i) {
    if (out.bias) bias[i] = out.bias[column + i];
    const std::int64_t at = row * out.add_stride + column + i;
    if (out.add) add[i] = out.bf16 ? widen_one(static_cast<const std::uint16_t*>(out.add)[at])
                                   : static_cast<const float*>(out.add)[at];
  }
  GemmFinish wide = out;
  wide.bf16 = false;
  acc = finish_eight(wide, out.bias ? bias : nullptr, out.add ? add : nullptr, acc);
  alignas(32) std::uint16_t halves[16];
  _mm256_store_ps(y, acc);
  store_bf16(halves, acc);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = row * out.y_stride + column + i;
    if (out.bf16) static_cast<std::uint16_t*>(out.y)[at] = halves[i];
    else static_cast<float*>(out.y)[at] = y[i];
  }
}

void finish(const GemmFinish& out, std::int64_t row, std::int64_t column, std::int64_t count, __m256 acc) {
  if (count <= 0) return;
  if (count < 8) return finish_few(out, row, column, count, acc);
  const std::int64_t size = out.bf16 ? 2 : 4, at = row * out.add_stride + column, to = row * out.y_stride + column;
  acc = finish_eight(out, out.bias ? out.bias + column : nullptr,
                     out.add ? static_cast<const char*>(out.add) + at * size : nullptr, acc);
  if (out.bf16) store_bf16(static_cast<std::uint16_t*>(out.y) + to, acc);
  else _mm256_storeu_ps(static_cast<float*>(out.y) + to, acc);
}

template <int kRows>
void tile_rows(const TileJob& job, std::int64_t row) {
  __m256 sum[kRows][2];
  float* acc = job.acc ? job.acc + row * kWidth : nullptr;
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v)
      sum[r][v] = job.resume ? _mm256_loadu_ps(acc + r * kWidth + v * 8) : _mm256_setzero_ps();
  if (job.low_rank.steps > 0) {
    accumulate(sum, job.low_rank, row);
    const __m256 scale = _mm256_set1_ps(job.low_rank_scale);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) sum[r][v] = _mm256_mul_ps(sum[r][v], scale);
  }
  accumulate(sum, job.main, row);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      if (job.finish) finish(job.out, row + r, v * 8, job.columns - v * 8, sum[r][v]);
      else _mm256_storeu_ps(acc + r * kWidth + v * 8, sum[r][v]);
    }
}

__m256i first8(std::int64_t n) {
  const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : static_cast<int>(n)), lane);
}

/// Eight values of a stored row; those beyond `count` are zero. The two dense formats; others the driver decodes to f32.
template <bool kRound>
struct F32Rows {
  const float* data;
  std::int64_t stride;
  explicit F32Rows(const GemmOperand& o) : data(static_cast<const float*>(o.view.data)), stride(o.stride) {}
  __m256 at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    const __m256 values = _mm256_maskload_ps(data + row * stride + column, first8(count));
    return kRound ? _mm256_castsi256_ps(round_to_bf16(values)) : values;
  }
};
struct Bf16Rows {
  const std::uint16_t* data;
  std::int64_t stride;
  explicit Bf16Rows(const GemmOperand& o) : data(static_cast<const std::uint16_t*>(o.view.data)), stride(o.stride) {}
  __m256 at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    const std::uint16_t* from = data + row * stride + column;
    if (count >= 8) return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    alignas(16) std::uint16_t few[8] = {};
    for (std::int64_t i = 0; i < count; ++i) few[i] = from[i];
    return widen(_mm_load_si128(reinterpret_cast<const __m128i*>(few)));
  }
};

/// 8 registers of 8 values: value j of register i becomes value i of register j.
void transpose(__m256 (&r)[8]) {
  __m256 t[8], u[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

template <class Rows>
bool fill(const PanelJob& job) {
  const Rows rows(*job.source);
  for (int lane = 0; lane < kWidth; lane += 8) {
    float* to = static_cast<float*>(job.panel) + lane;
    const std::int64_t count = job.lanes - lane;
    if (job.source->across) {
      for (std::int64_t d = 0; d < job.depths; ++d, to += kWidth)
        _mm256_store_ps(to, count > 0 ? rows.at(job.depth + d, job.lane + lane, count) : _mm256_setzero_ps());
      continue;
    }
    for (std::int64_t d = 0; d < job.depths; d += 8) {
      __m256 r[8];
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i)
        r[i] = i < count ? rows.at(job.lane + lane + i, job.depth + d, job.depths - d) : _mm256_setzero_ps();
      transpose(r);
      const int steps = job.depths - d < 8 ? static_cast<int>(job.depths - d) : 8;
      for (int j = 0; j < steps; ++j, to += kWidth) _mm256_store_ps(to, r[j]);
    }
  }
  return true;
}

template <bool kRound>
bool fill_format(const PanelJob& job) {
  if (job.source->view.format == WeightFormat::f32) return fill<F32Rows<kRound>>(job);
  if (job.source->view.format == WeightFormat::bf16) return fill<Bf16Rows>(job);
  return false;
}

}  // namespace

bool avx2_fill_bf16(const PanelJob& job) noexcept { return fill_format<true>(job); }
bool avx2_fill_f32(const PanelJob& job) noexcept { return fill_format<false>(job); }

void avx2_tile(const TileJob& job) noexcept {
  std::int64_t row = 0;
  for (; row + 6 <= job.rows; row += 6) tile_rows<6>(job, row);
  switch (job.rows - row) {
    case 1: return tile_rows<1>(job, row);
    case 2: return tile_rows<2>(job, row);
    case 3: return tile_rows<3>(job, row);
    case 4: return tile_rows<4>(job, row);
    case 5: return tile_rows<5>(job, row);
    default: return;
  }
}

}  // namespace kernels
}  // namespace ftlib
