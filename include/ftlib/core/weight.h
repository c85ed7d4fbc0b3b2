// SPDX-License-Identifier: Apache-2.0
// A weight is a value with a format. The table below is closed: a format is one row plus one decoder, and it is at once
// loadable, trainable-on and testable.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "ftlib/core/error.h"
#include "ftlib/core/half.h"
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

enum class WeightFormat : std::int32_t { f32 = 0, f16, bf16, nf4, q4_0, q4_1, q8_0, q4_k, q6_k };
inline constexpr int kWeightFormats = 9;

/// A read-only matrix [out, in] in any format. Non-owning, trivially copyable.
///
/// dense     data: out * in values, row-major
/// nf4       data: codes, two a byte, even element in the high nibble, flattened row-major (a block may span rows);
///           scales: absmax per block of `block_size` elements, f32; or, double quantised (nested_scales not null),
///           u8 codes into nested_code[256] scaled by nested_scales[block / 256] plus nested_offset
///           dtype: the type that bitsandbytes would dequantise to; decoding rounds to it first (f32: no rounding)
/// GGUF      data: blocks as in the file, rows of in / block_size blocks; everything else empty
///
/// Decoding is plain f32 arithmetic, in the operation order of llama.cpp and bitsandbytes, so the bits are theirs.
/// A scale of NaN or infinity is defined: it makes its block NaN or infinite and nothing else.
struct WeightView {
  WeightFormat format = WeightFormat::f32;
  std::int32_t block_size = 1;  ///< elements a block
  std::int64_t shape[2] = {0, 0};  ///< out, in
  const void* data = nullptr;
  const void* scales = nullptr;
  const float* nested_scales = nullptr;
  const float* nested_code = nullptr;
  float nested_offset = 0;
  DType dtype = DType::f32;

  std::int64_t out() const noexcept { return shape[0]; }
  std::int64_t in() const noexcept { return shape[1]; }
  std::int64_t numel() const noexcept { return shape[0] * shape[1]; }
  explicit operator bool() const noexcept { return data != nullptr; }
};

/// The NF4 codebook: quantiles of N(0, 1), zero exact. Dettmers et al., "QLoRA", 2023, appendix E.
inline constexpr float kNf4Values[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

/// Absmax of block `block` of an nf4 weight, single or double quantised: the f32 that bitsandbytes restores.
inline float nf4_absmax(const WeightView& weight, std::int64_t block) noexcept {
  if (weight.nested_scales == nullptr) return static_cast<const float*>(weight.scales)[block];
  const float value = weight.nested_code[static_cast<const std::uint8_t*>(weight.scales)[block]];
  return value * weight.nested_scales[block / 256] + weight.nested_offset;
}

/// One row of the table.
struct WeightFormatInfo {
  WeightFormat format;
  std::string_view name;     ///< "f32", "nf4", "q4_k", ...
  std::int32_t block_size;   ///< elements a block; nf4: the default, 64
  std::int32_t block_bytes;  ///< bytes a block of `data` (nf4: without its absmax)
  /// Decodes elements [first, first + count) of the flattened matrix, exactly, in f32. Within a row for GGUF formats
  /// first and count are multiples of block_size; nf4 and dense take any range.
  void (*decode)(const WeightView& weight, std::int64_t first, std::int64_t count, float* out) noexcept;
  /// Encodes `count` finite values (a multiple of block_size) into blocks, in the bytes that llama.cpp's reference
  /// quantiser writes; null where there is no encoder. nf4 has its own, ops/nf4.h, since its scales lie apart. A block
  /// whose scale is beyond f16 decodes to infinity; NaN and infinity are the caller's to refuse.
  void (*encode)(const float* values, std::int64_t count, void* blocks) noexcept;
};

/// The table, in the order of the enum. Constant; thread-safe.
std::span<const WeightFormatInfo> weight_formats() noexcept;
const WeightFormatInfo& weight_format_info(WeightFormat format) noexcept;

/// By name; throws Error{unsupported} that lists the names.
const WeightFormatInfo& weight_format_by_name(std::string_view name);

/// Bytes of `data` for a matrix of `numel` elements (nf4: (numel + 1) / 2).
std::int64_t weight_data_bytes(WeightFormat format, std::int64_t numel) noexcept;

/// Decodes rows [row, row + count) to f32 [count, in]. Serial; thread-safe.
void decode_rows(const WeightView& weight, std::int64_t row, std::int64_t count, float* out) noexcept;

/// Dense weight view over f32, f16 or bf16 memory.
inline WeightView dense_weight(const void* data, std::int64_t out, std::int64_t in, DType dtype = DType::f32) noexcept {
  const WeightFormat format = dtype == DType::f32    ? WeightFormat::f32
                              : dtype == DType::bf16 ? WeightFormat::bf16
                                                     : WeightFormat::f16;
  WeightView view;
  view.format = format, view.shape[0] = out, view.shape[1] = in, view.data = data, view.dtype = dtype;
  return view;
}

/// "nf4 [1536, 576]"
inline std::string describe(const WeightView& weight) {
  return concat(weight_format_info(weight.format).name, " [", weight.out(), ", ", weight.in(), "]");
}

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/core/weight-inl.h"
#endif
