// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/check.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

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

inline OpWork op_work(const Nf4QuantizeArgs& a) noexcept {
  return {2 * static_cast<double>(a.values.numel()), detail::bytes_of(a.values, a.codes, a.absmax)};
}

FTLIB_INLINE void nf4_quantize(const Nf4QuantizeArgs& args) {
  constexpr const char* kOp = "nf4_quantize";
  const std::int64_t n = args.values.numel(), size = args.block_size;
  FT_CHECK(size >= 32 && size <= 4096 && (size & (size - 1)) == 0, invalid_argument, "[nf4_quantize] block_size, got ",
           size, ", want 32, 64, 128, 256, 512, 1024, 2048 or 4096");
  const DType dtype = args.values.dtype;
  FT_CHECK(dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16, invalid_argument,
           "[nf4_quantize] values got ", describe(args.values), ", want f32, bf16 or f16");
  detail::check_view(kOp, "values", args.values, {n}, dtype);
  detail::check_view(kOp, "codes", args.codes, {n / 2 + n % 2}, DType::u8);
  detail::check_view(kOp, "absmax", args.absmax, {n / size + (n % size != 0)}, DType::f32);
  detail::run(kOp, &KernelTable::nf4_quantize, args);
}

inline OpWork op_work(const Nf4DequantizeArgs& a) noexcept {
  return {0, detail::bytes_of(a.values) + static_cast<double>(weight_data_bytes(WeightFormat::nf4, a.values.numel()))};
}

FTLIB_INLINE void nf4_dequantize(const Nf4DequantizeArgs& args) {
  constexpr const char* kOp = "nf4_dequantize";
  const DType dtype = args.values.dtype;
  FT_CHECK(args.weight.format == WeightFormat::nf4, invalid_argument, "[nf4_dequantize] weight got ",
           describe(args.weight), ", want nf4");
  detail::check_weight(kOp, args.weight);
  FT_CHECK(dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16, invalid_argument,
           "[nf4_dequantize] values got ", describe(args.values), ", want f32, bf16 or f16");
  detail::check_view(kOp, "values", args.values, {args.weight.numel()}, dtype);
  detail::run(kOp, &KernelTable::nf4_dequantize, args);
}

FTLIB_INLINE float double_quantize(const DoubleQuantizeArgs& args) {
  constexpr const char* kOp = "double_quantize";
  const std::int64_t n = args.absmax.numel();
  detail::check_view(kOp, "absmax", args.absmax, {n}, DType::f32);
  detail::check_view(kOp, "codes", args.codes, {n}, DType::u8);
  detail::check_view(kOp, "nested_scales", args.nested_scales, {(n + 255) / 256}, DType::f32);
  const float* absmax = data_as<float>(args.absmax);
  const float offset = detail::absmax_mean(absmax, n), *map = dynamic_map(true);
  parallel_ranges(n, 256, [&](std::int64_t begin, std::int64_t end) {
    float widest = 0;
    for (std::int64_t i = begin; i < end; ++i) widest = std::max(widest, std::fabs(absmax[i] - offset));
    data_as<float>(args.nested_scales)[begin / 256] = widest;
    const float inverse = 1.0f / std::max(widest, kNf4Smallest);
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

}  // namespace ftlib::inline FTLIB_ABI
