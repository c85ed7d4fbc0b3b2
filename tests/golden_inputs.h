// SPDX-License-Identifier: Apache-2.0
// The seeded inputs of tools/golden/inputs.py, bit for bit, and the digest that stands for long results.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "ftlib/core/half.h"
#include "ftlib/core/random.h"
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

namespace golden {

/// FNV-1a, 64 bits, over little-endian 32-bit words; the last one is padded with zeros.
inline std::uint64_t digest(const void* data, std::size_t bytes) {
  std::uint64_t value = 0xCBF29CE484222325u;
  for (std::size_t i = 0; i < bytes; i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, static_cast<const char*>(data) + i, std::min<std::size_t>(4, bytes - i));
    value = (value ^ word) * 0x100000001B3u;
  }
  return value;
}

template <class T>
std::uint64_t digest(const std::vector<T>& values) {
  return digest(values.data(), values.size() * sizeof(T));
}

/// [-1, 1) in steps of 2^-23.
inline double unit(std::uint32_t word) { return (static_cast<double>(word >> 8) - 0x1p23) * 0x1p-23; }

/// One element of a kind that is made as f32 and rounded.
inline float rounded_value(std::string_view kind, std::uint32_t word, int i) {
  if (kind == "spread") return static_cast<float>(std::ldexp(unit(word), i / 37 % 28 - 20));
  if (kind == "sparse") return word % 8 == 0 && i / 4096 % 2 == 0 && i / 128 % 2 == 0 ? static_cast<float>(unit(word)) : 0;
  const double scale = std::ldexp(kind == "near" ? static_cast<double>(1.7f) : 1.0, i / 4096 % 5 * 7 - 14);
  if (kind == "halves") return static_cast<float>((i % 32 == 0 ? 127 : word % 254 - 126.5) * scale);
  const float middle = (ftlib::kNf4Values[word % 15] + ftlib::kNf4Values[word % 15 + 1]) / 2;
  const std::uint32_t way = word / 256 % 3;
  const float moved = way == 0 ? middle : std::nextafter(middle, way == 1 ? 2.0f : -2.0f);
  return static_cast<float>(static_cast<double>(i % 32 == 0 ? -1.0f : moved) * scale);
}

/// One element of a kind that is made of bits: any exponent, subnormal, or the two largest exponents.
inline std::uint32_t value_bits(std::string_view kind, ftlib::DType dtype, std::uint32_t word, int i) {
  const bool wide = dtype == ftlib::DType::f32, is_bf16 = dtype == ftlib::DType::bf16;
  const std::uint32_t exponent = wide ? 0x7F800000u : is_bf16 ? 0x7F80u : 0x7C00u;
  const std::uint32_t one = wide ? 0x00800000u : is_bf16 ? 0x80u : 0x400u, bits = wide ? word : word >> 16;
  if (kind == "bits") return (bits & exponent) == exponent ? bits ^ (wide ? 0x40000000u : 0x4000u) : bits;
  if (kind == "tiny") return bits & ~exponent;
  if (i % 100 == 0) return exponent - 1;
  return (bits & ~exponent) | (exponent - one - one * (bits / one % 2));
}

/// The raw bytes of n values.
inline std::vector<std::uint8_t> values(std::string_view kind, ftlib::DType dtype, std::int64_t n) {
  constexpr std::string_view kKinds[] = {"spread", "bits", "ties", "sparse", "tiny", "huge", "near", "halves"};
  std::uint64_t stream = 0;
  while (kKinds[stream] != kind) ++stream;
  ftlib::Random random(1, stream);
  const auto width = static_cast<std::size_t>(ftlib::dtype_bytes(dtype));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(n) * width);
  for (int i = 0; i < n; ++i) {
    const std::uint32_t word = random.next_u32();
    std::uint32_t bits;
    if (kind == "bits" || kind == "tiny" || kind == "huge") {
      bits = value_bits(kind, dtype, word, i);
    } else {
      const float value = rounded_value(kind, word, i);
      bits = dtype == ftlib::DType::f32    ? std::bit_cast<std::uint32_t>(value)
             : dtype == ftlib::DType::bf16 ? ftlib::to_bf16(value).bits
                                           : ftlib::to_f16(value).bits;
    }
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * width, &bits, width);
  }
  return bytes;
}

/// 12-bit absmax values, or values one step around a common one with far ones on both sides.
inline std::vector<float> absmax(bool peaked, std::int64_t n) {
  ftlib::Random random(2, static_cast<std::uint64_t>(n));
  std::vector<float> values(static_cast<std::size_t>(n));
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t word = random.next_u32(), far = 1 + i / 64 % 2 * 131070, near = 65535 + word / 64 % 3;
    values[i] = static_cast<float>(!peaked ? (word >> 20) + 1 : i % 64 == 0 ? far : near) * 0x1p-10f;
  }
  return values;
}

}  // namespace golden
