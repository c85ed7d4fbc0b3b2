// SPDX-License-Identifier: Apache-2.0
// The register tile: up to 6 rows by 64 columns of sums in 24 of the 32 registers, one panel row and one broadcast a step.
// And its like for a few rows, which meets the weight's values as they are decoded and writes no panel.
#include <immintrin.h>

#include <type_traits>

#include "kernels/avx512bf16_squares.h"
#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

using detail::DotJob;
using detail::GemmFactor;
using detail::GemmFinish;
using detail::TileJob;

struct Bf16Dot {
  [[gnu::always_inline]] static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
};
struct F32Dot {
  [[gnu::always_inline]] static __m512 add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
  }
};

template <class Dot, int kRows, int kVectors>
[[gnu::always_inline]] inline void accumulate(__m512 (&sum)[kRows][kVectors], const GemmFactor& factor,
                                              std::int64_t row) {
  const std::int64_t a_row = factor.a_row, a_step = factor.a_step, b_step = factor.panel_step;
  const char* a = static_cast<const char*>(factor.a) + row * a_row;
  const char* b = static_cast<const char*>(factor.panel);
  for (std::int64_t step = factor.steps; step > 0; --step, a += a_step, b += b_step) {
    __m512i panel[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) _mm_prefetch(b + v * 64 + 4 * b_step, _MM_HINT_T0);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) panel[v] = _mm512_loadu_si512(b + v * 64);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512i value = _mm512_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(a + r * a_row)));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Dot::add(sum[r][v], value, panel[v]);
    }
  }
}

/// y = alpha * acc + bias + beta * add for 16 columns of one row.
void finish_vector(const GemmFinish& out, std::int64_t row, std::int64_t column, __mmask16 mask, __m512 acc) {
  acc = _mm512_mul_ps(acc, _mm512_set1_ps(out.alpha));
  if (out.bias) acc = _mm512_add_ps(acc, _mm512_maskz_loadu_ps(mask, out.bias + column));
  if (out.add) {
    const std::int64_t at = row * out.add_stride + column;
    const __m512 add = out.bf16 ? widen(_mm256_maskz_loadu_epi16(mask, static_cast<const std::uint16_t*>(out.add) + at))
                                : _mm512_maskz_loadu_ps(mask, static_cast<const float*>(out.add) + at);
    acc = _mm512_add_ps(acc, _mm512_mul_ps(add, _mm512_set1_ps(out.beta)));
  }
  const std::int64_t at = row * out.y_stride + column;
  if (out.bf16) _mm256_mask_storeu_epi16(static_cast<std::uint16_t*>(out.y) + at, mask, (__m256i)_mm512_cvtneps_pbh(acc));
  else _mm512_mask_storeu_ps(static_cast<float*>(out.y) + at, mask, acc);
}

template <int kRows, int kVectors>
INLINE void store_sums(float* to, const __m512 (&sum)[kRows][kVectors]) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(to + (r * kVectors + v) * 16, sum[r][v]);
}

/// The edge of a product, a bias: with masks, vector by vector. Far from the tiles, whose registers a call would spill.
[[gnu::noinline]] void finish_edge(const TileJob& job, std::int64_t row, int rows, int vectors, const float* sums) {
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v, sums += 16)
      finish_vector(job.out, row + r, v * 16, first16(job.columns - v * 16), _mm512_loadu_ps(sums));
}

/// finish_vector of a whole tile of the most rows without bias, as nearly all are: nothing is masked, nothing leaves its
/// register.
template <bool kBf16, int kRows, int kVectors>
INLINE void finish_whole(const GemmFinish& out, std::int64_t row, const __m512 (&sum)[kRows][kVectors]) {
  using Value = std::conditional_t<kBf16, std::uint16_t, float>;
  const __m512 alpha = _mm512_set1_ps(out.alpha), beta = _mm512_set1_ps(out.beta);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    Value* y = static_cast<Value*>(out.y) + (row + r) * out.y_stride;
    const Value* add = static_cast<const Value*>(out.add) + (out.add ? (row + r) * out.add_stride : 0);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      __m512 acc = _mm512_mul_ps(sum[r][v], alpha);
      if constexpr (kBf16) {
        if (out.add) acc = _mm512_add_ps(acc, _mm512_mul_ps(widen(_mm256_loadu_epi16(add + v * 16)), beta));
        _mm256_storeu_epi16(y + v * 16, (__m256i)_mm512_cvtneps_pbh(acc));
      } else {
        if (out.add) acc = _mm512_add_ps(acc, _mm512_mul_ps(_mm512_loadu_ps(add + v * 16), beta));
        _mm512_storeu_ps(y + v * 16, acc);
      }
    }
  }
}

template <int kRows, int kVectors>
INLINE void finish_tile(const TileJob& job, std::int64_t row, const __m512 (&sum)[kRows][kVectors]) {
  if constexpr (kRows == (kVectors == 4 ? 6 : 12)) {
    if (job.columns == kVectors * 16 && !job.out.bias) {
      if (job.out.bf16) return finish_whole<true>(job.out, row, sum);
      return finish_whole<false>(job.out, row, sum);
    }
  }
  float sums[kRows * kVectors * 16];
  store_sums(sums, sum);
  finish_edge(job, row, kRows, kVectors, sums);
}

template <class Dot, int kRows, int kVectors>
void tile_rows(const TileJob& job, std::int64_t row) {
  __m512 sum[kRows][kVectors];
  float* acc = job.acc ? job.acc + row * job.width : nullptr;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = job.resume ? _mm512_loadu_ps(acc + (r * kVectors + v) * 16) : _mm512_setzero_ps();
  if (job.low_rank.steps > 0) {
    accumulate<Dot>(sum, job.low_rank, row);
    const __m512 scale = _mm512_set1_ps(job.low_rank_scale);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_mul_ps(sum[r][v], scale);
  }
  accumulate<Dot>(sum, job.main, row);
  if (job.finish) finish_tile(job, row, sum);
  else store_sums(acc, sum);
}

using TileRows = void (*)(const TileJob&, std::int64_t);

/// Full tiles of kMost rows, then one tile of what is left.
template <int kMost>
void tile_all(const TileJob& job, const TileRows (&tiles)[kMost]) {
  std::int64_t row = 0;
  for (; row + kMost <= job.rows; row += kMost) tiles[kMost - 1](job, row);
  if (row < job.rows) tiles[job.rows - row - 1](job, row);
}

template <class Dot>
void tile(const TileJob& job) {
  static constexpr TileRows kFour[6] = {tile_rows<Dot, 1, 4>, tile_rows<Dot, 2, 4>, tile_rows<Dot, 3, 4>,
                                        tile_rows<Dot, 4, 4>, tile_rows<Dot, 5, 4>, tile_rows<Dot, 6, 4>};
  static constexpr TileRows kTwo[12] = {
      tile_rows<Dot, 1, 2>, tile_rows<Dot, 2, 2>, tile_rows<Dot, 3, 2>,  tile_rows<Dot, 4, 2>,
      tile_rows<Dot, 5, 2>, tile_rows<Dot, 6, 2>, tile_rows<Dot, 7, 2>,  tile_rows<Dot, 8, 2>,
      tile_rows<Dot, 9, 2>, tile_rows<Dot, 10, 2>, tile_rows<Dot, 11, 2>, tile_rows<Dot, 12, 2>};
  static constexpr TileRows kOne[12] = {
      tile_rows<Dot, 1, 1>, tile_rows<Dot, 2, 1>, tile_rows<Dot, 3, 1>,  tile_rows<Dot, 4, 1>,
      tile_rows<Dot, 5, 1>, tile_rows<Dot, 6, 1>, tile_rows<Dot, 7, 1>,  tile_rows<Dot, 8, 1>,
      tile_rows<Dot, 9, 1>, tile_rows<Dot, 10, 1>, tile_rows<Dot, 11, 1>, tile_rows<Dot, 12, 1>};
  if (job.width == 64) tile_all(job, kFour);
  else if (job.width == 32) tile_all(job, kTwo);
  else tile_all(job, kOne);
}

/// The sums of 16 lanes, kept in registers over the whole depth.
template <class Dot, int kRows>
struct DotSink {
  const char* a;
  std::int64_t a_row;
  __m512 sum[kRows];
  INLINE void operator()(int step, __m512i word) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r)
      sum[r] = Dot::add(sum[r], _mm512_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(a + r * a_row + step * 4))), word);
  }
};

/// Calls for the lines of stored rows piece by piece. Sixteen rows are read side by side, in steps too short for the
/// processor to see where they lead, so that each line would be waited for.
template <class Reader>
struct Ahead {
  const Reader& reader;
  std::int64_t at, end;
  INLINE void call_for(std::int64_t lines) {
    for (; lines > 0 && at < end; --lines, at += Reader::kLine) reader.prefetch(at);
  }
};

template <class Dot, int kPack, int kRows, class Reader>
void dot_rows(const DotJob& job, const Reader& reader) {
  AffineRows affine;
  const std::int64_t square = 16 * reader.row_step;
  const std::int64_t beyond = job.lane + 2 * job.lanes, rows = job.source->view.out();
  const std::int64_t last = reader.offset(beyond < rows ? beyond : rows, 0);  // into the next chunk of the stretch
  const std::int64_t lines = square / Reader::kLine / (job.depth / 32 + 1) + 1;  // of the next rows in each step
  Ahead<Reader> ahead{reader, reader.offset(job.lane, 0), last};
  ahead.call_for(square / Reader::kLine);
  for (std::int64_t lane = 0; lane < job.lanes; lane += 16) {
    DotSink<Dot, kRows> sink{static_cast<const char*>(job.a), job.a_row, {}};
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sink.sum[r] = _mm512_loadu_ps(job.sums + r * job.width + lane);
    for (std::int64_t d = 0; d < job.depth; d += 32, sink.a += 128 / kPack) {
      ahead.call_for(lines);
      const std::int64_t offset = reader.offset(job.lane + lane, d);
      if (job.lanes - lane >= 16 && job.depth - d >= 32) {
        reader.affine_rows(offset, affine, d == 0);
        read_square<kPack>(reader, offset, affine, sink);
      } else {
        read_corner<kPack>(reader, offset, job.lanes - lane, job.depth - d, sink);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) _mm512_storeu_ps(job.sums + r * job.width + lane, sink.sum[r]);
  }
}

template <class Dot, int kPack>
bool dot(const DotJob& job) {
  return with_reader(*job.source, [&](const auto& reader) {
    switch (job.rows) {
      case 1: return dot_rows<Dot, kPack, 1>(job, reader);
      case 2: return dot_rows<Dot, kPack, 2>(job, reader);
      case 3: return dot_rows<Dot, kPack, 3>(job, reader);
      case 4: return dot_rows<Dot, kPack, 4>(job, reader);
      default: return;
    }
  });
}

}  // namespace

bool avx512_dot_bf16(const DotJob& job) noexcept { return dot<Bf16Dot, kBf16>(job); }
bool avx512_dot_f32(const DotJob& job) noexcept { return dot<F32Dot, kF32>(job); }
void avx512_tile_bf16(const TileJob& job) noexcept { tile<Bf16Dot>(job); }
void avx512_tile_f32(const TileJob& job) noexcept { tile<F32Dot>(job); }

}  // namespace kernels
}  // namespace ftlib
