// SPDX-License-Identifier: Apache-2.0
// NF4 on a block of a weight that stays in a second-level cache, on one core, in elements a second.
#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/ops/nf4.h"
#include "register.h"

using namespace ftlib;

namespace {

struct Nf4Block {
  static constexpr std::int64_t kElements = 128 << 10;
  Buffer values{kElements * 4}, codes{kElements / 2}, absmax{kElements / 64 * 4}, out{kElements * 4};
  DType dtype;

  explicit Nf4Block(DType type) : dtype(type) {
    Random random(3);
    for (std::int64_t i = 0; i < kElements; ++i) values.as<float>()[i] = static_cast<float>(random.normal());
    set_threads(1);
    quantize();
  }
  ~Nf4Block() { set_threads(threads_); }
  void quantize() {
    nf4_quantize({vector_view<const void*>(values.data(), kElements), 64,
                  vector_view<void*>(codes.data(), kElements / 2, DType::u8),
                  vector_view<void*>(absmax.data(), kElements / 64)});
  }
  void dequantize() {
    WeightView weight;
    weight.format = WeightFormat::nf4, weight.block_size = 64, weight.shape[0] = 1, weight.shape[1] = kElements;
    weight.data = codes.data(), weight.scales = absmax.data();
    nf4_dequantize({weight, vector_view<void*>(out.data(), kElements, dtype)});
  }
  void report(benchmark::State& state) const {
    state.counters["elem/s"] = benchmark::Counter(static_cast<double>(state.iterations()) * double{kElements},
                                                  benchmark::Counter::kIsRate);
  }

 private:
  int threads_ = threads();
};

void bm_nf4_quantize(benchmark::State& state, DType dtype) {
  Nf4Block block(dtype);
  for (auto _ : state) block.quantize();
  block.report(state);
}

void bm_nf4_dequantize(benchmark::State& state, DType dtype) {
  Nf4Block block(dtype);
  for (auto _ : state) block.dequantize();
  block.report(state);
}

using Register = float __attribute__((vector_size(64), may_alias));

/// Reads the codes and writes each register of them `times` times, as wide as the CPU does.
__attribute__((target_clones("default", "avx2", "avx512f"))) void copy_codes(Nf4Block& block, std::int64_t times) {
  const auto* codes = block.codes.as<Register>();
  auto* out = block.out.as<Register>();
  constexpr auto kRegisters = Nf4Block::kElements / 2 / std::int64_t{sizeof(Register)};
  for (std::int64_t at = 0; at < kRegisters; ++at)
    for (std::int64_t i = 0; i < times; ++i) *out++ = codes[at];
}

/// The ceiling of nf4_dequantize: its codes read and as much written as it writes, with nothing computed.
void bm_nf4_copy(benchmark::State& state, DType dtype) {
  Nf4Block block(dtype);
  for (auto _ : state) {
    copy_codes(block, 2 * dtype_bytes(dtype));  // a byte of codes is two values
    benchmark::ClobberMemory();
  }
  block.report(state);
}

const bool registered = [] {
  add_benchmark("nf4_quantize", "", bm_nf4_quantize);
  add_benchmark("nf4_dequantize", "", bm_nf4_dequantize);
  add_benchmark("nf4_copy", "", bm_nf4_copy);
  return true;
}();

}  // namespace
