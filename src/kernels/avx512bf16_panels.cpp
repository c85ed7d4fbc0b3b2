// SPDX-License-Identifier: Apache-2.0
// Panels of bf16 pairs and of f32. The two ways to fill, along the stored rows and across them, are the same for every
// format.
#include <immintrin.h>

#include "kernels/avx512bf16_squares.h"
#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

using detail::PanelJob;

struct PanelSink {
  std::int32_t* to;
  std::int64_t width;
  INLINE void operator()(int step, __m512i word) const { _mm512_store_si512(to + step * width, word); }
};

/// Lanes are stored rows: runs of 16 of them are read along the depth and transposed.
template <int kPack, class Reader>
void fill_along(const PanelJob& job, const Reader& reader) {
  AffineRows affine;
  for (std::int64_t lane = 0; lane < job.width; lane += 16)
    for (std::int64_t d = 0; d < job.depths; d += 32) {
      const std::int64_t rows = job.lanes - lane, count = job.depths - d;
      const std::int64_t offset = reader.offset(job.lane + lane, job.depth + d);
      PanelSink panel{static_cast<std::int32_t*>(job.panel) + d / kPack * job.width + lane, job.width};
      if (rows >= 16 && count >= 32) {
        for (std::int64_t i = 16; i < 32; ++i) reader.prefetch(offset + i * reader.row_step);  // of the next square of lanes
        reader.affine_rows(offset, affine, d == 0);
        read_square<kPack>(reader, offset, affine, panel);
      } else {
        read_corner<kPack>(reader, offset, rows, count, panel);
      }
    }
}

/// Even and odd words alternate: the first 16 of each register and the last.
struct Interleave {
  __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4,
                                 35, 3, 34, 2, 33, 1, 32, 0);
  __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  INLINE void store(std::int32_t* to, __m512i even, __m512i odd, bool both) const {
    _mm512_store_si512(to, _mm512_permutex2var_epi16(even, low, odd));
    if (both) _mm512_store_si512(to + 16, _mm512_permutex2var_epi16(even, high, odd));
  }
};

/// Lanes are stored columns. Rows lie far apart, so those of a few steps ahead are called for.
template <class Reader>
void fill_pairs_across(const PanelJob& job, const Reader& reader) {
  const Interleave pairs;
  const __m512i zero = _mm512_setzero_si512();
  auto* to = static_cast<std::int32_t*>(job.panel);
  for (std::int64_t d = 0; d < job.depths; d += 2, to += job.width)
    for (std::int64_t lane = 0; lane < job.width; lane += 32) {
      const std::int64_t count = job.lanes - lane, even = reader.offset(job.depth + d, job.lane + lane);
      const std::int64_t odd = even + reader.row_step;
      reader.prefetch(even + 16 * reader.row_step);
      reader.prefetch(odd + 16 * reader.row_step);
      const bool both = lane + 16 < job.width, has_odd = d + 1 < job.depths;
      if (count >= 32 && has_odd)
        pairs.store(to + lane, reader.template bf16<true>(even, 32, reader.affine(even)),
                    reader.template bf16<true>(odd, 32, reader.affine(odd)), both);
      else if (count > 0)
        pairs.store(to + lane, reader.template bf16<false>(even, count, reader.affine(even)),
                    has_odd ? reader.template bf16<false>(odd, count, reader.affine(odd)) : zero, both);
      else
        pairs.store(to + lane, zero, zero, both);
    }
}

template <class Reader>
void fill_f32_across(const PanelJob& job, const Reader& reader) {
  const __m512 zero = _mm512_setzero_ps();
  auto* to = static_cast<float*>(job.panel);
  for (std::int64_t d = 0; d < job.depths; ++d, to += job.width)
    for (std::int64_t lane = 0; lane < job.width; lane += 32) {
      const std::int64_t count = job.lanes - lane, offset = reader.offset(job.depth + d, job.lane + lane);
      reader.prefetch(offset + 16 * reader.row_step);
      const Affine affine = count > 0 ? reader.affine(offset) : Affine();
      _mm512_store_ps(to + lane, count > 0 ? reader.template f32<false, 0>(offset, count, affine) : zero);
      if (lane + 16 >= job.width) continue;
      _mm512_store_ps(to + lane + 16, count > 16 ? reader.template f32<false, 1>(offset, count - 16, affine) : zero);
    }
}

}  // namespace

bool avx512_fill_bf16(const PanelJob& job) noexcept {
  return with_reader(*job.source, [&](const auto& reader) {
    if (job.source->across) fill_pairs_across(job, reader);
    else fill_along<kBf16>(job, reader);
  });
}

bool avx512_fill_f32(const PanelJob& job) noexcept {
  return with_reader(*job.source, [&](const auto& reader) {
    if (job.source->across) fill_f32_across(job, reader);
    else fill_along<kF32>(job, reader);
  });
}

}  // namespace kernels
}  // namespace ftlib
