// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <benchmark/benchmark.h>

#include <string>

#include "ftlib/core/tensor.h"
#include "ftlib/ops/backend.h"

namespace ftlib {

/// BM_op/backend/dtype and, if it has one, /shape: run(state, dtype) with each backend of this machine forced in turn.
/// The reference is left out: its definitions are slow on purpose.
template <class Run>
void add_benchmark(const std::string& op, const std::string& shape, Run run) {
  for (const KernelTable* backend : backends()) {
    if (!backend->available() || backend->name == "ref") continue;
    for (const DType dtype : {DType::bf16, DType::f32}) {
      const std::string name =
          concat("BM_", op, "/", backend->name, "/", dtype_name(dtype), shape.empty() ? "" : "/", shape);
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        force_backend(backend->name);
        run(state, dtype);
        force_backend("");
      });
    }
  }
}

}  // namespace ftlib
