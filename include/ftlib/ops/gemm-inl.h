// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>

#include "ftlib/core/parallel.h"
#include "ftlib/core/scratch.h"
#include "ftlib/ops/gemm.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

inline constexpr std::int64_t kPanelBytes = 256 << 10;    ///< of one chunk's panels: stays in a 1 MiB second-level cache
inline constexpr std::int64_t kSmallPanelBytes = 16 << 10;  ///< for few rows, where a panel is read as often as written
inline constexpr std::int64_t kFewRows = 16;    ///< up to here small panels
inline constexpr std::int64_t kMostRows = 2048;  ///< of one chunk
inline constexpr std::int64_t kSomeRows = 64;   ///< up to here an f32 matrix that lies right is not copied to panels
inline constexpr std::int64_t kFewDots = 1024;  ///< columns, up to here chunks are small, for threads to share them evenly
inline constexpr std::int64_t kFewDotLanes = 32;
inline constexpr std::int64_t kLongestBlock = 256;  ///< of the GGUF formats
inline constexpr std::int64_t kSliceDepth = 512, kMostSlices = 8;
inline constexpr std::int64_t kSmallResult = 1 << 18;  ///< elements: its slices stay near the cores
inline constexpr std::int64_t kStageFloats = 64 * kLongestBlock;

constexpr std::int64_t ceil_div(std::int64_t n, std::int64_t by) noexcept { return (n + by - 1) / by; }
constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) noexcept { return ceil_div(n, to) * to; }

/// How a problem is cut: by its shape and formats only.
struct GemmPlan {
  const GemmKernel& kernel;
  const GemmProblem& problem;
  bool packs_a = false, packs_u = false;
  bool dots = false;  ///< a few rows: no panels
  std::int64_t stretches = 1;  ///< of dots; fixed here, since another thread may call set_threads
  std::int64_t width = 0, panels = 0;  ///< lanes a panel, panels a chunk
  std::int64_t row_block = 0, depth_block = 0;
  std::int64_t row_chunks = 0, column_chunks = 0;
  std::int64_t slices = 1, slice_depth = 0;  ///< of the depth

  GemmPlan(const GemmKernel& k, const GemmProblem& p) noexcept : kernel(k), problem(p) {
    packs_a = must_pack(p.a, p.depth);
    packs_u = p.rank > 0 && must_pack(p.u, p.rank);
    dots = can_dot();
    width = panel_width(dots && p.columns <= kFewDots ? std::min(p.columns, kFewDotLanes) : p.columns);
    slice_depths();
    panels = panels_per_chunk();
    column_chunks = ceil_div(p.columns, panels * width);
    cut_rows();
    cut_depth();
    stretches = std::min<std::int64_t>(threads(), column_chunks);
  }

  /// Full panels of b are rows of b as it lies: few rows of a do not pay for a copy.
  bool b_in_place() const noexcept {
    return problem.b.across && problem.b.view.format == WeightFormat::f32 && kernel.pack == 1 && kernel.reads_in_place &&
           problem.rows <= kSomeRows;
  }
  bool must_pack(const GemmOperand& o, std::int64_t depth) const noexcept {
    return !kernel.reads_in_place || o.across || depth % kernel.pack != 0;
  }
  bool can_dot() const noexcept {
    return kernel.dot != nullptr && problem.rows <= kMostDotRows && !problem.b.across && !packs_a &&
           kernel.dot({&problem.b, 0, 0, problem.depth});
  }
  std::int64_t panel_width(std::int64_t lanes) const noexcept {
    std::int64_t w = kernel.narrowest;
    while (w < lanes && w < kernel.width) w *= 2;
    return w;
  }
  /// A long sum into a small result, as in the gradient of a low-rank factor, is cut into slices that are added in order:
  /// more chunks, and each reads its rows of both sides in long runs.
  void slice_depths() noexcept {
    const bool small = problem.rows * problem.columns <= kSmallResult;
    if (problem.a.across && problem.b.across && small && problem.depth >= 2 * kSliceDepth)
      slices = std::min(problem.depth / kSliceDepth, kMostSlices);
    slice_depth = round_up(ceil_div(problem.depth, slices), 64);
    slices = std::max<std::int64_t>(ceil_div(problem.depth, std::max<std::int64_t>(slice_depth, 1)), 1);
  }
  bool sliced() const noexcept { return slices > 1; }

  /// One panel a chunk, unless packed rows are to be shared by more columns or a weight block spans several panels: a
  /// chunk starts and ends with a block.
  std::int64_t panels_per_chunk() const noexcept {
    std::int64_t lanes = width;
    if (packs_a) lanes = sliced() ? kLongestBlock : std::min(round_up(problem.rows, width), kLongestBlock);
    if (problem.b.across && problem.b.view.format >= WeightFormat::q4_0)
      lanes = round_up(lanes, std::max<std::int64_t>(weight_format_info(problem.b.view.format).block_size, width));
    return std::min(ceil_div(lanes, width), ceil_div(problem.columns, width));
  }
  /// Up to 36 chunks, which many numbers of threads share evenly, where the rows of one are enough to pay for its panels;
  /// more where there are so many rows that the next panel would find them gone from the caches.
  void cut_rows() noexcept {
    const std::int64_t least = column_chunks == 1 ? 96 : 192;
    const std::int64_t wanted = std::max(std::clamp<std::int64_t>(36 / (column_chunks * slices), 1,
                                                                  std::max<std::int64_t>(problem.rows / least, 1)),
                                         ceil_div(problem.rows, kMostRows));
    const std::int64_t step = packs_a || packs_u ? kernel.width : kernel.row_step;
    row_block = round_up(ceil_div(problem.rows, wanted), step);
    row_chunks = ceil_div(problem.rows, row_block);
  }
  /// Blocks of the depth start with a block of the weight.
  void cut_depth() noexcept {
    const std::int64_t grain = problem.b.view.format >= WeightFormat::q4_k ? kLongestBlock : 64;
    const std::int64_t budget = problem.rows <= kFewRows ? kSmallPanelBytes : kPanelBytes;
    const std::int64_t fits = budget / bytes_per_step(panels * width) * kernel.pack / grain * grain;
    depth_block = std::min(std::max(fits, grain), round_up(std::max<std::int64_t>(problem.depth, 1), grain));
  }

  std::int64_t steps(std::int64_t depths) const noexcept { return ceil_div(depths, kernel.pack); }
  static std::int64_t bytes_per_step(std::int64_t lanes) noexcept { return lanes * 4; }  // 2 bf16 or 1 f32 a lane
  bool sums_wait() const noexcept { return dots || (!sliced() && problem.depth > depth_block); }
  std::int64_t chunks() const noexcept { return row_chunks * column_chunks * slices; }
  std::int64_t blocks() const noexcept { return row_chunks * column_chunks; }
  /// The block of the result that a chunk is part of. A dot product reads the weight faster than memory brings it unless it
  /// is called for in time: threads that claim chunks in turn go along the weight, each on a stretch of its own.
  std::int64_t block(std::int64_t chunk) const noexcept {
    if (!dots) return chunk / slices;
    const std::int64_t stretch = chunk % stretches, more = column_chunks % stretches;
    return stretch * (column_chunks / stretches) + std::min(stretch, more) + chunk / stretches;
  }
  /// Floats of the sums of one slice of one block of the result.
  std::int64_t block_floats() const noexcept { return row_block * panels * width; }
};

/// One thread's working memory for one chunk.
struct GemmMemory {
  char *panels, *low_rank_panels, *rows_a, *rows_u;
  float *acc, *stage;

  explicit GemmMemory(const GemmPlan& plan) noexcept {
    const std::int64_t lanes = plan.panels * plan.width, rows = round_up(plan.row_block, plan.kernel.width);
    const auto bytes = [&](std::int64_t n, std::int64_t depths) {
      return round_up(GemmPlan::bytes_per_step(n) * plan.steps(depths), 64);
    };
    const std::int64_t sizes[] = {bytes(lanes, plan.depth_block), bytes(lanes, plan.problem.rank),
                                  plan.packs_a ? bytes(rows, plan.depth_block) : 0,
                                  plan.packs_u ? bytes(rows, plan.problem.rank) : 0,
                                  plan.sums_wait() ? plan.row_block * lanes * 4 : 0, kStageFloats * 4};
    std::int64_t total = 0;
    for (const std::int64_t size : sizes) total += size;
    char* at = static_cast<char*>(scratch(total));
    panels = at;
    if (at == nullptr) return;
    low_rank_panels = at += sizes[0];
    rows_a = at += sizes[1];
    rows_u = at += sizes[2];
    acc = reinterpret_cast<float*>(at += sizes[3]);
    stage = reinterpret_cast<float*>(at += sizes[4]);
  }
};

/// One chunk: a block of rows by a few panels of columns, over the whole depth or one slice of it.
class GemmChunk {
 public:
  GemmChunk(const GemmPlan& plan, const GemmMemory& memory, const RegionSums& slices, std::int64_t chunk) noexcept
      : plan_(plan), problem_(plan.problem), memory_(memory), slices_(slices), block_(plan.block(chunk)),
        slice_(chunk % plan.slices), row_(block_ / plan.column_chunks * plan.row_block),
        rows_(std::min(plan.row_block, problem_.rows - row_)),
        column_(block_ % plan.column_chunks * plan.panels * plan.width),
        columns_(std::min(plan.panels * plan.width, problem_.columns - column_)),
        first_depth_(slice_ * plan.slice_depth), last_depth_(std::min(first_depth_ + plan.slice_depth, problem_.depth)) {}

  void run() const noexcept {
    if (problem_.rank > 0) {
      lay_out(problem_.v, column_, columns_, plan_.width, 0, problem_.rank, memory_.low_rank_panels);
      if (plan_.packs_u) lay_out(problem_.u, row_, rows_, plan_.kernel.width, 0, problem_.rank, memory_.rows_u);
    }
    if (plan_.dots) return dot();
    std::int64_t depth = first_depth_;
    do {
      const std::int64_t depths = std::min(plan_.depth_block, last_depth_ - depth);
      const std::int64_t in_place = plan_.b_in_place() ? columns_ / plan_.width * plan_.width : 0;
      lay_out(problem_.b, column_ + in_place, columns_ - in_place, plan_.width, depth, depths, memory_.panels);
      if (plan_.packs_a) lay_out(problem_.a, row_, rows_, plan_.kernel.width, depth, depths, memory_.rows_a);
      multiply(depth, depths);
      depth += depths;
    } while (depth < last_depth_);
    if (plan_.sliced() && slices_.finishes(block_, plan_.slices)) add_slices();
  }

 private:
  /// Panels of `width` lanes one after the other, each filled piece by piece: a piece is what the stage can hold.
  void lay_out(const GemmOperand& o, std::int64_t lane, std::int64_t lanes, std::int64_t width, std::int64_t depth,
               std::int64_t depths, char* panels) const noexcept {
    const std::int64_t piece = o.across ? kStageFloats / kLongestBlock : kLongestBlock;
    const std::int64_t group = o.across ? kLongestBlock : width;
    for (std::int64_t first = 0; first < lanes; first += group)
      for (std::int64_t d = 0; d < depths; d += piece)
        lay_out_piece(o, lane, first, std::min(group, lanes - first), width, depth, d, std::min(piece, depths - d), depths,
                      panels);
  }

  void lay_out_piece(const GemmOperand& o, std::int64_t lane, std::int64_t first, std::int64_t lanes, std::int64_t width,
                     std::int64_t depth, std::int64_t d, std::int64_t count, std::int64_t depths,
                     char* panels) const noexcept {
    GemmOperand staged;
    bool is_staged = false;
    for (std::int64_t l = 0; l < lanes; l += width) {
      const std::int64_t used = std::min(width, lanes - l), narrow = plan_.panel_width(used);
      char* panel = panels + GemmPlan::bytes_per_step(first + l) * plan_.steps(depths) +
                    GemmPlan::bytes_per_step(narrow) * plan_.steps(d);
      if (!is_staged && plan_.kernel.fill({&o, lane + first + l, used, depth + d, count, narrow, panel})) continue;
      if (!is_staged) staged = stage(o, lane + first, lanes, depth + d, count);
      is_staged = true;
      plan_.kernel.fill({&staged, l, used, 0, count, narrow, panel});
    }
  }

  /// Decodes a block of a weight to dense f32.
  GemmOperand stage(const GemmOperand& o, std::int64_t lane, std::int64_t lanes, std::int64_t depth,
                    std::int64_t depths) const noexcept {
    const std::int64_t row = o.across ? depth : lane, rows = o.across ? depths : lanes;
    const std::int64_t column = o.across ? lane : depth, columns = o.across ? lanes : depths;
    const auto decode = weight_format_info(o.view.format).decode;
    for (std::int64_t r = 0; r < rows; ++r)
      decode(o.view, (row + r) * o.view.in() + column, columns, memory_.stage + r * columns);
    return {dense_weight(memory_.stage, rows, columns), columns, o.across};
  }

  void multiply(std::int64_t depth, std::int64_t depths) const noexcept {
    const bool packed = plan_.packs_a || plan_.packs_u;
    const std::int64_t height = packed ? plan_.kernel.width : rows_;
    for (std::int64_t c = 0; c < columns_; c += plan_.width)
      for (std::int64_t r = 0; r < rows_; r += height) {
        TileJob job;
        job.rows = std::min(height, rows_ - r), job.columns = std::min(plan_.width, columns_ - c);
        job.width = plan_.panel_width(job.columns);
        job.main = factor(problem_.a, plan_.packs_a, memory_.rows_a, r, job.rows, depth, depths);
        if (plan_.b_in_place() && job.columns == plan_.width) {
          job.main.panel = static_cast<const float*>(problem_.b.view.data) + depth * problem_.b.stride + column_ + c;
          job.main.panel_step = problem_.b.stride * 4;
        } else {
          job.main.panel = memory_.panels + (plan_.b_in_place() ? 0 : GemmPlan::bytes_per_step(c) * plan_.steps(depths));
          job.main.panel_step = GemmPlan::bytes_per_step(job.width);
        }
        if (depth == 0 && problem_.rank > 0) {
          job.low_rank = low_rank_factor(r, c, job);
          job.low_rank_scale = problem_.low_rank_scale;
        }
        job.resume = depth > first_depth_, job.finish = !plan_.sliced() && depth + depths == problem_.depth;
        if (plan_.sliced()) job.acc = sums(slice_) + c * plan_.row_block + r * job.width;
        else if (plan_.sums_wait()) job.acc = memory_.acc + c * plan_.row_block + r * job.width;
        job.out = finish_at(row_ + r, column_ + c);
        plan_.kernel.tile(job);
      }
  }

  /// The low-rank product as the tile makes it, the sums of the rest added, then a tile without steps finishes.
  void dot() const noexcept {
    TileJob job;
    job.rows = rows_, job.columns = columns_, job.width = plan_.panel_width(columns_);
    job.acc = memory_.acc, job.finish = false;
    if (problem_.rank > 0) job.low_rank = low_rank_factor(0, 0, job);
    job.low_rank_scale = problem_.low_rank_scale;
    plan_.kernel.tile(job);
    const std::int64_t size = 4 / plan_.kernel.pack;
    plan_.kernel.dot({&problem_.b, column_, columns_, problem_.depth,
                      static_cast<const char*>(problem_.a.view.data) + row_ * problem_.a.stride * size, problem_.a.stride * size,
                      rows_, memory_.acc, job.width});
    job.low_rank = {}, job.resume = job.finish = true, job.out = finish_at(row_, column_);
    plan_.kernel.tile(job);
  }

  float* sums(std::int64_t slice) const noexcept {
    return slices_.sums + (block_ * plan_.slices + slice) * plan_.block_floats();
  }

  /// In the order of the slices, into the first; then a tile without steps finishes.
  void add_slices() const noexcept {
    for (std::int64_t c = 0; c < columns_; c += plan_.width) {
      TileJob job;
      job.rows = rows_, job.columns = std::min(plan_.width, columns_ - c), job.width = plan_.panel_width(job.columns);
      job.resume = true, job.acc = sums(0) + c * plan_.row_block, job.out = finish_at(row_, column_ + c);
      for (std::int64_t slice = 1; slice < plan_.slices; ++slice) {
        const float* more = sums(slice) + c * plan_.row_block;
        for (std::int64_t i = 0; i < rows_ * job.width; ++i) job.acc[i] += more[i];
      }
      plan_.kernel.tile(job);
    }
  }

  GemmFactor factor(const GemmOperand& o, bool packed, const char* packed_rows, std::int64_t r, std::int64_t rows,
                    std::int64_t depth, std::int64_t depths) const noexcept {
    if (packed)
      return {packed_rows + GemmPlan::bytes_per_step(r) * plan_.steps(depths), 4,
              GemmPlan::bytes_per_step(plan_.panel_width(rows)), nullptr, 0, plan_.steps(depths)};
    const std::int64_t size = 4 / plan_.kernel.pack;  // read in place: the dtype is the kernel's
    return {static_cast<const char*>(o.view.data) + ((row_ + r) * o.stride + depth) * size, o.stride * size, 4, nullptr, 0,
            plan_.steps(depths)};
  }

  GemmFactor low_rank_factor(std::int64_t r, std::int64_t c, const TileJob& job) const noexcept {
    GemmFactor f = factor(problem_.u, plan_.packs_u, memory_.rows_u, r, job.rows, 0, problem_.rank);
    f.panel = memory_.low_rank_panels + GemmPlan::bytes_per_step(c) * plan_.steps(problem_.rank);
    f.panel_step = GemmPlan::bytes_per_step(job.width);
    return f;
  }

  GemmFinish finish_at(std::int64_t row, std::int64_t column) const noexcept {
    GemmFinish out = problem_.out;
    const std::int64_t size = out.bf16 ? 2 : 4;
    if (out.bias) out.bias += column;
    if (out.add) out.add = static_cast<const char*>(out.add) + (row * out.add_stride + column) * size;
    out.y = static_cast<char*>(out.y) + (row * out.y_stride + column) * size;
    return out;
  }

  const GemmPlan& plan_;
  const GemmProblem& problem_;
  const GemmMemory& memory_;
  const RegionSums& slices_;
  std::int64_t block_, slice_, row_, rows_, column_, columns_, first_depth_, last_depth_;
};

FTLIB_INLINE Status gemm(const GemmKernel& kernel, const GemmProblem& problem) noexcept {
  if (problem.rows == 0 || problem.columns == 0) return Status::ok;
  const GemmPlan plan(kernel, problem);
  RegionSums slices;
  if (plan.sliced() && !slices.take(plan.block_floats() * plan.chunks(), plan.blocks())) return Status::out_of_memory;
  std::atomic<bool> short_of_memory{false};
  ftlib::parallel_for(plan.chunks(), [&](std::int64_t chunk) {
    const GemmMemory memory(plan);
    if (memory.panels == nullptr) return short_of_memory.store(true, std::memory_order_relaxed);
    GemmChunk(plan, memory, slices, chunk).run();
  });
  return short_of_memory.load() ? Status::out_of_memory : Status::ok;
}

/// A tensor of rank 2 as an operand.
inline GemmOperand dense_operand(const ConstTensorView& v, bool across) noexcept {
  return {dense_weight(v.data, v.shape[0], v.shape[1], v.dtype), v.stride[0], across};
}

inline GemmFinish finish_into(const TensorView& y, const ConstTensorView& add) noexcept {
  GemmFinish out;
  out.y = y.data, out.y_stride = y.stride[0], out.bf16 = y.dtype == DType::bf16;
  out.add = add.data, out.add_stride = add.stride[0];
  return out;
}

inline void add_low_rank(GemmProblem& problem, const LowRankUpdate& update, bool across) noexcept {
  if (!update.u) return;
  problem.rank = update.u.shape[1], problem.low_rank_scale = update.scale;
  problem.u = dense_operand(update.u, false), problem.v = dense_operand(update.v, across);
}

FTLIB_INLINE Status gemm_matmul(const GemmKernel& kernel, const MatmulArgs& args) noexcept {
  GemmProblem problem;
  problem.rows = args.c.shape[0], problem.columns = args.c.shape[1], problem.depth = args.a.shape[args.transpose_a ? 0 : 1];
  problem.a = dense_operand(args.a, args.transpose_a), problem.b = dense_operand(args.b, !args.transpose_b);
  problem.out = finish_into(args.c, args.beta != 0 ? ConstTensorView(args.c) : ConstTensorView());
  problem.out.alpha = args.alpha, problem.out.beta = args.beta;
  return gemm(kernel, problem);
}

FTLIB_INLINE Status gemm_linear(const GemmKernel& kernel, const LinearArgs& args) noexcept {
  GemmProblem problem;
  problem.rows = args.x.shape[0], problem.columns = args.weight.out(), problem.depth = args.weight.in();
  problem.a = dense_operand(args.x, false), problem.b = {args.weight, args.weight.in(), false};
  add_low_rank(problem, args.low_rank, false);
  problem.out = finish_into(args.y, args.residual);
  problem.out.bias = data_as<float>(args.bias);
  return gemm(kernel, problem);
}

FTLIB_INLINE Status gemm_linear_backward(const GemmKernel& kernel, const LinearBackwardArgs& args) noexcept {
  GemmProblem problem;
  problem.rows = args.dy.shape[0], problem.columns = args.weight.in(), problem.depth = args.weight.out();
  problem.a = dense_operand(args.dy, false), problem.b = {args.weight, args.weight.in(), true};
  add_low_rank(problem, args.low_rank, true);
  problem.out = finish_into(args.dx, args.residual);
  return gemm(kernel, problem);
}

}  // namespace detail
}  // namespace ftlib
