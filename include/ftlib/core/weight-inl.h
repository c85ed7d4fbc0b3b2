// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "ftlib/core/weight.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

inline float load_f16(const std::uint8_t* bytes) noexcept {
  std::uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return to_float(f16{bits});
}

inline void store_f16(float value, std::uint8_t* bytes) noexcept {
  const std::uint16_t bits = to_f16(value).bits;
  std::memcpy(bytes, &bits, sizeof bits);
}

template <class T>
void decode_dense(const WeightView& weight, std::int64_t first, std::int64_t count, float* out) noexcept {
  const T* values = static_cast<const T*>(weight.data) + first;
  for (std::int64_t i = 0; i < count; ++i) out[i] = to_float(values[i]);
}

template <class T>
void encode_dense(const float* values, std::int64_t count, void* blocks) noexcept {
  for (std::int64_t i = 0; i < count; ++i) static_cast<T*>(blocks)[i] = from_float<T>(values[i]);
}

inline float round_to(float value, DType dtype) noexcept {
  if (dtype == DType::bf16) return to_float(to_bf16(value));
  if (dtype == DType::f16) return to_float(to_f16(value));
  return value;
}

/// The sixteen products of a block are rounded once, then looked up.
inline void decode_nf4(const WeightView& weight, std::int64_t first, std::int64_t count, float* out) noexcept {
  const auto* codes = static_cast<const std::uint8_t*>(weight.data);
  const std::int64_t last = first + count;
  float values[16];
  for (std::int64_t i = first; i < last;) {
    const std::int64_t block = i / weight.block_size, end = std::min(last, (block + 1) * weight.block_size);
    const float absmax = nf4_absmax(weight, block);
    for (int code = 0; code < 16; ++code) values[code] = round_to(kNf4Values[code] * absmax, weight.dtype);
    if (i % 2 != 0 && i < end) *out++ = values[codes[i / 2] & 15], ++i;
    for (; i + 1 < end; i += 2, out += 2) out[0] = values[codes[i / 2] >> 4], out[1] = values[codes[i / 2] & 15];
    if (i < end) *out++ = values[codes[i / 2] >> 4], ++i;
  }
}

/// Runs decode(block, out) over the blocks of a range.
template <int kSize, int kBytes, class Decode>
void decode_blocks(const WeightView& weight, std::int64_t first, std::int64_t count, float* out,
                   Decode&& decode) noexcept {
  const auto* block = static_cast<const std::uint8_t*>(weight.data) + first / kSize * kBytes;
  for (std::int64_t i = 0; i < count; i += kSize, block += kBytes, out += kSize) decode(block, out);
}

/// f16 scale, 16 bytes: element i in the low nibble of byte i, element i + 16 in the high nibble; codes minus 8.
inline void decode_q4_0(const WeightView& weight, std::int64_t first, std::int64_t count, float* result) noexcept {
  decode_blocks<32, 18>(weight, first, count, result, [](const std::uint8_t* block, float* out) {
    const float scale = load_f16(block);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>((block[2 + i] & 15) - 8) * scale;
      out[i + 16] = static_cast<float>((block[2 + i] >> 4) - 8) * scale;
    }
  });
}

/// f16 scale, f16 minimum, 16 bytes as in q4_0.
inline void decode_q4_1(const WeightView& weight, std::int64_t first, std::int64_t count, float* result) noexcept {
  decode_blocks<32, 20>(weight, first, count, result, [](const std::uint8_t* block, float* out) {
    const float scale = load_f16(block), minimum = load_f16(block + 2);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(block[4 + i] & 15) * scale + minimum;
      out[i + 16] = static_cast<float>(block[4 + i] >> 4) * scale + minimum;
    }
  });
}

/// f16 scale, 32 signed bytes.
inline void decode_q8_0(const WeightView& weight, std::int64_t first, std::int64_t count, float* result) noexcept {
  decode_blocks<32, 34>(weight, first, count, result, [](const std::uint8_t* block, float* out) {
    const float scale = load_f16(block);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * scale;
  });
}

/// f16 scale, f16 scale of minima, eight 6-bit (scale, minimum) pairs in 12 bytes, 128 bytes of nibbles: 32 low ones,
/// then the 32 high ones of the same bytes.
inline void decode_q4_k(const WeightView& weight, std::int64_t first, std::int64_t count, float* result) noexcept {
  decode_blocks<256, 144>(weight, first, count, result, [](const std::uint8_t* block, float* out) {
    const float scale = load_f16(block), minimum = load_f16(block + 2);
    const std::uint8_t *pairs = block + 4, *codes = block + 16;
    for (int group = 0; group < 8; ++group, out += 32) {
      const int k = group % 4, six = group < 4 ? pairs[k] & 63 : (pairs[8 + k] & 15) | (pairs[k] >> 6 << 4);
      const int low = group < 4 ? pairs[4 + k] & 63 : (pairs[8 + k] >> 4) | (pairs[4 + k] >> 6 << 4);
      const float d = scale * static_cast<float>(six), m = minimum * static_cast<float>(low);
      const std::uint8_t* bytes = codes + group / 2 * 32;
      const int shift = group % 2 * 4;
      for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>((bytes[i] >> shift) & 15) - m;
    }
  });
}

/// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, f16 scale; codes minus 32.
inline void decode_q6_k(const WeightView& weight, std::int64_t first, std::int64_t count, float* result) noexcept {
  decode_blocks<256, 210>(weight, first, count, result, [](const std::uint8_t* block, float* out) {
    const float scale = load_f16(block + 208);
    for (int group = 0; group < 8; ++group, out += 32) {
      const int half = group / 4, quarter = group % 4;
      const std::uint8_t* low = block + half * 64 + quarter % 2 * 32;
      const std::uint8_t* high = block + 128 + half * 32;
      for (int i = 0; i < 32; ++i) {
        const int code = ((low[i] >> (quarter / 2 * 4)) & 15) | (((high[i] >> (quarter * 2)) & 3) << 4);
        const auto step = static_cast<std::int8_t>(block[192 + group * 2 + i / 16]);
        out[i] = scale * static_cast<float>(step) * static_cast<float>(code - 32);
      }
    }
  });
}

/// Truncation as in C, but defined for NaN (low) and beyond the range.
inline int truncate(float value, int low, int high) noexcept {
  if (!(value > static_cast<float>(low))) return low;
  return value < static_cast<float>(high) ? static_cast<int>(value) : high;
}

inline float inverse_or_zero(float scale) noexcept { return scale != 0 ? 1 / scale : 0; }

inline void encode_q4_0(const float* values, std::int64_t count, void* blocks) noexcept {
  auto* block = static_cast<std::uint8_t*>(blocks);
  for (std::int64_t b = 0; b < count / 32; ++b, values += 32, block += 18) {
    float widest = 0;
    for (int i = 0; i < 32; ++i)
      if (std::fabs(values[i]) > std::fabs(widest)) widest = values[i];
    const float scale = widest / -8, inverse = inverse_or_zero(scale);
    store_f16(scale, block);
    const auto code = [&](int i) { return truncate(values[i] * inverse + 8.5f, 0, 15); };
    for (int i = 0; i < 16; ++i) block[2 + i] = static_cast<std::uint8_t>(code(i) | code(i + 16) << 4);
  }
}

inline void encode_q4_1(const float* values, std::int64_t count, void* blocks) noexcept {
  auto* block = static_cast<std::uint8_t*>(blocks);
  for (std::int64_t b = 0; b < count / 32; ++b, values += 32, block += 20) {
    const auto [low, high] = std::minmax_element(values, values + 32);
    const float minimum = *low, scale = (*high - minimum) / 15, inverse = inverse_or_zero(scale);
    store_f16(scale, block);
    store_f16(minimum, block + 2);
    const auto code = [&](int i) { return truncate((values[i] - minimum) * inverse + 0.5f, 0, 15); };
    for (int i = 0; i < 16; ++i) block[4 + i] = static_cast<std::uint8_t>(code(i) | code(i + 16) << 4);
  }
}

inline void encode_q8_0(const float* values, std::int64_t count, void* blocks) noexcept {
  auto* block = static_cast<std::uint8_t*>(blocks);
  for (std::int64_t b = 0; b < count / 32; ++b, values += 32, block += 34) {
    float widest = 0;
    for (int i = 0; i < 32; ++i) widest = std::max(widest, std::fabs(values[i]));
    const float scale = widest / 127, inverse = inverse_or_zero(scale);
    store_f16(scale, block);
    for (int i = 0; i < 32; ++i)
      block[2 + i] = static_cast<std::uint8_t>(truncate(std::round(values[i] * inverse), -127, 127));
  }
}

}  // namespace detail

FTLIB_INLINE std::span<const WeightFormatInfo> weight_formats() noexcept {
  using namespace detail;
  static constexpr WeightFormatInfo kFormats[kWeightFormats] = {
      {WeightFormat::f32, "f32", 1, 4, decode_dense<float>, encode_dense<float>},
      {WeightFormat::f16, "f16", 1, 2, decode_dense<f16>, encode_dense<f16>},
      {WeightFormat::bf16, "bf16", 1, 2, decode_dense<bf16>, encode_dense<bf16>},
      {WeightFormat::nf4, "nf4", 64, 32, decode_nf4, nullptr},
      {WeightFormat::q4_0, "q4_0", 32, 18, decode_q4_0, encode_q4_0},
      {WeightFormat::q4_1, "q4_1", 32, 20, decode_q4_1, encode_q4_1},
      {WeightFormat::q8_0, "q8_0", 32, 34, decode_q8_0, encode_q8_0},
      {WeightFormat::q4_k, "q4_k", 256, 144, decode_q4_k, nullptr},
      {WeightFormat::q6_k, "q6_k", 256, 210, decode_q6_k, nullptr},
  };
  return kFormats;
}

FTLIB_INLINE const WeightFormatInfo& weight_format_info(WeightFormat format) noexcept {
  return weight_formats()[static_cast<std::size_t>(format)];
}

FTLIB_INLINE const WeightFormatInfo& weight_format_by_name(std::string_view name) {
  std::string names;
  for (const WeightFormatInfo& info : weight_formats()) {
    if (info.name == name) return info;
    names += concat(names.empty() ? "" : ", ", info.name);
  }
  throw Error(Status::unsupported, concat("[weight_format] unknown name, got \"", name, "\", want one of ", names));
}

FTLIB_INLINE std::int64_t weight_data_bytes(WeightFormat format, std::int64_t numel) noexcept {
  if (format == WeightFormat::nf4) return numel / 2 + numel % 2;
  const WeightFormatInfo& info = weight_format_info(format);
  return numel / info.block_size * info.block_bytes;
}

FTLIB_INLINE void decode_rows(const WeightView& weight, std::int64_t row, std::int64_t count, float* out) noexcept {
  weight_format_info(weight.format).decode(weight, row * weight.in(), count * weight.in(), out);
}

}  // namespace ftlib
