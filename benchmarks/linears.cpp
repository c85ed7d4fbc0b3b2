// SPDX-License-Identifier: Apache-2.0
// linear and linear_backward over every weight format, at the shapes that the tests prove them for (tests/cases.h) and at
// those of three models: BM_linear/backend/dtype/format/T:tokens/N:out/K:in/R:rank, in FLOP/s of wall time on all threads.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "cases.h"
#include "ftlib/core/parallel.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/linear.h"
#include "gemm_data.h"

namespace {

using namespace ftlib;

constexpr cases::Linear kModels[] = {{1024, 1536, 576, 16, false},  {1024, 576, 1536, 16, false},
                                     {1024, 8192, 2048, 16, false}, {1024, 2048, 8192, 16, false},
                                     {1024, 4096, 4096, 16, false}, {1024, 11008, 4096, 16, false}};

struct Product {
  const KernelTable* backend;
  DType dtype;
  const test::WeightKind* kind;
  cases::Linear shape;
  bool backward;

  std::string name() const {
    std::string text = concat("BM_linear", backward ? "_backward" : "", "/", backend->name, "/", dtype_name(dtype), "/",
                              kind->name, "/T:", shape.tokens, "/N:", shape.out, "/K:", shape.in, "/R:", shape.rank);
    std::ranges::replace(text, ' ', '_');
    return text;
  }

  void run(benchmark::State& state) const {
    const test::RandomWeight weight(*kind, shape.out, shape.in, 1);
    auto x = test::Matrix::random(shape.tokens, shape.in, dtype, 2), y = test::Matrix::random(shape.tokens, shape.out, dtype, 3);
    const std::int64_t rank = shape.rank;
    const auto u = test::Matrix::random(shape.tokens, rank, dtype, 4);
    const auto v = backward ? test::Matrix::random(rank, shape.in, dtype, 5) : test::Matrix::random(shape.out, rank, dtype, 5);
    LowRankUpdate update;
    if (rank > 0) update = {u.view(), v.view(), 2};
    force_backend(backend->name);
    for (auto _ : state) {
      if (backward) linear_backward({y.view(), weight.view(), update, {}, x.view()});
      else linear({x.view(), weight.view(), {}, update, {}, y.view()});
    }
    force_backend("");
    const auto columns = static_cast<double>(backward ? shape.in : shape.out);
    const double flop = 2 * static_cast<double>(shape.tokens) *
                        (static_cast<double>(shape.out) * static_cast<double>(shape.in) + static_cast<double>(rank) * columns);
    state.counters["FLOP/s"] =
        benchmark::Counter(flop * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  }
};

void add(const Product& product) {
  benchmark::RegisterBenchmark(product.name().c_str(), [product](benchmark::State& state) { product.run(state); })
      ->UseRealTime();
}

void add_shape(const cases::Linear& shape) {
  for (const KernelTable* backend : backends()) {
    if (!backend->available() || backend->name == "ref") continue;  // the definitions are slow on purpose
    for (const DType dtype : {DType::bf16, DType::f32})
      for (const test::WeightKind& kind : test::kWeightKinds)
        for (const bool backward : {false, true})
          if (test::RandomWeight::exists(kind, shape.in)) add({backend, dtype, &kind, shape, backward});
  }
}

const bool registered = [] {
  for (const cases::Linear& shape : cases::kLinears)
    if (shape.tokens > 0) add_shape(shape);
  for (const cases::Linear& shape : kModels) add_shape(shape);
  return true;
}();

}  // namespace
