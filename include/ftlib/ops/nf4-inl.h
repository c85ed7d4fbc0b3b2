// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// A value goes up only above its threshold, so a tie takes the lower code: the f32 midpoints of the codebook.
inline constexpr auto kNf4Thresholds = [] {
  std::array<float, 15> thresholds{};
  for (std::size_t i = 0; i < 15; ++i) thresholds[i] = (kNf4Values[i] + kNf4Values[i + 1]) / 2;
  return thresholds;
}();

/// [-1, 1] cut in 32 buckets (and one for 1.0 itself), so narrow that each holds one threshold at most: a code is the
/// bucket's first code, plus one above its threshold. No threshold lies within rounding of a bucket's edge.
struct Nf4Buckets {
  std::uint8_t first[33];
  float threshold[33];
};
inline constexpr Nf4Buckets kNf4Buckets = [] {
  Nf4Buckets buckets{};
  for (int bucket = 0; bucket < 33; ++bucket) {
    const float low = static_cast<float>(bucket) / 16 - 1, high = low + 1.0f / 16;
    buckets.first[bucket] = 0, buckets.threshold[bucket] = 2;
    for (const float threshold : kNf4Thresholds) {
      if (threshold < low) ++buckets.first[bucket];
      else if (threshold < high) buckets.threshold[bucket] = threshold;
    }
  }
  return buckets;
}();

/// x in any range; NaN is code 0.
inline int nf4_code(float x) noexcept {
  x = x > -1 ? x : -1;
  x = x < 1 ? x : 1;
  const int bucket = static_cast<int>((x + 1) * 16);
  return kNf4Buckets.first[bucket] + (x > kNf4Buckets.threshold[bucket]);
}

/// A smaller absmax scales as this one does (its reciprocal is finite); a partial last block also stores it.
inline constexpr float kSmallestAbsmax = 1e-38f;

template <class T>
float largest_magnitude(const T* values, std::int64_t n) noexcept {
  float lanes[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; ++k) lanes[k] = std::max(lanes[k], std::fabs(to_float(values[i + k])));
  for (; i < n; ++i) lanes[0] = std::max(lanes[0], std::fabs(to_float(values[i])));
  return *std::max_element(lanes, lanes + 8);
}

/// A whole block multiplies by the reciprocal, the partial last one divides: bitsandbytes does, and the bits differ.
template <class T>
float nf4_quantize_block(const T* values, std::int64_t n, bool whole, std::uint8_t* codes) noexcept {
  const float absmax = largest_magnitude(values, n), divisor = std::max(absmax, kSmallestAbsmax);
  const float inverse = 1.0f / divisor;
  const auto code = [&](std::int64_t i) {
    const float value = to_float(values[i]);
    return nf4_code(whole ? value * inverse : value / divisor);
  };
  for (std::int64_t i = 0; i + 1 < n; i += 2) codes[i / 2] = static_cast<std::uint8_t>(code(i) << 4 | code(i + 1));
  if (n % 2 != 0) codes[n / 2] = static_cast<std::uint8_t>(code(n - 1) << 4 | nf4_code(0));
  return whole ? absmax : divisor;
}

template <class T>
void nf4_quantize_all(const Nf4QuantizeArgs& args) noexcept {
  const std::int64_t n = args.values.numel(), size = args.block_size, grain = std::int64_t{65536} / size;
  parallel_ranges((n + size - 1) / size, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * size, count = std::min(size, n - first);
      data_as<float>(args.absmax)[block] =
          nf4_quantize_block(data_as<T>(args.values) + first, count, count == size,
                             data_as<std::uint8_t>(args.codes) + first / 2);
    }
  });
}

inline void check_nf4_vector(std::string_view op, std::string_view name, const ConstTensorView& view, std::int64_t n,
                         DType dtype) {
  const bool fits = view.rank == 1 && view.shape[0] == n && view.dtype == dtype && (view.stride[0] == 1 || n < 2);
  FT_CHECK(fits && (view || n == 0), invalid_argument, "[", op, "] ", name, ", got ", describe(view), ", want ",
           dtype_name(dtype), " [", n, "], contiguous");
}

/// In double, left to right; torch sums in f32 in an order that depends on its CPU, so its last bits may differ.
inline float absmax_mean(const float* values, std::int64_t n) noexcept {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]);
  return n > 0 ? static_cast<float>(sum / static_cast<double>(n)) : 0.0f;
}

/// torch.linspace(0.1, 1, n)[i] with AVX2 or better: one fused multiply-add in f32, from the nearer end.
constexpr float dynamic_boundary(int i, int n) noexcept {
  const double step = static_cast<double>((1.0f - 0.1f) / static_cast<float>(n - 1));
  const bool left = i < n / 2;
  return static_cast<float>(left ? step * i + static_cast<double>(0.1f) : 1.0 - step * (n - 1 - i));
}

/// For each decade 10^-6 ... 1: the midpoints of twice as many intervals of [0.1, 1] as in the decade before; and 0, 1.
constexpr std::array<float, 256> make_dynamic_map(bool is_signed) {
  constexpr float kDecades[] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  std::array<float, 256> map{};
  std::size_t filled = 0;
  map[filled++] = 0.0f;
  map[filled++] = 1.0f;
  for (int decade = 0; decade < 7; ++decade) {
    const int intervals = (is_signed ? 1 : 2) << decade;
    for (int i = 0; i < intervals; ++i) {
      const float left = dynamic_boundary(i, intervals + 1), right = dynamic_boundary(i + 1, intervals + 1);
      map[filled++] = kDecades[decade] * ((left + right) / 2);
      if (is_signed) map[filled] = -map[filled - 1], ++filled;
    }
  }
  std::sort(map.begin(), map.end());
  return map;
}

}  // namespace detail

FTLIB_INLINE void nf4_quantize(const Nf4QuantizeArgs& args) {
  const std::int64_t n = args.values.numel(), size = args.block_size;
  FT_CHECK(size >= 32 && size <= 4096 && (size & (size - 1)) == 0, invalid_argument,
           "[nf4_quantize] block_size, got ", size, ", want 32, 64, 128, 256, 512, 1024, 2048 or 4096");
  detail::check_nf4_vector("nf4_quantize", "values", args.values, n, args.values.dtype);
  detail::check_nf4_vector("nf4_quantize", "codes", args.codes, n / 2 + n % 2, DType::u8);
  detail::check_nf4_vector("nf4_quantize", "absmax", args.absmax, (n + size - 1) / size, DType::f32);
  switch (args.values.dtype) {
    case DType::f32: return detail::nf4_quantize_all<float>(args);
    case DType::bf16: return detail::nf4_quantize_all<bf16>(args);
    case DType::f16: return detail::nf4_quantize_all<f16>(args);
    default: break;
  }
  FT_CHECK(false, invalid_argument, "[nf4_quantize] values, got ", describe(args.values), ", want f32, bf16 or f16");
}

FTLIB_INLINE float double_quantize(const DoubleQuantizeArgs& args) {
  const std::int64_t n = args.absmax.numel();
  detail::check_nf4_vector("double_quantize", "absmax", args.absmax, n, DType::f32);
  detail::check_nf4_vector("double_quantize", "codes", args.codes, n, DType::u8);
  detail::check_nf4_vector("double_quantize", "nested_scales", args.nested_scales, (n + 255) / 256, DType::f32);
  const float* absmax = data_as<float>(args.absmax);
  const float offset = detail::absmax_mean(absmax, n), *map = dynamic_map(true);
  parallel_ranges(n, 256, [&](std::int64_t begin, std::int64_t end) {
    float widest = 0;
    for (std::int64_t i = begin; i < end; ++i) widest = std::max(widest, std::fabs(absmax[i] - offset));
    data_as<float>(args.nested_scales)[begin / 256] = widest;
    const float inverse = 1.0f / std::max(widest, detail::kSmallestAbsmax);
    for (std::int64_t i = begin; i < end; ++i)
      data_as<std::uint8_t>(args.codes)[i] = nearest_code(map, (absmax[i] - offset) * inverse);
  });
  return offset;
}

FTLIB_INLINE const float* dynamic_map(bool is_signed) noexcept {
  static constexpr std::array<float, 256> kSigned = detail::make_dynamic_map(true);
  static constexpr std::array<float, 256> kUnsigned = detail::make_dynamic_map(false);
  return (is_signed ? kSigned : kUnsigned).data();
}

FTLIB_INLINE std::uint8_t nearest_code(const float* map, float value) noexcept {
  int low = 0;  // the midpoint of two neighbours is exact in double
  for (int step = 128; step > 0; step /= 2) {
    const double left = static_cast<double>(map[low + step - 1]), right = static_cast<double>(map[low + step]);
    if (static_cast<double>(value) > (left + right) / 2) low += step;
  }
  return static_cast<std::uint8_t>(low);
}

}  // namespace ftlib
