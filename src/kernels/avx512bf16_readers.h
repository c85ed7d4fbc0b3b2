// SPDX-License-Identifier: Apache-2.0
// How the stored formats are read, for the files compiled for AVX-512 BF16: runs of 32 consecutive values of a stored row,
// decoded exactly and rounded once. avx512bf16_squares.h transposes them.
#pragma once
#include <immintrin.h>

#include "ftlib/ops/gemm.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

#define INLINE [[gnu::always_inline]] inline

using detail::GemmOperand;
using detail::PanelJob;

INLINE __mmask16 first16(std::int64_t n) {
  return n >= 16 ? __mmask16{0xffff} : n <= 0 ? __mmask16{0} : static_cast<__mmask16>((1u << n) - 1);
}
INLINE __mmask32 first32(std::int64_t n) { return n >= 32 ? ~__mmask32{0} : n <= 0 ? __mmask32{0} : (1u << n) - 1; }

INLINE __m512 widen(__m256i bf16s) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16s), 16)); }
INLINE __m128i load_16(const void* bytes) { return _mm_loadu_si128(static_cast<const __m128i*>(bytes)); }

// Readers. offset(row, column) finds a run of 32 values, row_step leads to the same columns of the next row, kLine to the next
// line of the cache. affine(offset) is the scale and minimum of a run, affine_rows those of 16 rows at once; the dense formats
// have none.
// bf16<kWhole>(offset, count, a) reads the run rounded, f32<kWhole, kHalf> its first or second 16 values as they are. Without
// kWhole the values beyond `count` are not touched and read as zero; block formats only have whole runs.

struct Affine {
  float scale = 1, minimum = 0;
};
using AffineRows = Affine[16];

/// Two f32 halves rounded to one register of bf16, for the readers that have no shorter way.
template <class Reader>
struct Rounding {
  template <bool kWhole>
  INLINE __m512i bf16(std::int64_t offset, std::int64_t count, Affine affine) const {
    const auto& reader = static_cast<const Reader&>(*this);
    return (__m512i)_mm512_cvtne2ps_pbh(reader.template f32<kWhole, 1>(offset, count - 16, affine),
                                        reader.template f32<kWhole, 0>(offset, count, affine));
  }
};

template <int kSize>
struct DenseRows {
  static constexpr std::int64_t kLine = 64;
  const char* data;
  std::int64_t row_step;
  explicit DenseRows(const GemmOperand& o) : data(static_cast<const char*>(o.view.data)), row_step(o.stride * kSize) {}
  INLINE std::int64_t offset(std::int64_t row, std::int64_t column) const { return row * row_step + column * kSize; }
  INLINE void prefetch(std::int64_t offset) const { _mm_prefetch(data + offset, _MM_HINT_T0); }
  INLINE Affine affine(std::int64_t) const { return {}; }
  INLINE void affine_rows(std::int64_t, AffineRows&, bool) const {}
};

struct F32Rows : DenseRows<4>, Rounding<F32Rows> {
  using DenseRows::DenseRows;
  template <bool kWhole, int kHalf>
  INLINE __m512 f32(std::int64_t offset, std::int64_t count, Affine) const {
    const char* from = data + offset + kHalf * 64;
    return kWhole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(first16(count), from);
  }
};

/// 16 values of 2 bytes.
template <bool kWhole>
INLINE __m256i load_halves(const char* from, std::int64_t count) {
  return kWhole ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                : _mm256_maskz_loadu_epi16(first16(count), from);
}

struct F16Rows : DenseRows<2>, Rounding<F16Rows> {
  using DenseRows::DenseRows;
  template <bool kWhole, int kHalf>
  INLINE __m512 f32(std::int64_t offset, std::int64_t count, Affine) const {
    return _mm512_cvtph_ps(load_halves<kWhole>(data + offset + kHalf * 32, count));
  }
};

struct Bf16Rows : DenseRows<2> {
  using DenseRows::DenseRows;
  template <bool kWhole, int kHalf>
  INLINE __m512 f32(std::int64_t offset, std::int64_t count, Affine) const {
    return widen(load_halves<kWhole>(data + offset + kHalf * 32, count));
  }
  template <bool kWhole>
  INLINE __m512i bf16(std::int64_t offset, std::int64_t count, Affine) const {
    return kWhole ? _mm512_loadu_si512(data + offset) : _mm512_maskz_loadu_epi16(first32(count), data + offset);
  }
};

/// 16 bytes of four rows, a lane each.
INLINE __m512i load_four_rows(const std::uint8_t* rows, std::int64_t row_step) {
  __m512i lanes = _mm512_castsi128_si512(load_16(rows));
#pragma GCC unroll 3
  for (int i = 1; i < 4; ++i)
    lanes = _mm512_mask_broadcast_i32x4(lanes, static_cast<__mmask16>(15 << 4 * i), load_16(rows + i * row_step));
  return lanes;
}
/// The low nibbles of all bytes, the number of the lane above them.
INLINE __m512i nibble_and_lane(__m512i bytes) {
  const __m512i lane = _mm512_set_epi64(0x3030303030303030, 0x3030303030303030, 0x2020202020202020, 0x2020202020202020,
                                        0x1010101010101010, 0x1010101010101010, 0, 0);
  return _mm512_ternarylogic_epi32(bytes, _mm512_set1_epi8(15), lane, 0xea);  // bytes & 15 | lane
}

/// 32 words that hold the 16 bytes of a run in the order of its values, each where a shift leaves the code in the low bits.
struct Nibbles {
  __m512i bytes, shifts, low_four = _mm512_set1_epi16(15);
  INLINE __m512i lookup(const std::uint8_t* run, __m512 table) const {
    const __m512i words = _mm512_permutexvar_epi8(bytes, _mm512_castsi128_si512(load_16(run)));
    const __m512i indices = _mm512_and_si512(_mm512_srlv_epi16(words, shifts), low_four);
    return _mm512_permutexvar_epi16(indices, _mm512_castsi256_si512((__m256i)_mm512_cvtneps_pbh(table)));
  }
};

/// Offsets are elements of the flattened matrix; every run lies in one block. Even elements are high nibbles.
struct Nf4Rows {
  static constexpr std::int64_t kLine = 128;
  const std::uint8_t* codes;
  const WeightView& view;
  std::int64_t row_step;
  int block_shift;
  __m512 values = _mm512_loadu_ps(kNf4Values);
  Nibbles nibbles{_mm512_set_epi8(15, 15, 15, 15, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 12, 11, 11, 11, 11, 10, 10,
                                  10, 10, 9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3,
                                  3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0),
                  _mm512_set1_epi32(4)};

  explicit Nf4Rows(const GemmOperand& o)
      : codes(static_cast<const std::uint8_t*>(o.view.data)), view(o.view), row_step(o.view.shape[1]),
        block_shift(__builtin_ctz(static_cast<unsigned>(o.view.block_size))) {}
  INLINE std::int64_t offset(std::int64_t row, std::int64_t column) const { return row * row_step + column; }
  INLINE void prefetch(std::int64_t offset) const { _mm_prefetch(codes + offset / 2, _MM_HINT_T0); }

  INLINE Affine affine(std::int64_t offset) const {
    const std::int64_t block = offset >> block_shift;
    if (view.nested_scales == nullptr) return {static_cast<const float*>(view.scales)[block], 0};
    const float value = view.nested_code[static_cast<const std::uint8_t*>(view.scales)[block]];
    return {value * view.nested_scales[block >> 8] + view.nested_offset, 0};
  }
  /// Where all rows start a block together they also keep it together.
  INLINE void affine_rows(std::int64_t offset, AffineRows& rows, bool first) const {
    const std::int64_t block = std::int64_t{1} << block_shift;
    if (!first && row_step % block == 0 && offset % block != 0) return;
    for (int i = 0; i < 16; ++i, offset += row_step) rows[i] = affine(offset);
    asm("" : "+m"(rows));  // as of BlockRows
  }
  /// Of a view of bf16 before it is rounded to that: for who rounds to bf16 anyway.
  INLINE __m512 unrounded(Affine affine) const {
    const __m512 scaled = _mm512_mul_ps(values, _mm512_set1_ps(affine.scale));
    if (view.dtype == DType::f16) return _mm512_cvtph_ps(_mm512_cvtps_ph(scaled, _MM_FROUND_TO_NEAREST_INT));
    return scaled;
  }
  INLINE __m512 table(Affine affine) const {
    const __m512 scaled = unrounded(affine);
    return view.dtype == DType::bf16 ? widen((__m256i)_mm512_cvtneps_pbh(scaled)) : scaled;
  }
  template <bool kWhole, int kHalf>
  INLINE __m512 f32(std::int64_t offset, std::int64_t, Affine affine) const {
    const __m128i packed = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + offset / 2 + kHalf * 8));
    const __m128i indices = _mm_unpacklo_epi8(_mm_srli_epi16(packed, 4), packed);  // the lookup reads four bits of each
    return _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(indices), table(affine));
  }
  template <bool kWhole>
  INLINE __m512i bf16(std::int64_t offset, std::int64_t, Affine affine) const {
    return nibbles.lookup(codes + offset / 2, unrounded(affine));
  }
  INLINE void four_rows(std::int64_t offset, __m512i (&codes_of)[2]) const {
    const __m512i bytes = load_four_rows(codes + offset / 2, row_step / 2);
    const __m512i even = nibble_and_lane(_mm512_srli_epi16(bytes, 4)), odd = nibble_and_lane(bytes);
    codes_of[0] = _mm512_unpacklo_epi8(even, odd), codes_of[1] = _mm512_unpackhi_epi8(even, odd);
  }
};

/// Rows of GGUF blocks of 32 values in `kBytes` bytes: f16 scale, in q4_1 (20 bytes) f16 minimum, codes.
template <int kBytes>
struct BlockRows {
  static constexpr std::int64_t kLine = 64;
  const std::uint8_t* data;
  std::int64_t row_step;
  explicit BlockRows(const GemmOperand& o)
      : data(static_cast<const std::uint8_t*>(o.view.data)), row_step(o.view.shape[1] / 32 * kBytes) {}
  INLINE std::int64_t offset(std::int64_t row, std::int64_t column) const { return row * row_step + column / 32 * kBytes; }
  INLINE void prefetch(std::int64_t offset) const { _mm_prefetch(data + offset, _MM_HINT_T0); }

  /// Scale and minimum; outside q4_1 the latter are code bytes that nobody reads.
  INLINE __m128i head(std::int64_t offset) const { return _mm_loadu_si32(data + offset); }
  INLINE Affine affine(std::int64_t offset) const {
    const __m128 both = _mm_cvtph_ps(head(offset));
    return {_mm_cvtss_f32(both), _mm_cvtss_f32(_mm_movehdup_ps(both))};
  }
  INLINE void affine_rows(std::int64_t offset, AffineRows& rows, bool) const {
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4, offset += 4 * row_step) {
      const __m128i low = _mm_unpacklo_epi32(head(offset), head(offset + row_step));
      const __m128i high = _mm_unpacklo_epi32(head(offset + 2 * row_step), head(offset + 3 * row_step));
      _mm256_storeu_ps(&rows[i].scale, _mm256_cvtph_ps(_mm_unpacklo_epi64(low, high)));
    }
    asm("" : "+m"(rows));  // from memory a broadcast is a load; between registers it would be a shuffle
  }
};

/// q4_0 in 18 bytes, q4_1 in 20: element i in the low half of code byte i, element i + 16 in the high half.
template <int kBytes>
struct Q4Rows : BlockRows<kBytes> {
  using BlockRows<kBytes>::BlockRows;
  __m512 levels = _mm512_sub_ps(_mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                _mm512_set1_ps(kBytes == 18 ? 8 : 0));
  Nibbles nibbles{_mm512_set_epi16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6,
                                   5, 4, 3, 2, 1, 0),
                  _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1)};

  INLINE __m512 unrounded(Affine a) const { return table(a); }
  /// The product is exact, so one rounding or two give the same sum.
  INLINE __m512 table(Affine a) const {
    const __m512 scale = _mm512_set1_ps(a.scale);
    return kBytes == 20 ? _mm512_fmadd_ps(levels, scale, _mm512_set1_ps(a.minimum)) : _mm512_mul_ps(levels, scale);
  }
  template <bool kWhole, int kHalf>
  INLINE __m512 f32(std::int64_t offset, std::int64_t, Affine affine) const {
    const __m512i codes = _mm512_cvtepu8_epi32(load_16(this->data + offset + kBytes - 16));
    return _mm512_permutexvar_ps(_mm512_srli_epi32(codes, kHalf * 4), table(affine));  // reads four bits of each code
  }
  template <bool kWhole>
  INLINE __m512i bf16(std::int64_t offset, std::int64_t, Affine affine) const {
    return nibbles.lookup(this->data + offset + kBytes - 16, table(affine));
  }

  INLINE void four_rows(std::int64_t offset, __m512i (&codes)[2]) const {
    const __m512i bytes = load_four_rows(this->data + offset + kBytes - 16, this->row_step);
    codes[0] = nibble_and_lane(bytes), codes[1] = nibble_and_lane(_mm512_srli_epi16(bytes, 4));
  }

  /// The low nibbles of the four bytes of each word: four depths of 16 rows, from word `step` of the square on.
  template <class Sink>
  INLINE void emit(__m512i codes, __m512 low_rows, __m512 high_rows, int step, Sink& sink) const {
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512 scale = _mm512_permutex2var_ps(low_rows, even, high_rows);
    const __m512 minimum = _mm512_permutex2var_ps(low_rows, odd, high_rows);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512 level = _mm512_permutexvar_ps(_mm512_srli_epi32(codes, 8 * static_cast<unsigned>(i)), levels);
      sink(step + i, _mm512_castps_si512(kBytes == 20 ? _mm512_fmadd_ps(level, scale, minimum) : _mm512_mul_ps(level, scale)));
    }
  }
};

struct Q8Rows : BlockRows<34>, Rounding<Q8Rows> {
  using BlockRows::BlockRows;
  template <bool kWhole, int kHalf>
  INLINE __m512 f32(std::int64_t offset, std::int64_t, Affine affine) const {
    const __m512i codes = _mm512_cvtepi8_epi32(load_16(data + offset + 2 + kHalf * 16));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(codes), _mm512_set1_ps(affine.scale));
  }

  /// A code in the top byte of its word is 2^24 times too large, which the scale takes back: both exact.
  INLINE __m512 decode(__m512i codes, __m512 scale) const {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(codes), _mm512_mul_ps(scale, _mm512_set1_ps(0x1p-24f)));
  }
  template <int kFirst>
  INLINE __m512 decode_pairs(__m512i codes, __m512 affine) const {
    const __m512i order = _mm512_slli_epi32(
        _mm512_add_epi32(_mm512_set_epi32(29, 28, 25, 24, 21, 20, 17, 16, 13, 12, 9, 8, 5, 4, 1, 0), _mm512_set1_epi32(kFirst)),
        24);
    return decode(_mm512_maskz_permutexvar_epi8(0x8888888888888888, order, codes), _mm512_moveldup_ps(affine));
  }
  /// As of Q4Rows, with four whole bytes.
  template <int kPack, class Sink>
  INLINE void emit(__m512i codes, __m512 low_rows, __m512 high_rows, int step, Sink& sink) const {
    if constexpr (kPack == 2) {
      sink(step, (__m512i)_mm512_cvtne2ps_pbh(decode_pairs<32>(codes, high_rows), decode_pairs<0>(codes, low_rows)));
      sink(step + 1, (__m512i)_mm512_cvtne2ps_pbh(decode_pairs<34>(codes, high_rows), decode_pairs<2>(codes, low_rows)));
    } else {
      const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
      const __m512 scale = _mm512_permutex2var_ps(low_rows, even, high_rows);
      const __m512i top = _mm512_set1_epi32(static_cast<int>(0xff000000));
#pragma GCC unroll 4
      for (unsigned i = 0; i < 4; ++i)
        sink(step + static_cast<int>(i),
             _mm512_castps_si512(decode(_mm512_and_si512(_mm512_slli_epi32(codes, 24 - 8 * i), top), scale)));
    }
  }
};

/// Every run of 32 values lies in one block and starts at a whole byte.
INLINE bool has_aligned_runs(const WeightView& nf4) {
  return nf4.shape[1] % 32 == 0 && nf4.block_size >= 32 && (nf4.block_size & (nf4.block_size - 1)) == 0;
}

/// Calls body with the reader of a format that has one.
template <class Body>
INLINE bool with_reader(const GemmOperand& o, Body&& body) {
  switch (o.view.format) {
    case WeightFormat::f32: return body(F32Rows(o)), true;
    case WeightFormat::f16: return body(F16Rows(o)), true;
    case WeightFormat::bf16: return body(Bf16Rows(o)), true;
    case WeightFormat::nf4: return has_aligned_runs(o.view) && (body(Nf4Rows(o)), true);
    case WeightFormat::q4_0: return body(Q4Rows<18>(o)), true;
    case WeightFormat::q4_1: return body(Q4Rows<20>(o)), true;
    case WeightFormat::q8_0: return body(Q8Rows(o)), true;
    default: return false;
  }
}

}  // namespace
}  // namespace kernels
}  // namespace ftlib
