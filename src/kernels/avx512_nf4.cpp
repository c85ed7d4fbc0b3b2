// SPDX-License-Identifier: Apache-2.0
// 32 elements at a time: bucket, threshold and first code come from registers, two tables of 32 entries.
#include <immintrin.h>

#include <algorithm>

#include "ftlib/ops/kernels/nf4.h"
#include "kernels/backends.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

struct Avx512;

__m512 load16(const float* p) noexcept { return _mm512_loadu_ps(p); }
__m512 load16(const bf16* p) noexcept {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
__m512 load16(const f16* p) noexcept {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

template <class T>
float absmax_of(const T* values, std::int64_t n) noexcept {
  __m512 one = _mm512_setzero_ps(), two = one;
  for (std::int64_t i = 0; i < n; i += 32) {  // of NaN and a number, max takes its second argument
    one = _mm512_max_ps(_mm512_abs_ps(load16(values + i)), one);
    two = _mm512_max_ps(_mm512_abs_ps(load16(values + i + 16)), two);
  }
  return _mm512_reduce_max_ps(_mm512_max_ps(one, two));
}

class Encoder {
 public:
  explicit Encoder(float inverse) noexcept : inverse_(_mm512_set1_ps(inverse)) {}

  /// 32 values at `x` become 16 bytes of codes.
  template <class T>
  void run(const T* x, std::uint8_t* codes) const noexcept {
    __mmask16 low_up, high_up;
    const __m512i low = buckets(x, low_up), high = buckets(x + 16, high_up);
    const __m256i bucket = _mm512_castsi512_si256(_mm512_permutex2var_epi8(low, lowest_bytes_, high));
    const __m256i first = _mm256_permutexvar_epi8(bucket, first_);
    const __mmask32 up = _mm512_kunpackw(high_up, low_up);
    const __m256i code = _mm256_mask_add_epi8(first, up, first, _mm256_set1_epi8(1));
    // Even elements times 16 plus odd ones: a byte in each 16-bit lane.
    const __m256i pairs = _mm256_maddubs_epi16(code, _mm256_set1_epi16(0x0110));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm256_cvtepi16_epi8(pairs));
  }

 private:
  /// Buckets of 16 values; `up` tells which of them exceed their bucket's threshold. Below -1 by a rounding still
  /// truncates to 0, and so does NaN, whose integer is 0x80000000.
  template <class T>
  __m512i buckets(const T* x, __mmask16& up) const noexcept {
    const __m512 v = _mm512_min_ps(_mm512_set1_ps(kBelowOne), _mm512_mul_ps(load16(x), inverse_));
    const __m512 sixteen = _mm512_set1_ps(16);  // 16 v + 16 rounds as (v + 1) * 16 does
    const __m512i bucket = _mm512_cvttps_epi32(_mm512_fmadd_ps(v, sixteen, sixteen));
    up = _mm512_cmp_ps_mask(v, _mm512_permutex2var_ps(low_, bucket, high_), _CMP_GT_OQ);
    return bucket;
  }

  __m512 inverse_;
  __m512 low_ = _mm512_loadu_ps(kNf4Buckets.threshold), high_ = _mm512_loadu_ps(kNf4Buckets.threshold + 16);
  __m512i lowest_bytes_ = _mm512_set_epi64(0, 0, 0, 0, 0x7c7874706c686460, 0x5c5854504c484440, 0x3c3834302c282420,
                                           0x1c1814100c080400);
  __m256i first_ = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kNf4Buckets.first));
};

constexpr std::int64_t kGroup = 16;  ///< blocks whose scales are dealt with in one register

/// The scales of a group come before its codes, so that no block waits for its own maximum and division.
template <class T>
void quantize_blocks(const T* values, std::int64_t size, std::int64_t count, std::uint8_t* codes, float* absmax) noexcept {
  for (std::int64_t group = 0; group < count; group += kGroup) {
    const std::int64_t n = std::min(kGroup, count - group);
    alignas(64) float inverse[kGroup] = {};
    for (std::int64_t i = 0; i < n; ++i) inverse[i] = absmax[group + i] = absmax_of(values + i * size, size);
    const __m512 divisor = _mm512_max_ps(_mm512_load_ps(inverse), _mm512_set1_ps(kNf4Smallest));
    _mm512_store_ps(inverse, _mm512_div_ps(_mm512_set1_ps(1), divisor));
    for (std::int64_t i = 0; i < n; ++i) {
      const Encoder encoder(inverse[i]);
      for (std::int64_t k = 0; k < size; k += 32, values += 32, codes += 16) encoder.run(values, codes);
    }
  }
}

/// 64 codes to 64 values of a block whose products are in a table.
class Decoder {
 public:
  explicit Decoder(float absmax) noexcept
      : products_(_mm512_mul_ps(_mm512_loadu_ps(kNf4Values), _mm512_set1_ps(absmax))),
        table_((__m512i)_mm512_cvtne2ps_pbh(products_, products_)) {}  // twice: the lookup reads five bits
  /// A lookup reads the low five bits of a word. One shuffle brings both halves' codes into the words, that of element
  /// i and that of element i + 32, for shuffles are what the ports are short of; the shifts are products.
  void run(const std::uint8_t* codes, bf16* out) const noexcept {
    const __m512i bytes = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
    const __m512i words = _mm512_permutexvar_epi8(spread_, bytes);
    const __m512i one = _mm512_mulhi_epu16(words, _mm512_set1_epi32(1 << 24 | 1 << 12));
    const __m512i two = _mm512_mask_mulhi_epu16(words, 0x55555555, words, _mm512_set1_epi16(1 << 4));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(one, table_));
    _mm512_storeu_si512(out + 32, _mm512_permutexvar_epi16(two, table_));
  }
  void run(const std::uint8_t* codes, float* out) const noexcept {
    for (int part = 0; part < 4; ++part) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + 8 * part));
      const __m512i words = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(_mm_srli_epi16(bytes, 4), bytes));
      _mm512_storeu_ps(out + 16 * part, _mm512_permutexvar_ps(words, products_));
    }
  }

 private:
  __m512 products_;
  __m512i table_;
  /// Bytes i, i + 16, i + 16, i in place 4 i.
  __m512i spread_ = _mm512_set_epi64(0x0f1f1f0f0e1e1e0e, 0x0d1d1d0d0c1c1c0c, 0x0b1b1b0b0a1a1a0a,
                                     0x0919190908181808, 0x0717170706161606, 0x0515150504141404,
                                     0x0313130302121202, 0x0111110100101000);
};

/// The scales of `n` blocks from `begin`; in `buffer` where they are quantised themselves.
const float* group_absmax(const WeightView& weight, std::int64_t begin, std::int64_t n, float* buffer) noexcept {
  if (weight.nested_scales == nullptr) return static_cast<const float*>(weight.scales) + begin;
  for (std::int64_t i = 0; i < n; ++i) buffer[i] = nf4_absmax(weight, begin + i);
  return buffer;
}

/// The conversion to bf16 flushes subnormal products, and NaN and infinity are not worth a thought here.
bool have_normal_products(const float* absmax, std::int64_t n) noexcept {
  const auto all = static_cast<__mmask16>((1u << n) - 1);
  const __m512 x = _mm512_maskz_loadu_ps(all, absmax);
  const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(2e-37f), _CMP_GE_OQ) &
                           _mm512_cmp_ps_mask(x, _mm512_set1_ps(3e38f), _CMP_LE_OQ);
  return (normal | _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_EQ_OQ)) == 0xffff;
}

/// Blocks [begin, end), of kSize elements; 0: of the weight's own number.
template <std::int64_t kSize, class T>
void dequantize_blocks(const WeightView& weight, std::int64_t begin, std::int64_t end, T* values) noexcept {
  const std::int64_t size = kSize > 0 ? kSize : weight.block_size;
  const auto* codes = static_cast<const std::uint8_t*>(weight.data) + begin * size / 2;
  T* out = values + begin * size;
  for (std::int64_t group = begin; group < end; group += kGroup) {
    const std::int64_t n = std::min(kGroup, end - group);
    float buffer[kGroup];
    const float* absmax = group_absmax(weight, group, n, buffer);
    if (!have_normal_products(absmax, n)) [[unlikely]] {
      for (std::int64_t i = group; i < group + n; ++i)
        nf4_dequantize_piece<Avx512>(weight, i * size, (i + 1) * size, values);
      codes += n * size / 2, out += n * size;
      continue;
    }
    for (std::int64_t i = 0; i < n; ++i, codes += size / 2, out += size) {
      const Decoder decoder(absmax[i]);
#pragma GCC unroll 2
      for (std::int64_t k = 0; k < size; k += 64) decoder.run(codes + k / 2, out + k);
    }
  }
}

template <class T>
Status dequantize(const WeightView& weight, T* values) noexcept {
  const std::int64_t grain = 16 * kNf4Piece / weight.block_size;
  const auto blocks = weight.block_size == 64 ? dequantize_blocks<64, T> : dequantize_blocks<0, T>;
  parallel_ranges(weight.numel() / weight.block_size, grain,
                  [&](std::int64_t begin, std::int64_t end) { blocks(weight, begin, end, values); });
  return Status::ok;
}

}  // namespace

/// Whole blocks of 64 and more in bf16 and f32; the rest is rare.
Status avx512_nf4_dequantize(const Nf4DequantizeArgs& args) noexcept {
  const WeightView& weight = args.weight;
  const DType dtype = args.values.dtype;
  const bool whole = weight.block_size % 64 == 0 && weight.numel() % weight.block_size == 0 && weight.block_size <= 4096;
  const bool plain = dtype != DType::f16 && (weight.dtype == DType::f32 || weight.dtype == dtype);
  if (!whole || !plain) return Status::unsupported;
  return dtype == DType::f32 ? dequantize(weight, data_as<float>(args.values))
                             : dequantize(weight, data_as<bf16>(args.values));
}

Status avx512_nf4_quantize(const Nf4QuantizeArgs& args) noexcept {
  if (args.values.dtype == DType::f32) nf4_quantize_blocks<Avx512, float>(args, quantize_blocks<float>);
  if (args.values.dtype == DType::bf16) nf4_quantize_blocks<Avx512, bf16>(args, quantize_blocks<bf16>);
  if (args.values.dtype == DType::f16) nf4_quantize_blocks<Avx512, f16>(args, quantize_blocks<f16>);
  return Status::ok;
}

}  // namespace kernels
}  // namespace ftlib::inline FTLIB_ABI
