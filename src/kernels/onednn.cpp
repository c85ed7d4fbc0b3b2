// SPDX-License-Identifier: Apache-2.0
// Dense products by oneDNN: the only file that knows it. Written for the API of 2.6, which Debian ships, and that of 3.x.
// Every chunk runs on its own pool thread with oneDNN's OpenMP set to one thread, so that no OpenMP team ever starts.
#include <dnnl.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "ftlib/core/parallel.h"
#include "ftlib/core/scratch.h"
#include "ftlib/ops/matmul.h"
#include "kernels/backends.h"

extern "C" void omp_set_num_threads(int);
extern "C" int omp_get_max_threads();

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

using dnnl::memory;

/// The calling thread's setting is the host's: it comes back.
class OneOpenMpThread {
 public:
  OneOpenMpThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  int before_;
};

/// What a primitive is made for. Strides are in elements; 1 marks the contiguous axis.
struct Shape {
  std::int64_t m, n, k, a_row, a_column, b_row, b_column, c_row;
  DType in, out;
  float beta;
  bool operator==(const Shape&) const = default;
};

memory::data_type type_of(DType dtype) {
  return dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

struct Product {
  Shape shape;
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;
};

/// Engine and products of the process; never destroyed, since oneDNN's own statics may be gone by then.
class Library {
 public:
  static Library& instance() {
    static Library* library = new Library;
    return *library;
  }
  const dnnl::engine& engine() const { return engine_; }

  std::shared_ptr<const Product> product(const Shape& shape) {
    const std::lock_guard lock(mutex_);
    for (const auto& known : products_)
      if (known->shape == shape) return known;
    auto made = std::make_shared<const Product>(make(shape));
    if (products_.size() < kMostProducts) products_.push_back(made);
    else products_[oldest_++ % kMostProducts] = made;
    return made;
  }

 private:
  static constexpr std::size_t kMostProducts = 128;

  Library() { dnnl_set_verbose(0); }

  Product make(const Shape& s) const {
    const memory::desc a({s.m, s.k}, type_of(s.in), {s.a_row, s.a_column});
    const memory::desc b({s.k, s.n}, type_of(s.in), {s.b_row, s.b_column});
    const memory::desc c({s.m, s.n}, type_of(s.out), {s.c_row, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (s.beta != 0) {
      dnnl::post_ops sum;
      sum.append_sum(s.beta);
      attributes.set_post_ops(sum);
    }
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc description(engine_, a, b, c, attributes);
#else
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine_);
#endif
    FT_CHECK(!std::string_view(description.impl_info_str()).starts_with("ref"), unsupported, "[onednn] plain loops");
    return {s, description, dnnl::matmul(description)};
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Product>> products_;
  std::size_t oldest_ = 0;
};

/// Blocks of rows where there are many, else of columns; the last of each may be shorter, so up to four products.
struct Grid {
  Shape whole;
  std::int64_t rows, columns, down, across;
  std::shared_ptr<const Product> products[2][2];  ///< [last row of blocks][last column of blocks]

  explicit Grid(const Shape& shape) : whole(shape) {
    rows = shape.m > 256 ? 256 : shape.m, columns = shape.m > 256 ? shape.n : std::min<std::int64_t>(shape.n, 128);
    down = (shape.m + rows - 1) / rows, across = (shape.n + columns - 1) / columns;
    for (const bool last_row : {false, true})
      for (const bool last_column : {false, true}) {
        if ((down == 1 && !last_row) || (across == 1 && !last_column)) continue;
        Shape block = shape;
        block.m = last_row ? shape.m - (down - 1) * rows : rows;
        block.n = last_column ? shape.n - (across - 1) * columns : columns;
        products[last_row][last_column] = Library::instance().product(block);
      }
  }
};

void execute(const Product& product, const char* a, const char* b, char* c) {
  const dnnl::engine& engine = Library::instance().engine();
  static thread_local dnnl::stream stream(engine);
  const auto& d = product.description;
  void* workspace = scratch(static_cast<std::int64_t>(d.scratchpad_desc().get_size()));
  if (workspace == nullptr) throw std::bad_alloc();
  const OneOpenMpThread one;
  product.primitive.execute(stream, {{DNNL_ARG_SRC, memory(d.src_desc(), engine, const_cast<char*>(a))},
                                     {DNNL_ARG_WEIGHTS, memory(d.weights_desc(), engine, const_cast<char*>(b))},
                                     {DNNL_ARG_DST, memory(d.dst_desc(), engine, c)},
                                     {DNNL_ARG_SCRATCHPAD, memory(d.scratchpad_desc(), engine, workspace)}});
  stream.wait();
}

/// Nothing has been written yet when the products are made: a refusal there leaves c to the next backend.
Status run_grid(const MatmulArgs& args, const Grid& grid) noexcept {
  const Shape& s = grid.whole;
  const std::int64_t in = dtype_bytes(s.in), out = dtype_bytes(s.out);
  std::atomic<Status> worst{Status::ok};
  ftlib::parallel_for(grid.down * grid.across, [&](std::int64_t chunk) {
    const std::int64_t i = chunk / grid.across, j = chunk % grid.across, row = i * grid.rows, column = j * grid.columns;
    try {
      execute(*grid.products[i + 1 == grid.down][j + 1 == grid.across],
              static_cast<const char*>(args.a.data) + row * s.a_row * in,
              static_cast<const char*>(args.b.data) + column * s.b_column * in,
              static_cast<char*>(args.c.data) + (row * s.c_row + column) * out);
    } catch (const std::bad_alloc&) {
      worst.store(Status::out_of_memory, std::memory_order_relaxed);
    } catch (...) {
      worst.store(Status::internal, std::memory_order_relaxed);
    }
  });
  return worst.load();
}

Status onednn_matmul(const MatmulArgs& args) noexcept {
  const std::int64_t m = args.c.shape[0], n = args.c.shape[1], k = args.a.shape[args.transpose_a ? 0 : 1];
  if (args.alpha != 1 || m == 0 || n == 0 || k == 0) return Status::unsupported;
  const std::int64_t a_stride = args.a.stride[0], b_stride = args.b.stride[0];
  const Shape shape{m, n, k,
                    args.transpose_a ? 1 : a_stride, args.transpose_a ? a_stride : 1,
                    args.transpose_b ? 1 : b_stride, args.transpose_b ? b_stride : 1,
                    args.c.stride[0], args.a.dtype, args.c.dtype, args.beta};
  try {
    return run_grid(args, Grid(shape));
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  } catch (...) {
    return Status::unsupported;  // bf16 on a CPU without AVX-512, mostly
  }
}

bool always() noexcept { return true; }

constexpr KernelTable kTable{
    .name = "onednn",
    .available = always,
    .matmul = onednn_matmul,
};

}  // namespace

const KernelTable& onednn_backend() noexcept { return kTable; }

}  // namespace kernels
}  // namespace ftlib
