// SPDX-License-Identifier: Apache-2.0
// NF4 quantisation, bit-equal to bitsandbytes' CPU result: codes and absmax for f32, bf16 and f16 input.
// Dettmers et al., "QLoRA", 2023, section 3 and appendix E.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {

/// values      [n]                     f32 | bf16 | f16, contiguous
/// block_size                          32, 64, ..., 4096 (powers of two); the last block may be partial
/// codes       [(n + 1) / 2]           u8, even element in the high nibble; overwritten
/// absmax      [ceil(n / block_size)]  f32; overwritten
struct Nf4QuantizeArgs {
  ConstTensorView values;
  std::int32_t block_size = 64;
  TensorView codes, absmax;
};

/// Throws Error{invalid_argument} on sizes that do not fit. Thread-safe. NaN and infinity are the caller's to refuse: NaN
/// becomes code 0 and no part of absmax. A value goes up only above its threshold, so a tie takes the lower code; a whole
/// block multiplies by 1 / absmax, the partial last one divides by it and stores at least kNf4Smallest.
void nf4_quantize(const Nf4QuantizeArgs& args);

/// weight  nf4, single or double quantised
/// values  [n]  f32 | bf16 | f16, contiguous, n = weight.numel(); overwritten; must not overlap the weight
struct Nf4DequantizeArgs {
  WeightView weight;
  TensorView values;
};

/// Table times absmax in f32, rounded to weight.dtype, then to values' dtype: the bits of bitsandbytes' dequantize_4bit.
/// Throws Error{invalid_argument} on what does not fit. Thread-safe. Allocates nothing.
void nf4_dequantize(const Nf4DequantizeArgs& args);

/// What divides a block whose absmax is smaller: its reciprocal is finite.
inline constexpr float kNf4Smallest = 1e-38f;

/// Between code and code + 1: the midpoint of their values, in f32.
constexpr float nf4_threshold(int code) noexcept { return (kNf4Values[code] + kNf4Values[code + 1]) / 2; }

/// Double quantisation: offset = mean(absmax), then absmax - offset in blocks of 256 with the signed 8-bit dynamic map,
/// exact nearest (QLoRA, section 3).
///
/// absmax         [n]              f32
/// codes          [n]              u8; overwritten
/// nested_scales  [ceil(n / 256)]  f32; overwritten
struct DoubleQuantizeArgs {
  ConstTensorView absmax;
  TensorView codes, nested_scales;
};
/// Returns the offset.
float double_quantize(const DoubleQuantizeArgs& args);

/// bitsandbytes' dynamic 8-bit map (256 values, ascending): signed for first moments and nested absmax, unsigned for
/// second moments. Constant; thread-safe.
const float* dynamic_map(bool is_signed) noexcept;

/// The code of the exact nearest value of `map`, the lower code on a tie; 0 maps to an exact 0.
std::uint8_t nearest_code(const float* map, float value) noexcept;

/// The definitions; the last backend.
namespace reference {

template <class T>
void nf4_dequantize(const WeightView& weight, T* values) {
  for (std::int64_t i = 0; i < weight.numel(); ++i) {
    float value = 0;
    weight_format_info(WeightFormat::nf4).decode(weight, i, 1, &value);
    values[i] = narrow<T>(value);
  }
}

template <class T>
void nf4_quantize(const T* values, std::int64_t n, std::int64_t block_size, std::uint8_t* codes, float* absmax) {
  for (std::int64_t i = 0; i < n / 2 + n % 2; ++i) codes[i] = 0x77;
  for (std::int64_t first = 0; first < n; first += block_size, ++absmax) {
    const bool whole = first + block_size <= n;
    const std::int64_t end = whole ? first + block_size : n;
    float widest = 0;
    for (std::int64_t i = first; i < end; ++i) widest = std::max(widest, std::fabs(to_float(values[i])));
    const float divisor = std::max(widest, kNf4Smallest);
    *absmax = whole ? widest : divisor;
    for (std::int64_t i = first; i < end; ++i) {
      const float x = whole ? to_float(values[i]) * (1 / divisor) : to_float(values[i]) / divisor;
      int code = 0;
      while (code < 15 && x > nf4_threshold(code)) ++code;
      codes[i / 2] = static_cast<std::uint8_t>(i % 2 == 0 ? (codes[i / 2] & 15) | code << 4 : (codes[i / 2] & 240) | code);
    }
  }
}

}  // namespace reference

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/nf4-inl.h"
#endif
