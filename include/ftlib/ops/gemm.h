// SPDX-License-Identifier: Apache-2.0
// The inside of matmul and linear. One driver blocks, packs and shares out every product; an instruction set brings a
// GemmKernel: a register tile and the filler of its panels. A backend is then a few lines that name the kernel.
//
// Every element of a product is one sum in f32, taken over the depth in ascending order by one accumulator, however the
// driver cuts rows, columns and depth. So the bits of a row depend on nothing but the row, the weight and the kernel.
#pragma once
#include <cstdint>

#include "ftlib/core/error.h"
#include "ftlib/core/weight.h"
#include "ftlib/ops/linear.h"
#include "ftlib/ops/matmul.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// One side of a product: lanes (rows of the left side, columns of the right one) by depth (the axis summed over).
struct GemmOperand {
  WeightView view;          ///< stored [lanes, depth], or [depth, lanes] where `across`
  std::int64_t stride = 0;  ///< elements from stored row to stored row; read for the dense formats only
  bool across = false;
};

/// A block of an operand to be laid out for the tile: [ceil(depths / pack)][width][pack] values, each decoded exactly and
/// rounded once where the kernel computes in bf16. Lanes beyond `lanes` and an odd last depth are zero.
/// Both origins are multiples of 16, of 32 for block formats; a panel is aligned to 64 bytes.
struct PanelJob {
  const GemmOperand* source;
  std::int64_t lane, lanes, depth, depths;
  std::int64_t width;  ///< lanes of the panel: narrowest * 2^i, at most the kernel's
  void* panel;
};

/// acc += a * panel. `a` is read in place or from a panel of rows; so is `panel`, which then need not be aligned.
struct GemmFactor {
  const void* a = nullptr;
  std::int64_t a_row = 0, a_step = 0;  ///< bytes from row to row, from one depth step to the next
  const void* panel = nullptr;
  std::int64_t panel_step = 0;  ///< bytes
  std::int64_t steps = 0;       ///< of `pack` depths
};

/// y = alpha * acc + bias + beta * add, rounded once.
struct GemmFinish {
  float alpha = 1, beta = 1;
  const float* bias = nullptr;  ///< [columns] or null
  const void* add = nullptr;    ///< [rows, columns] in y's dtype, or null; may be y
  std::int64_t add_stride = 0;
  void* y = nullptr;
  std::int64_t y_stride = 0;  ///< elements, as add_stride
  bool bf16 = false;          ///< dtype of y: bf16, else f32
};

/// acc = (resume ? acc : low_rank_scale * (low_rank product)) + main product, for `rows` x `columns`.
struct TileJob {
  std::int64_t rows, columns, width;
  GemmFactor low_rank, main;
  float low_rank_scale = 1;
  bool resume = false;
  bool finish = true;    ///< false: leave the sums in acc for the next depth block
  float* acc = nullptr;  ///< [rows, width]; null where the sum is neither resumed nor left
  GemmFinish out;
};

/// A few rows against lanes that are decoded straight from the stored weight, as a tile would sum them:
/// sums[r][l] += a[r] b[lane + l] over the whole depth. With lanes = 0 it only asks whether the format can be read so.
struct DotJob {
  const GemmOperand* source;   ///< not across
  std::int64_t lane, lanes, depth;
  const void* a = nullptr;     ///< rows whose depth is contiguous, in the kernel's dtype
  std::int64_t a_row = 0;      ///< bytes
  std::int64_t rows = 0;       ///< 1 to kMostDotRows
  float* sums = nullptr;       ///< [rows, width], width a multiple of 16
  std::int64_t width = 0;
};
inline constexpr std::int64_t kMostDotRows = 4;

/// What an instruction set offers.
struct GemmKernel {
  std::int32_t width, narrowest;  ///< lanes of the widest and the narrowest panel
  std::int32_t row_step;          ///< rows of the tile for the widest panel
  std::int32_t pack;              ///< depths a step: 2 in bf16, 1 in f32
  bool reads_in_place;            ///< the left side needs no packing where its depth is contiguous
  bool (*fill)(const PanelJob&) noexcept;  ///< false: not this format or alignment; the driver decodes it to f32 first
  void (*tile)(const TileJob&) noexcept;
  bool (*dot)(const DotJob&) noexcept = nullptr;  ///< false: not this format; null: none
};

/// y = finish(scale * u v + a b) over operands that fit each other.
struct GemmProblem {
  std::int64_t rows = 0, columns = 0, depth = 0, rank = 0;
  GemmOperand a, b, u, v;
  float low_rank_scale = 1;
  GemmFinish out;
};

/// ok or out_of_memory.
Status gemm(const GemmKernel& kernel, const GemmProblem& problem) noexcept;

/// The ops as problems of the driver.
Status gemm_matmul(const GemmKernel& kernel, const MatmulArgs& args) noexcept;
Status gemm_linear(const GemmKernel& kernel, const LinearArgs& args) noexcept;
Status gemm_linear_backward(const GemmKernel& kernel, const LinearBackwardArgs& args) noexcept;

}  // namespace detail
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/gemm-inl.h"
#endif
