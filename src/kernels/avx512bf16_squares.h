// SPDX-License-Identifier: Apache-2.0
// Squares of 16 stored rows by 32 values, transposed: what panels are filled with, and what few rows are multiplied with.
#pragma once
#include "kernels/avx512bf16_readers.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

/// 16 registers of 16 words: word j of register i becomes word i of register j.
INLINE void transpose(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

constexpr int kBf16 = 2, kF32 = 1;  ///< values a word of a panel

template <int kPack, bool kWhole, int kHalf, class Reader>
INLINE __m512i read(const Reader& reader, std::int64_t offset, std::int64_t count, Affine affine) {
  if constexpr (kPack == kBf16) return reader.template bf16<kWhole>(offset, count, affine);
  else return _mm512_castps_si512(reader.template f32<kWhole, kHalf>(offset, count - kHalf * 16, affine));
}

/// 32 values of 16 stored rows, transposed: word `step` of each row at a time goes to the sink, in ascending order.
template <int kPack, int kHalf, class Reader, class Sink>
INLINE void read_half_square(const Reader& reader, std::int64_t offset, const AffineRows& affine, Sink& sink) {
  __m512i r[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i, offset += reader.row_step) r[i] = read<kPack, true, kHalf>(reader, offset, 32, affine[i]);
  transpose(r);
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j) sink(kHalf * 16 + j, r[j]);
}
template <int kPack, class Reader, class Sink>
INLINE void read_square(const Reader& reader, std::int64_t offset, const AffineRows& affine, Sink& sink) {
  read_half_square<kPack, 0>(reader, offset, affine, sink);
  if (kPack == kF32) read_half_square<kPack, 1>(reader, offset, affine, sink);
}

/// 16 bytes of each of 16 rows: word n of u[w] becomes bytes 4 * w to 4 * w + 3 of row n.
INLINE void transpose_bytes(const std::uint8_t* rows, std::int64_t row_step, __m512i (&u)[4]) {
  __m512i z[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) z[i] = load_four_rows(rows + i * row_step, 4 * row_step);  // rows i, 4 + i, 8 + i, 12 + i
  const __m512i a = _mm512_unpacklo_epi32(z[0], z[1]), b = _mm512_unpackhi_epi32(z[0], z[1]);
  const __m512i c = _mm512_unpacklo_epi32(z[2], z[3]), d = _mm512_unpackhi_epi32(z[2], z[3]);
  u[0] = _mm512_unpacklo_epi64(a, c), u[1] = _mm512_unpackhi_epi64(a, c);
  u[2] = _mm512_unpacklo_epi64(b, d), u[3] = _mm512_unpackhi_epi64(b, d);
}

/// Codes of four bits: 16 rows by 32 values. The 16 values that a row can have are rounded once, four rows to a pair of
/// registers, and looked up in an order that leaves one shuffle a word to the transposition.
template <class Reader, class Sink>
INLINE void read_codebook_square(const Reader& reader, std::int64_t offset, const AffineRows& affine, Sink& sink) {
  __m512i table[4][2], codes[4][2];  // of four rows: two rows a register; values 0 to 15 and 16 to 31 of each, a byte each
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const int row = 4 * g + 2 * i;
      table[g][i] = (__m512i)_mm512_cvtne2ps_pbh(reader.unrounded(affine[row + 1]), reader.unrounded(affine[row]));
    }
    reader.four_rows(offset + 4 * g * reader.row_step, codes[g]);
  }
  // From four rows, a lane each, to four words of two values, a lane each; in odd groups neighbouring lanes change places.
  const __m512i even = _mm512_set_epi64(0x0037003600270026, 0x0017001600070006, 0x0035003400250024, 0x0015001400050004,
                                        0x0033003200230022, 0x0013001200030002, 0x0031003000210020, 0x0011001000010000);
  const __m512i odd = _mm512_shuffle_i32x4(even, even, 0xb1), eight = _mm512_set1_epi16(8);
#pragma GCC unroll 4
  for (int quarter = 0; quarter < 4; ++quarter) {
    __m512i r[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const __m512i order = g % 2 ? odd : even;
      const __m512i index =
          _mm512_permutexvar_epi8(quarter % 2 ? _mm512_add_epi16(order, eight) : order, codes[g][quarter / 2]);
      r[g] = _mm512_permutex2var_epi16(table[g][0], index, table[g][1]);
    }
    const __m512i a = _mm512_mask_blend_epi32(0xf0f0, r[0], r[1]), b = _mm512_mask_blend_epi32(0x0f0f, r[0], r[1]);
    const __m512i c = _mm512_mask_blend_epi32(0xf0f0, r[2], r[3]), d = _mm512_mask_blend_epi32(0x0f0f, r[2], r[3]);
    sink(quarter * 4, _mm512_shuffle_i32x4(a, c, 0x44));
    sink(quarter * 4 + 1, _mm512_shuffle_i32x4(b, d, 0x11));
    sink(quarter * 4 + 2, _mm512_shuffle_i32x4(a, c, 0xee));
    sink(quarter * 4 + 3, _mm512_shuffle_i32x4(b, d, 0xbb));
  }
}
template <int kPack, class Sink>
INLINE void read_square(const Nf4Rows& reader, std::int64_t offset, const AffineRows& affine, Sink& sink) {
  if constexpr (kPack == kBf16) {
    read_codebook_square(reader, offset, affine, sink);
  } else {
    read_half_square<kPack, 0>(reader, offset, affine, sink);
    read_half_square<kPack, 1>(reader, offset, affine, sink);
  }
}

/// In f32 the codes are transposed before they become wide.
template <int kPack, int kBytes, class Sink>
INLINE void read_square(const Q4Rows<kBytes>& reader, std::int64_t offset, const AffineRows& affine, Sink& sink) {
  if constexpr (kPack == kBf16) {
    read_codebook_square(reader, offset, affine, sink);
  } else {
    __m512i u[4];
    transpose_bytes(reader.data + offset + kBytes - 16, reader.row_step, u);
    const __m512 low_rows = _mm512_loadu_ps(&affine[0].scale), high_rows = _mm512_loadu_ps(&affine[8].scale);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
#pragma GCC unroll 4
      for (int word = 0; word < 4; ++word)
        reader.emit(half ? _mm512_srli_epi16(u[word], 4) : u[word], low_rows, high_rows, half * 16 + word * 4, sink);
  }
}
template <int kPack, class Sink>
INLINE void read_square(const Q8Rows& reader, std::int64_t offset, const AffineRows& affine, Sink& sink) {
  const __m512 low_rows = _mm512_loadu_ps(&affine[0].scale), high_rows = _mm512_loadu_ps(&affine[8].scale);
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    __m512i u[4];
    transpose_bytes(reader.data + offset + 2 + half * 16, reader.row_step, u);
#pragma GCC unroll 4
    for (int word = 0; word < 4; ++word)
      reader.template emit<kPack>(u[word], low_rows, high_rows, (half * 16 + word * 4) / kPack, sink);
  }
}

/// The same at the edges: fewer rows, fewer values.
template <int kPack, int kHalf, class Reader, class Sink>
void read_half_corner(const Reader& reader, std::int64_t offset, std::int64_t rows, std::int64_t count, Sink& sink) {
  __m512i r[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i, offset += reader.row_step)
    r[i] = i < rows ? read<kPack, false, kHalf>(reader, offset, count, reader.affine(offset)) : _mm512_setzero_si512();
  transpose(r);
  const std::int64_t steps = (count + kPack - 1) / kPack - kHalf * 16;
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j)
    if (j < steps) sink(kHalf * 16 + j, r[j]);
}
template <int kPack, class Reader, class Sink>
void read_corner(const Reader& reader, std::int64_t offset, std::int64_t rows, std::int64_t count, Sink& sink) {
  read_half_corner<kPack, 0>(reader, offset, rows, count, sink);
  if (kPack == kF32) read_half_corner<kPack, 1>(reader, offset, rows, count, sink);
}

}  // namespace
}  // namespace kernels
}  // namespace ftlib
