// SPDX-License-Identifier: Apache-2.0
// NF4 quantisation, bit-equal to bitsandbytes' CPU result: codes and absmax for f32, bf16 and f16 input.
// Dettmers et al., "QLoRA", 2023, section 3 and appendix E.
#pragma once
#include <cstdint>

#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

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

/// Throws Error{invalid_argument} on sizes that do not fit. Thread-safe. NaN and infinity are the caller's to refuse.
void nf4_quantize(const Nf4QuantizeArgs& args);

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

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/nf4-inl.h"
#endif
