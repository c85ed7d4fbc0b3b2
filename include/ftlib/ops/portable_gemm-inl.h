// SPDX-License-Identifier: Apache-2.0
// matmul and linear for any CPU: Eigen's product over f32 panels. The only header that includes Eigen.
// Eigen chooses its own order of summation from the shape of a block, so here a row's last bits may depend on T.
#pragma once
#include <Eigen/Core>
#include <algorithm>

#include "ftlib/core/half.h"
#include "ftlib/ops/gemm.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// Values of a dense operand become f32, rounded to bf16 first where that is the type to compute in.
template <class Stored, bool kRound>
void fill_dense_panel(const PanelJob& job) noexcept {
  const GemmOperand& o = *job.source;
  const std::int64_t lane_step = o.across ? 1 : o.stride, depth_step = o.across ? o.stride : 1;
  const Stored* from = static_cast<const Stored*>(o.view.data) + job.lane * lane_step + job.depth * depth_step;
  float* to = static_cast<float*>(job.panel);
  for (std::int64_t d = 0; d < job.depths; ++d, to += job.width) {
    for (std::int64_t l = 0; l < job.lanes; ++l) {
      const float value = to_float(from[l * lane_step + d * depth_step]);
      to[l] = kRound ? to_float(to_bf16(value)) : value;
    }
    std::fill(to + job.lanes, to + job.width, 0.0f);
  }
}

template <bool kRound>
bool portable_fill(const PanelJob& job) noexcept {
  if (job.source->view.format == WeightFormat::f32) return fill_dense_panel<float, kRound>(job), true;
  if (job.source->view.format == WeightFormat::bf16) return fill_dense_panel<bf16, false>(job), true;
  return false;
}

using EigenRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using EigenColumns = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

/// acc += a * panel for rows [row, row + rows), in slices of the depth that Eigen packs on the stack.
inline void eigen_add(const GemmFactor& factor, std::int64_t row, Eigen::Ref<EigenRows> acc) {
  constexpr std::int64_t kSlice = 256;
  const float* a = static_cast<const float*>(factor.a) + row * (factor.a_row / 4);
  const float* b = static_cast<const float*>(factor.panel);
  const bool by_rows = factor.a_step == 4;
  const std::int64_t b_step = factor.panel_step / 4;
  const Eigen::OuterStride<> a_stride((by_rows ? factor.a_row : factor.a_step) / 4);
  for (std::int64_t s = 0; s < factor.steps; s += kSlice, a += kSlice * (factor.a_step / 4), b += kSlice * b_step) {
    const std::int64_t steps = std::min(kSlice, factor.steps - s);
    const Eigen::Map<const EigenRows, 0, Eigen::OuterStride<>> panel(b, steps, acc.cols(), Eigen::OuterStride<>(b_step));
    if (by_rows) acc.noalias() += Eigen::Map<const EigenRows, 0, Eigen::OuterStride<>>(a, acc.rows(), steps, a_stride) * panel;
    else acc.noalias() += Eigen::Map<const EigenColumns, 0, Eigen::OuterStride<>>(a, acc.rows(), steps, a_stride) * panel;
  }
}

template <class Stored>
void finish_row(const GemmFinish& out, std::int64_t row, const float* acc, std::int64_t columns) noexcept {
  Stored* y = static_cast<Stored*>(out.y) + row * out.y_stride;
  const Stored* add = out.add ? static_cast<const Stored*>(out.add) + row * out.add_stride : nullptr;
  for (std::int64_t n = 0; n < columns; ++n) {
    float value = out.alpha * acc[n];
    if (out.bias) value += out.bias[n];
    if (add) value += out.beta * to_float(add[n]);
    y[n] = from_float<Stored>(value);
  }
}

/// Rows in blocks, so that Eigen's working memory stays on the stack: a kernel may not allocate.
inline void portable_tile(const TileJob& job) noexcept {
  constexpr std::int64_t kRows = 64, kWidth = 64;
  float local[kRows * kWidth];
  for (std::int64_t row = 0; row < job.rows; row += kRows) {
    const std::int64_t rows = std::min(kRows, job.rows - row);
    float* sums = job.acc ? job.acc + row * job.width : local;
    Eigen::Map<EigenRows, 0, Eigen::OuterStride<>> acc(sums, rows, job.columns, Eigen::OuterStride<>(job.width));
    if (!job.resume) acc.setZero();
    eigen_add(job.low_rank, row, acc);
    if (job.low_rank.steps > 0) acc *= job.low_rank_scale;
    eigen_add(job.main, row, acc);
    if (!job.finish) continue;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* from = sums + r * job.width;
      job.out.bf16 ? finish_row<bf16>(job.out, row + r, from, job.columns)
                   : finish_row<float>(job.out, row + r, from, job.columns);
    }
  }
}

inline constexpr GemmKernel kPortableGemmF32{64, 16, 64, 1, true, portable_fill<false>, portable_tile};
inline constexpr GemmKernel kPortableGemmBf16{64, 16, 64, 1, false, portable_fill<true>, portable_tile};

inline const GemmKernel& portable_gemm_kernel(DType x) noexcept {
  return x == DType::bf16 ? kPortableGemmBf16 : kPortableGemmF32;
}

inline Status portable_matmul(const MatmulArgs& args) noexcept {
  return gemm_matmul(portable_gemm_kernel(args.a.dtype), args);
}
inline Status portable_linear(const LinearArgs& args) noexcept {
  return gemm_linear(portable_gemm_kernel(args.x.dtype), args);
}
inline Status portable_linear_backward(const LinearBackwardArgs& args) noexcept {
  return gemm_linear_backward(portable_gemm_kernel(args.dy.dtype), args);
}

}  // namespace detail
}  // namespace ftlib
