// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/kernels/vector.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// [-1, 1) cut in 32 buckets so narrow that each holds one threshold at most: a code is the bucket's first code, plus
/// one above its threshold. No threshold lies within rounding of a bucket's edge.
struct Nf4Buckets {
  std::uint8_t first[32];
  float threshold[32];
};
inline constexpr Nf4Buckets kNf4Buckets = [] {
  Nf4Buckets buckets{};
  for (int bucket = 0; bucket < 32; ++bucket) {
    const float low = static_cast<float>(bucket) / 16 - 1, high = low + 1.0f / 16;
    buckets.first[bucket] = 0, buckets.threshold[bucket] = 2;
    for (int code = 0; code < 15; ++code) {
      const float threshold = nf4_threshold(code);
      if (threshold < low)
        ++buckets.first[bucket];
      else if (threshold < high)
        buckets.threshold[bucket] = threshold;
    }
  }
  return buckets;
}();
inline constexpr float kBelowOne = 0x1.fffffcp-1f;  ///< in the last bucket; its code is that of 1.0

FT_ALWAYS_INLINE int nf4_code(float x) noexcept {
  x = x > -1 ? x : -1;
  x = x < kBelowOne ? x : kBelowOne;
  const int bucket = static_cast<int>((x + 1) * 16);
  return kNf4Buckets.first[bucket] + (x > kNf4Buckets.threshold[bucket]);
}

/// V tells apart the copies of different instruction sets.
template <class V, class T>
float nf4_absmax_of(const T* values, std::int64_t n) noexcept {
  float lanes[8] = {};
  const auto take = [&](std::int64_t i, std::int64_t lane) {
    const float size = std::fabs(to_float(values[i]));
    lanes[lane] = size > lanes[lane] ? size : lanes[lane];
  };
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::int64_t k = 0; k < 8; ++k) take(i + k, k);
  for (; i < n; ++i) take(i, 0);
  for (int k = 1; k < 8; ++k) lanes[0] = lanes[k] > lanes[0] ? lanes[k] : lanes[0];
  return lanes[0];
}

template <class V, class T>
float nf4_quantize_block(const T* values, std::int64_t n, bool whole, std::uint8_t* codes) noexcept {
  const float absmax = nf4_absmax_of<V>(values, n), divisor = absmax > kNf4Smallest ? absmax : kNf4Smallest;
  const float inverse = 1.0f / divisor;
  const auto code = [&](std::int64_t i) {
    const float value = to_float(values[i]);
    return nf4_code(whole ? value * inverse : value / divisor);
  };
  for (std::int64_t i = 0; i + 1 < n; i += 2) codes[i / 2] = static_cast<std::uint8_t>(code(i) << 4 | code(i + 1));
  if (n % 2 != 0) codes[n / 2] = static_cast<std::uint8_t>(code(n - 1) << 4 | nf4_code(0));
  return whole ? absmax : divisor;
}

/// `whole_blocks(values, block_size, count, codes, absmax)` quantises `count` whole blocks.
template <class V, class T, class WholeBlocks>
void nf4_quantize_blocks(const Nf4QuantizeArgs& args, WholeBlocks&& whole_blocks) noexcept {
  const std::int64_t n = args.values.numel(), size = args.block_size, grain = std::int64_t{65536} / size;
  const std::int64_t whole = n / size;
  const auto* values = data_as<T>(args.values);
  auto* codes = data_as<std::uint8_t>(args.codes);
  auto* absmax = data_as<float>(args.absmax);
  parallel_ranges((n + size - 1) / size, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t count = std::min(end, whole) - begin;
    if (count > 0) whole_blocks(values + begin * size, size, count, codes + begin * size / 2, absmax + begin);
    if (end > whole)
      absmax[whole] = nf4_quantize_block<V>(values + whole * size, n - whole * size, false, codes + whole * size / 2);
  });
}

template <class V>
Status nf4_quantize(const Nf4QuantizeArgs& args) noexcept {
  const auto whole_blocks = [](const auto* values, std::int64_t size, std::int64_t count, std::uint8_t* codes, float* absmax) {
    for (std::int64_t i = 0; i < count; ++i)
      absmax[i] = nf4_quantize_block<V>(values + i * size, size, true, codes + i * size / 2);
  };
  if (args.values.dtype == DType::f32) nf4_quantize_blocks<V, float>(args, whole_blocks);
  if (args.values.dtype == DType::bf16) nf4_quantize_blocks<V, bf16>(args, whole_blocks);
  if (args.values.dtype == DType::f16) nf4_quantize_blocks<V, f16>(args, whole_blocks);
  return Status::ok;
}

inline constexpr std::int64_t kNf4Piece = 4096;  ///< elements: a multiple of every block

/// Decoded in f32 and rounded: at most kNf4Piece elements.
template <class V, class T>
void nf4_dequantize_piece(const WeightView& weight, std::int64_t begin, std::int64_t end, T* values) noexcept {
  float piece[kNf4Piece];
  weight_format_info(WeightFormat::nf4).decode(weight, begin, end - begin, piece);
  for (std::int64_t i = begin; i < end; ++i) values[i] = from_float<T>(piece[i - begin]);
}

template <class V, class T>
void nf4_dequantize_pieces(const WeightView& weight, T* values) noexcept {
  parallel_ranges(weight.numel(), kNf4Piece, [&](std::int64_t begin, std::int64_t end) {
    nf4_dequantize_piece<V>(weight, begin, end, values);
  });
}

template <class V>
Status nf4_dequantize(const Nf4DequantizeArgs& args) noexcept {
  if (args.values.dtype == DType::f32) nf4_dequantize_pieces<V>(args.weight, data_as<float>(args.values));
  if (args.values.dtype == DType::bf16) nf4_dequantize_pieces<V>(args.weight, data_as<bf16>(args.values));
  if (args.values.dtype == DType::f16) nf4_dequantize_pieces<V>(args.weight, data_as<f16>(args.values));
  return Status::ok;
}

}  // namespace kernels
}  // namespace ftlib::inline FTLIB_ABI
