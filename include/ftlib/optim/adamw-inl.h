// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/core/profile.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/nf4.h"
#include "ftlib/optim/adamw.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// Elements of a tensor that one chunk of the optimiser takes: a multiple of the 8-bit block.
inline constexpr std::int64_t kOptimizerPiece = 16384, kStateBlock = 256;

constexpr std::int64_t pieces_of(std::int64_t n) noexcept { return (n + kOptimizerPiece - 1) / kOptimizerPiece; }

/// body(tensor, begin, end) for every piece of every tensor, in parallel.
template <class Tensor, class Body>
void each_optimizer_piece(std::span<const Tensor> tensors, Body&& body) {
  std::int64_t pieces = 0;
  for (const Tensor& tensor : tensors) pieces += pieces_of(tensor.n);
  ftlib::parallel_for(pieces, [&](std::int64_t piece) {
    const Tensor* tensor = tensors.data();
    for (; piece >= pieces_of(tensor->n); ++tensor) piece -= pieces_of(tensor->n);
    body(*tensor, piece * kOptimizerPiece, std::min((piece + 1) * kOptimizerPiece, tensor->n));
  });
}

/// What one step has in common for all elements, rounded once from double.
struct AdamWFactors {
  float keep, one_minus_beta1, beta2, one_minus_beta2, root_correction2, eps, minus_step_size, gradient_scale;

  AdamWFactors(const AdamWOptions& o, std::int64_t step, float scale) {
    FT_CHECK(step >= 1, invalid_argument, "[adamw] steps are numbered from 1, got ", step);
    const double t = static_cast<double>(step);
    keep = static_cast<float>(1 - o.lr * o.weight_decay);
    one_minus_beta1 = static_cast<float>(1 - o.beta1);
    beta2 = static_cast<float>(o.beta2);
    one_minus_beta2 = static_cast<float>(1 - o.beta2);
    root_correction2 = static_cast<float>(std::sqrt(1 - std::pow(o.beta2, t)));
    eps = static_cast<float>(o.eps);
    minus_step_size = static_cast<float>(-o.lr / (1 - std::pow(o.beta1, t)));
    gradient_scale = scale;
  }
};

template <class V>
struct AdamWState {
  V parameter, exp_avg, exp_avg_sq;
};

template <class V>
FT_ALWAYS_INLINE AdamWState<V> adamw_update(AdamWState<V> s, V gradient, const AdamWFactors& f) noexcept {
  const V g = gradient * V::set(f.gradient_scale);
  s.parameter = s.parameter * V::set(f.keep);
  s.exp_avg = s.exp_avg + V::set(f.one_minus_beta1) * (g - s.exp_avg);
  s.exp_avg_sq = s.exp_avg_sq * V::set(f.beta2) + V::set(f.one_minus_beta2) * g * g;
  const V denominator = s.exp_avg_sq.root() / V::set(f.root_correction2) + V::set(f.eps);
  s.parameter = s.parameter + V::set(f.minus_step_size) * s.exp_avg / denominator;
  return s;
}

/// nearest_code() of a map by one table look-up and two comparisons: the upper 16 bits of a value choose a range of
/// values, for which the code of its lowest value is known and at most two more follow.
class CodeFinder {
 public:
  explicit CodeFinder(const float* map) noexcept {
    for (std::size_t code = 0; code < 255; ++code) {
      const double middle = (static_cast<double>(map[code]) + static_cast<double>(map[code + 1])) / 2;
      const auto rounded = static_cast<float>(middle);  // then the largest float that still has this code
      bound_[code] = static_cast<double>(rounded) > middle ? std::nextafter(rounded, -2.0f) : rounded;
    }
    bound_[255] = bound_[256] = INFINITY;
    for (std::uint32_t range = 0; range < kRanges; ++range) {
      const std::uint32_t bits = range == 0 ? 0 : (range + kFirst) << 16;
      lowest_[range] = nearest_code(map, std::bit_cast<float>(bits));
      lowest_[kRanges + range] = nearest_code(map, -std::bit_cast<float>(((range + kFirst) << 16) | 0xffffu));
    }
  }

  /// |value| <= 1, or NaN, which gets some code.
  std::uint8_t operator()(float value) const noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), high = (bits & 0x7fffffffu) >> 16;
    const std::uint32_t range = std::min(high > kFirst ? high - kFirst : 0, kRanges - 1);
    std::size_t code = lowest_[bits >> 31 ? kRanges + range : range];
    code += value > bound_[code];
    code += value > bound_[code];
    return static_cast<std::uint8_t>(code);
  }

  static const CodeFinder& of(bool is_signed) noexcept {
    static const CodeFinder finders[] = {CodeFinder(dynamic_map(false)), CodeFinder(dynamic_map(true))};
    return finders[is_signed];
  }

 private:
  /// 2^-23 and all below it are the first range; the last one starts at 1.
  static constexpr std::uint32_t kFirst = (127 - 23) << 7, kRanges = (127 << 7) - kFirst + 1;
  std::array<float, 257> bound_;
  std::array<std::uint8_t, 2 * kRanges> lowest_;
};

/// One block of moments between its 8-bit form and floats.
inline void decode_moments(const std::uint8_t* codes, float absmax, const float* map, std::int64_t n, float* out) noexcept {
  for (std::int64_t i = 0; i < n; ++i) out[i] = map[codes[i]] * absmax;
}
/// Divides `values` by their largest magnitude on the way.
inline void encode_moments(float* values, const CodeFinder& find, std::int64_t n, std::uint8_t* codes,
                           float* absmax) noexcept {
  using V = kernels::PortableVector;
  const V most = kernels::reduce<V>(
      n, V::set(0),
      [&](std::int64_t i, auto... part) {
        const V x = V::load(values + i, part...);
        return max(x, V::set(0) - x);
      },
      [](V a, V b) { return max(a, b); });
  *absmax = most.highest();
  const V divisor = V::set(*absmax > 0 ? *absmax : 1);
  kernels::each<V>(n, [&](std::int64_t i, auto... part) {
    (V::load(values + i, part...) / divisor).store(values + i, part...);
  });
  for (std::int64_t i = 0; i < n; ++i) codes[i] = find(values[i]);
}

inline double sum_of_squares(const float* x, std::int64_t n) noexcept {
  double lane[8] = {};
  const auto add = [&](std::int64_t i, std::int64_t count) {
    for (std::int64_t k = 0; k < count; ++k) lane[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  };
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) add(i, 8);
  add(i, n - i);
  return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

/// `bytes` an element: parameters, gradient and both moments read, all but the gradient written.
template <class Tensor>
OpWork optimizer_work(std::span<const Tensor> tensors, double bytes) noexcept {
  double n = 0;
  for (const Tensor& tensor : tensors) n += static_cast<double>(tensor.n);
  return {15 * n, bytes * n};
}

}  // namespace detail

FTLIB_INLINE void adamw_step(std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                             float gradient_scale) {
  const detail::ProfiledCall call("adamw_step", [&] { return detail::optimizer_work(tensors, 28); });
  using V = kernels::PortableVector;
  const detail::AdamWFactors factors(options, step, gradient_scale);
  detail::each_optimizer_piece(tensors, [&](const AdamWTensor& t, std::int64_t begin, std::int64_t end) {
    kernels::each<V>(end - begin, [&](std::int64_t i, auto... part) {
      const std::int64_t at = begin + i;
      const auto made = detail::adamw_update<V>({V::load(t.parameter + at, part...), V::load(t.exp_avg + at, part...),
                                                 V::load(t.exp_avg_sq + at, part...)},
                                                V::load(t.gradient + at, part...), factors);
      made.parameter.store(t.parameter + at, part...);
      made.exp_avg.store(t.exp_avg + at, part...);
      made.exp_avg_sq.store(t.exp_avg_sq + at, part...);
    });
  });
}

FTLIB_INLINE void adamw_8bit_step(std::span<const AdamW8bitTensor> tensors, const AdamWOptions& options,
                                  std::int64_t step, float gradient_scale) {
  const detail::ProfiledCall call("adamw_8bit_step", [&] { return detail::optimizer_work(tensors, 16); });
  using V = kernels::PortableVector;
  const detail::AdamWFactors factors(options, step, gradient_scale);
  const auto &find = detail::CodeFinder::of(true), &find_sq = detail::CodeFinder::of(false);
  detail::each_optimizer_piece(tensors, [&](const AdamW8bitTensor& t, std::int64_t begin, std::int64_t end) {
    for (; begin < end; begin += detail::kStateBlock) {
      const std::int64_t n = std::min(detail::kStateBlock, end - begin), block = begin / detail::kStateBlock;
      float m[detail::kStateBlock], v[detail::kStateBlock];
      detail::decode_moments(t.exp_avg + begin, t.exp_avg_absmax[block], dynamic_map(true), n, m);
      detail::decode_moments(t.exp_avg_sq + begin, t.exp_avg_sq_absmax[block], dynamic_map(false), n, v);
      kernels::each<V>(n, [&, p = t.parameter + begin, g = t.gradient + begin](std::int64_t i, auto... part) {
        const auto made = detail::adamw_update<V>(
            {V::load(p + i, part...), V::load(m + i, part...), V::load(v + i, part...)}, V::load(g + i, part...), factors);
        made.parameter.store(p + i, part...);
        made.exp_avg.store(m + i, part...);
        made.exp_avg_sq.store(v + i, part...);
      });
      detail::encode_moments(m, find, n, t.exp_avg + begin, t.exp_avg_absmax + block);
      detail::encode_moments(v, find_sq, n, t.exp_avg_sq + begin, t.exp_avg_sq_absmax + block);
    }
  });
}

FTLIB_INLINE double global_norm(std::span<const std::span<const float>> gradients) {
  const detail::ProfiledCall call("global_norm", [&] {
    std::size_t n = 0;
    for (const std::span<const float> gradient : gradients) n += gradient.size();
    return OpWork{2 * static_cast<double>(n), 4 * static_cast<double>(n)};
  });
  // Pieces are dealt to a fixed number of slots, so nothing is allocated and the order depends on the sizes only.
  constexpr std::int64_t kSlots = 64;
  double slots[kSlots] = {};
  parallel_for(kSlots, [&](std::int64_t slot) {
    std::int64_t piece = 0;
    for (const std::span<const float> gradient : gradients) {
      const auto n = static_cast<std::int64_t>(gradient.size());
      for (std::int64_t begin = 0; begin < n; begin += detail::kOptimizerPiece, ++piece)
        if (piece % kSlots == slot)
          slots[slot] += detail::sum_of_squares(gradient.data() + begin, std::min(detail::kOptimizerPiece, n - begin));
    }
  });
  for (std::int64_t half = kSlots / 2; half > 0; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) slots[i] += slots[i + half];
  return std::sqrt(slots[0]);
}

FTLIB_INLINE float clip_factor(double norm, double max_norm) noexcept {
  if (max_norm == 0) return 1;
  const double factor = max_norm / (norm + 1e-6);
  return factor >= 1 ? 1 : static_cast<float>(factor);
}

}  // namespace ftlib::inline FTLIB_ABI
