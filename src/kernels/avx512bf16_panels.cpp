// SPDX-License-Identifier: Apache-2.0
// Panels of bf16 pairs and of f32. A loader gives one register of consecutive values of a stored row, decoded exactly and
// rounded once; the two ways to fill, along the rows and across them, are the same for every format.
#include <immintrin.h>

#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

using detail::GemmOperand;
using detail::PanelJob;

std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
__mmask16 first16(std::int64_t n) {
  return n >= 16 ? __mmask16{0xffff} : n <= 0 ? __mmask16{0} : static_cast<__mmask16>((1u << n) - 1);
}
__mmask32 first32(std::int64_t n) { return n >= 32 ? ~__mmask32{0} : n <= 0 ? __mmask32{0} : (1u << n) - 1; }

__m512i round_pairs(__m512 high, __m512 low) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }
__m512i twice(__m256i half) { return _mm512_inserti64x4(_mm512_castsi256_si512(half), half, 1); }
__m128i load_half(const void* bytes) { return _mm_loadl_epi64(static_cast<const __m128i*>(bytes)); }
__m128i load_16(const void* bytes) { return _mm_loadu_si128(static_cast<const __m128i*>(bytes)); }

/// The f16 number at `bytes` in every lane.
__m512 broadcast_f16(const std::uint8_t* bytes) {
  return _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_loadu_si16(bytes)));
}

// Loaders. `at(row, column, count)` gives the 32 bf16 (F32: 16 f32) values from a stored row; those beyond `count` are zero
// in the dense formats. The block formats are asked for whole runs of 32 (16) only.

struct DenseRows {
  const char* data;
  std::int64_t row_bytes;
  DenseRows(const GemmOperand& o, std::int64_t size)
      : data(static_cast<const char*>(o.view.data)), row_bytes(o.stride * size) {}
};

struct F32AsF32 : DenseRows {
  explicit F32AsF32(const GemmOperand& o) : DenseRows(o, 4) {}
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    return _mm512_maskz_loadu_epi32(first16(count), data + row * row_bytes + column * 4);
  }
};
struct Bf16AsF32 : DenseRows {
  explicit Bf16AsF32(const GemmOperand& o) : DenseRows(o, 2) {}
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    const __m256i values = _mm256_maskz_loadu_epi16(first16(count), data + row * row_bytes + column * 2);
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16);
  }
};
struct F16AsF32 : DenseRows {
  explicit F16AsF32(const GemmOperand& o) : DenseRows(o, 2) {}
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    const __m256i values = _mm256_maskz_loadu_epi16(first16(count), data + row * row_bytes + column * 2);
    return _mm512_castps_si512(_mm512_cvtph_ps(values));
  }
};
struct Bf16AsBf16 : DenseRows {
  explicit Bf16AsBf16(const GemmOperand& o) : DenseRows(o, 2) {}
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    return _mm512_maskz_loadu_epi16(first32(count), data + row * row_bytes + column * 2);
  }
};

/// Two f32 registers rounded to one of bf16.
template <class F32Loader>
struct Rounded : F32Loader {
  using F32Loader::F32Loader;
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t count) const {
    const __m512i low = F32Loader::at(row, column, count), high = F32Loader::at(row, column + 16, count - 16);
    return round_pairs(_mm512_castsi512_ps(high), _mm512_castsi512_ps(low));
  }
};

struct Nf4Rows {
  const GemmOperand& o;
  int block_shift;
  __m512 values = _mm512_loadu_ps(kNf4Values);
  explicit Nf4Rows(const GemmOperand& operand)
      : o(operand), block_shift(__builtin_ctz(static_cast<unsigned>(operand.view.block_size))) {}

  std::int64_t element(std::int64_t row, std::int64_t column) const { return row * o.view.shape[1] + column; }
  const std::uint8_t* codes(std::int64_t i) const { return static_cast<const std::uint8_t*>(o.view.data) + i / 2; }

  float absmax(std::int64_t block) const {
    if (o.view.nested_scales == nullptr) return static_cast<const float*>(o.view.scales)[block];
    const float value = o.view.nested_code[static_cast<const std::uint8_t*>(o.view.scales)[block]];
    return value * o.view.nested_scales[block >> 8] + o.view.nested_offset;
  }
  /// The sixteen values of the block that holds element i.
  __m512 table(std::int64_t i) const {
    const __m512 scaled = _mm512_mul_ps(values, _mm512_set1_ps(absmax(i >> block_shift)));
    if (o.view.dtype == DType::f16) return _mm512_cvtph_ps(_mm512_cvtps_ph(scaled, _MM_FROUND_TO_NEAREST_INT));
    if (o.view.dtype == DType::bf16) {
      const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(scaled);
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16));
    }
    return scaled;
  }
};

struct Nf4AsBf16 : Nf4Rows {
  using Nf4Rows::Nf4Rows;
  __m512i bytes = _mm512_set_epi8(15, 15, 15, 15, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 12, 11, 11, 11, 11, 10, 10,
                                  10, 10, 9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3,
                                  3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  __m512i shifts = _mm512_set1_epi32(4);  // words: high nibble, low nibble

  /// Each word holds its byte twice, so a shift by 4 or 0 leaves the code in the low bits; the lookup reads five of them
  /// and the table repeats after sixteen.
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t) const {
    const std::int64_t i = element(row, column);
    const __m512i lookup = twice((__m256i)_mm512_cvtneps_pbh(table(i)));
    const __m512i words = _mm512_permutexvar_epi8(bytes, _mm512_castsi128_si512(load_16(codes(i))));
    return _mm512_permutexvar_epi16(_mm512_srlv_epi16(words, shifts), lookup);
  }
};

struct Nf4AsF32 : Nf4Rows {
  using Nf4Rows::Nf4Rows;
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t) const {
    const std::int64_t i = element(row, column);
    const __m128i packed = load_half(codes(i));
    const __m128i indices = _mm_unpacklo_epi8(_mm_srli_epi16(packed, 4), packed);  // the lookup reads four bits of each
    return _mm512_castps_si512(_mm512_permutexvar_ps(_mm512_cvtepu8_epi32(indices), table(i)));
  }
};

/// Rows of GGUF blocks of 32 values in `kBytes` bytes.
template <int kBytes>
struct Blocks {
  const std::uint8_t* data;
  std::int64_t row_bytes;
  explicit Blocks(const GemmOperand& o)
      : data(static_cast<const std::uint8_t*>(o.view.data)), row_bytes(o.view.shape[1] / 32 * kBytes) {}
  const std::uint8_t* block(std::int64_t row, std::int64_t column) const {
    return data + row * row_bytes + column / 32 * kBytes;
  }
};

/// Nibbles: element i in the low half of byte i, element i + 16 in the high half.
template <int kBytes>
struct Q4Rows : Blocks<kBytes> {
  using Blocks<kBytes>::Blocks;
  static constexpr int kCodes = kBytes - 16;
  __m512 levels = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  __m512i shifts = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);

  __m512 table(const std::uint8_t* block) const {
    if constexpr (kBytes == 20)
      return _mm512_add_ps(_mm512_mul_ps(levels, broadcast_f16(block)), broadcast_f16(block + 2));
    else
      return _mm512_mul_ps(_mm512_sub_ps(levels, _mm512_set1_ps(8)), broadcast_f16(block));
  }
};

template <int kBytes>
struct Q4AsBf16 : Q4Rows<kBytes> {
  using Q4Rows<kBytes>::Q4Rows;
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t) const {
    const std::uint8_t* block = this->block(row, column);
    const __m512i lookup = twice((__m256i)_mm512_cvtneps_pbh(this->table(block)));
    const __m512i words = twice(_mm256_cvtepu8_epi16(load_16(block + this->kCodes)));
    return _mm512_permutexvar_epi16(_mm512_srlv_epi16(words, this->shifts), lookup);
  }
};

template <int kBytes>
struct Q4AsF32 : Q4Rows<kBytes> {
  using Q4Rows<kBytes>::Q4Rows;
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t) const {
    const std::uint8_t* block = this->block(row, column);
    const __m128i half = _mm_cvtsi32_si128(column % 32 == 0 ? 0 : 4);
    const __m512i codes = _mm512_srl_epi32(_mm512_cvtepu8_epi32(load_16(block + this->kCodes)), half);
    return _mm512_castps_si512(_mm512_permutexvar_ps(codes, this->table(block)));  // reads four bits of each code
  }
};

struct Q8AsF32 : Blocks<34> {
  using Blocks<34>::Blocks;
  __m512i at(std::int64_t row, std::int64_t column, std::int64_t) const {
    const std::uint8_t* at = block(row, column);
    const __m512 codes = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16(at + 2 + column % 32)));
    return _mm512_castps_si512(_mm512_mul_ps(codes, broadcast_f16(at)));
  }
};

/// 16 registers of 16 words: word j of register i becomes word i of register j.
void transpose(__m512i (&r)[16]) {
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

/// Lanes are stored rows: 16 of them at a time are read along the depth and transposed. kPack values make a word.
template <int kPack, class Loader>
void fill_along(const PanelJob& job, const Loader& loader) {
  const std::int64_t depths = job.depths, width = job.width;
  for (std::int64_t lane = 0; lane < width; lane += 16) {
    const int rows = static_cast<int>(least(job.lanes - lane, 16));
    auto* to = static_cast<std::int32_t*>(job.panel) + lane;
    for (std::int64_t d = 0; d < depths; d += 16 * kPack) {
      __m512i r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        r[i] = i < rows ? loader.at(job.lane + lane + i, job.depth + d, depths - d) : _mm512_setzero_si512();
      transpose(r);
      const int steps = static_cast<int>(least((depths - d + kPack - 1) / kPack, 16));
      for (int j = 0; j < steps; ++j, to += width) _mm512_store_si512(to, r[j]);
    }
  }
}

/// Lanes are stored columns: two rows interleave to pairs.
template <class Loader>
void fill_pairs_across(const PanelJob& job, const Loader& loader) {
  alignas(64) std::uint16_t low[32], high[32];
  for (int i = 0; i < 32; ++i) {
    low[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 32);
    high[i] = static_cast<std::uint16_t>(16 + low[i]);
  }
  const __m512i low_order = _mm512_load_si512(low), high_order = _mm512_load_si512(high);
  for (std::int64_t lane = 0; lane < job.width; lane += 32) {
    const std::int64_t count = job.lanes - lane;
    auto* to = static_cast<std::int32_t*>(job.panel) + lane;
    for (std::int64_t d = 0; d < job.depths; d += 2, to += job.width) {
      const bool paired = count > 0 && d + 1 < job.depths;
      const __m512i even = count > 0 ? loader.at(job.depth + d, job.lane + lane, count) : _mm512_setzero_si512();
      const __m512i odd = paired ? loader.at(job.depth + d + 1, job.lane + lane, count) : _mm512_setzero_si512();
      _mm512_store_si512(to, _mm512_permutex2var_epi16(even, low_order, odd));
      if (lane + 16 < job.width) _mm512_store_si512(to + 16, _mm512_permutex2var_epi16(even, high_order, odd));
    }
  }
}

template <class Loader>
void fill_f32_across(const PanelJob& job, const Loader& loader) {
  for (std::int64_t lane = 0; lane < job.width; lane += 16) {
    const std::int64_t count = job.lanes - lane;
    auto* to = static_cast<std::int32_t*>(job.panel) + lane;
    for (std::int64_t d = 0; d < job.depths; ++d, to += job.width)
      _mm512_store_si512(to, count > 0 ? loader.at(job.depth + d, job.lane + lane, count) : _mm512_setzero_si512());
  }
}

template <class Loader>
bool fill_bf16(const PanelJob& job) {
  const Loader loader(*job.source);
  if (job.source->across) fill_pairs_across(job, loader);
  else fill_along<2>(job, loader);
  return true;
}

template <class Loader>
bool fill_f32(const PanelJob& job) {
  const Loader loader(*job.source);
  if (job.source->across) fill_f32_across(job, loader);
  else fill_along<1>(job, loader);
  return true;
}

/// Every run of 32 values lies in one block and starts at a whole byte.
bool has_aligned_runs(const WeightView& nf4) {
  return nf4.shape[1] % 32 == 0 && nf4.block_size >= 32 && (nf4.block_size & (nf4.block_size - 1)) == 0;
}

}  // namespace

bool avx512_fill_bf16(const PanelJob& job) noexcept {
  switch (job.source->view.format) {
    case WeightFormat::f32: return fill_bf16<Rounded<F32AsF32>>(job);
    case WeightFormat::f16: return fill_bf16<Rounded<F16AsF32>>(job);
    case WeightFormat::bf16: return fill_bf16<Bf16AsBf16>(job);
    case WeightFormat::nf4: return has_aligned_runs(job.source->view) && fill_bf16<Nf4AsBf16>(job);
    case WeightFormat::q4_0: return fill_bf16<Q4AsBf16<18>>(job);
    case WeightFormat::q4_1: return fill_bf16<Q4AsBf16<20>>(job);
    case WeightFormat::q8_0: return fill_bf16<Rounded<Q8AsF32>>(job);
    default: return false;
  }
}

bool avx512_fill_f32(const PanelJob& job) noexcept {
  switch (job.source->view.format) {
    case WeightFormat::f32: return fill_f32<F32AsF32>(job);
    case WeightFormat::f16: return fill_f32<F16AsF32>(job);
    case WeightFormat::bf16: return fill_f32<Bf16AsF32>(job);
    case WeightFormat::nf4: return has_aligned_runs(job.source->view) && fill_f32<Nf4AsF32>(job);
    case WeightFormat::q4_0: return fill_f32<Q4AsF32<18>>(job);
    case WeightFormat::q4_1: return fill_f32<Q4AsF32<20>>(job);
    case WeightFormat::q8_0: return fill_f32<Q8AsF32>(job);
    default: return false;
  }
}

}  // namespace kernels
}  // namespace ftlib
