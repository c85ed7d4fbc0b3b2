// SPDX-License-Identifier: Apache-2.0
// Ops at the shapes of a 135 M model's step (4 segments of 512 tokens), one line per backend and dtype:
// BM_op/backend/dtype. Rates: elementwise ops in bytes of their tensors, attention in FLOP over the pairs that it sees,
// per CPU second of the calling thread, which other programs disturb least; under `taskset -c 0` they are those of one core.
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/ops/attention.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/convert.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/lora_linear.h"
#include "ftlib/ops/matmul.h"
#include "ftlib/ops/nf4.h"
#include "ftlib/ops/rms_norm.h"
#include "ftlib/ops/rope.h"
#include "ftlib/ops/swiglu.h"
#include "ftlib/optim/adamw.h"

using namespace ftlib;

namespace {

constexpr std::int64_t kTokens = 2048, kHidden = 576, kFeedForward = 1536, kHeads = 9, kKvHeads = 3, kHeadDim = 64;
constexpr std::int64_t kVocabulary = 49152;

/// Memory of one tensor, filled with normal numbers.
class Tensor {
 public:
  Tensor(std::int64_t rows, std::int64_t columns, DType dtype)
      : rows_(rows), columns_(columns), dtype_(dtype), buffer_(rows * columns * dtype_bytes(dtype)) {
    Random random(static_cast<std::uint64_t>(columns));
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      const auto value = static_cast<float>(random.normal());
      if (dtype == DType::bf16) buffer_.as<bf16>()[i] = to_bf16(value);
      else if (dtype == DType::f32) buffer_.as<float>()[i] = value;
    }
  }
  TensorView matrix() { return matrix_view<void*>(buffer_.data(), rows_, columns_, dtype_); }
  TensorView vector() { return vector_view<void*>(buffer_.data(), rows_ * columns_, dtype_); }
  TensorView heads(std::int64_t dim) {
    return {buffer_.data(), {rows_, columns_ / dim, dim, 1}, {columns_, dim, 1, 0}, 3, dtype_, Device::cpu};
  }
  std::int64_t bytes() const { return buffer_.bytes(); }

 private:
  std::int64_t rows_, columns_;
  DType dtype_;
  Buffer buffer_;
};

void set_bytes(benchmark::State& state, std::int64_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
}
void set_flop(benchmark::State& state, double flop) {
  state.counters["FLOP/s"] =
      benchmark::Counter(flop * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void bm_rms_norm(benchmark::State& state, DType dtype) {
  Tensor x(kTokens, kHidden, dtype), weight(1, kHidden, DType::f32), y(kTokens, kHidden, dtype), rstd(1, kTokens, DType::f32);
  for (auto _ : state) rms_norm({x.matrix(), weight.vector(), 1e-5f, y.matrix(), rstd.vector()});
  set_bytes(state, x.bytes() + y.bytes());
}

void bm_rms_norm_backward(benchmark::State& state, DType dtype) {
  Tensor x(kTokens, kHidden, dtype), weight(1, kHidden, DType::f32), rstd(1, kTokens, DType::f32);
  Tensor dy(kTokens, kHidden, dtype), residual(kTokens, kHidden, dtype), dx(kTokens, kHidden, dtype);
  for (auto _ : state)
    rms_norm_backward({x.matrix(), weight.vector(), rstd.vector(), dy.matrix(), residual.matrix(), dx.matrix()});
  set_bytes(state, 4 * x.bytes());
}

void bm_swiglu(benchmark::State& state, DType dtype) {
  Tensor gate(kTokens, kFeedForward, dtype), up(kTokens, kFeedForward, dtype), y(kTokens, kFeedForward, dtype);
  for (auto _ : state) swiglu({gate.matrix(), up.matrix(), y.matrix()});
  set_bytes(state, 3 * y.bytes());
}

void bm_swiglu_backward(benchmark::State& state, DType dtype) {
  Tensor gate(kTokens, kFeedForward, dtype), up(kTokens, kFeedForward, dtype), dy(kTokens, kFeedForward, dtype);
  Tensor d_gate(kTokens, kFeedForward, dtype), d_up(kTokens, kFeedForward, dtype);
  for (auto _ : state) swiglu_backward({gate.matrix(), up.matrix(), dy.matrix(), d_gate.matrix(), d_up.matrix()});
  set_bytes(state, 5 * dy.bytes());
}

void bm_rope(benchmark::State& state, DType dtype) {
  Tensor x(kTokens, kHidden, dtype), cosine(kTokens, kHeadDim / 2, DType::f32), sine(kTokens, kHeadDim / 2, DType::f32);
  std::vector<std::int32_t> positions(kTokens);
  for (std::size_t t = 0; t < positions.size(); ++t) positions[t] = static_cast<std::int32_t>(t % 512);
  const auto at = vector_view<const void*>(positions.data(), kTokens, DType::i32);
  for (auto _ : state) rope({x.heads(kHeadDim), at, cosine.matrix(), sine.matrix(), false});
  set_bytes(state, 2 * x.bytes());
}

void bm_convert(benchmark::State& state, DType dtype) {
  Tensor x(kTokens, kHidden, dtype), y(kTokens, kHidden, dtype == DType::f32 ? DType::bf16 : DType::f32);
  for (auto _ : state) convert({x.matrix(), y.matrix()});
  set_bytes(state, x.bytes() + y.bytes());
}

void bm_dropout(benchmark::State& state, DType dtype) {
  Tensor x(kTokens, kHidden, dtype);
  std::vector<std::int64_t> keys(kTokens, 7);
  for (auto _ : state)
    dropout({x.matrix(), vector_view<const void*>(keys.data(), kTokens, DType::i64), 1, 0.1f, x.matrix()});
  set_bytes(state, 2 * x.bytes());
}

/// The gradient in place, as the head makes it: logits are read three times, written once.
void bm_cross_entropy(benchmark::State& state, DType dtype) {
  Tensor logits(64, kVocabulary, DType::f32), nll(1, 64, DType::f32), d(64, kVocabulary, dtype);
  std::vector<std::int32_t> targets(64, 11);
  for (auto _ : state)
    cross_entropy({logits.matrix(), vector_view<const void*>(targets.data(), 64, DType::i32), {}, 1, nll.vector(), d.matrix()});
  set_bytes(state, logits.bytes() + d.bytes());
}

struct Attention {
  Tensor q, k, v, y, dy, dq, dk, dv, lse{kHeads, kTokens, DType::f32};
  std::vector<std::int32_t> offsets;
  std::int64_t length;

  Attention(DType dtype, std::int64_t segment)
      : q(kTokens, kHidden, dtype), k(kTokens, kKvHeads * kHeadDim, dtype), v(kTokens, kKvHeads * kHeadDim, dtype),
        y(kTokens, kHidden, dtype), dy(kTokens, kHidden, dtype), dq(kTokens, kHidden, dtype),
        dk(kTokens, kKvHeads * kHeadDim, dtype), dv(kTokens, kKvHeads * kHeadDim, dtype), length(segment) {
    for (std::int64_t at = 0; at <= kTokens; at += segment) offsets.push_back(static_cast<std::int32_t>(at));
  }
  AttentionSegments segments() const {
    AttentionSegments s;
    s.q_offsets = offsets.data(), s.count = static_cast<std::int64_t>(offsets.size()) - 1;
    return s;
  }
  void forward() {
    attention({q.heads(kHeadDim), k.heads(kHeadDim), v.heads(kHeadDim), segments(), 0.125f, y.heads(kHeadDim), lse.matrix()});
  }
  void backward() {
    attention_backward({q.heads(kHeadDim), k.heads(kHeadDim), v.heads(kHeadDim), y.heads(kHeadDim), lse.matrix(),
                        dy.heads(kHeadDim), segments(), 0.125f, dq.heads(kHeadDim), dk.heads(kHeadDim),
                        dv.heads(kHeadDim)});
  }
  double flop() const { return 2.0 * static_cast<double>(kTokens * (length + 1) * kHidden); }
};

void bm_attention(benchmark::State& state, DType dtype) {
  Attention a(dtype, 512);
  for (auto _ : state) a.forward();
  set_flop(state, a.flop());
}

void bm_attention_backward(benchmark::State& state, DType dtype) {
  Attention a(dtype, 512);
  a.forward();
  for (auto _ : state) a.backward();
  set_flop(state, 2.5 * a.flop());
}

/// One token of each of 32 sequences against 512 keys.
void bm_attention_decode(benchmark::State& state, DType dtype) {
  constexpr std::int64_t kSequences = 32, kKeys = 512;
  Tensor q(kSequences, kHidden, dtype), y(kSequences, kHidden, dtype);
  Tensor k(kSequences * kKeys, kKvHeads * kHeadDim, dtype), v(kSequences * kKeys, kKvHeads * kHeadDim, dtype);
  std::vector<std::int32_t> offsets(kSequences + 1), begin(kSequences), length(kSequences, kKeys);
  for (std::size_t s = 0; s < kSequences; ++s)
    offsets[s + 1] = static_cast<std::int32_t>(s + 1), begin[s] = static_cast<std::int32_t>(s * kKeys);
  AttentionArgs args;
  args.q = q.heads(kHeadDim), args.k = k.heads(kHeadDim), args.v = v.heads(kHeadDim), args.y = y.heads(kHeadDim);
  args.segments.q_offsets = offsets.data(), args.segments.count = kSequences, args.scale = 0.125f;
  args.segments.kv_begin = begin.data(), args.segments.kv_length = length.data();
  for (auto _ : state) attention(args);
  set_bytes(state, k.bytes() + v.bytes());
}

/// The yardstick: what the same machine makes of a square product in these minutes.
void bm_matmul(benchmark::State& state, DType dtype) {
  constexpr std::int64_t kSize = 768;
  Tensor a(kSize, kSize, dtype), b(kSize, kSize, dtype), c(kSize, kSize, dtype);
  for (auto _ : state) matmul({a.matrix(), b.matrix(), c.matrix(), false, true});
  set_flop(state, 2.0 * kSize * kSize * kSize);
}

/// The up projection with an adapter of rank 16 on all linears.
struct LoraLinear {
  static constexpr std::int64_t kRank = 16;
  Tensor x, weight, a, b, u, y, du, d_a{kRank, kHidden, DType::f32}, d_b{kFeedForward, kRank, DType::f32}, dx;

  explicit LoraLinear(DType dtype)
      : x(kTokens, kHidden, dtype), weight(kFeedForward, kHidden, dtype), a(kRank, kHidden, dtype),
        b(kFeedForward, kRank, dtype), u(kTokens, kRank, dtype), y(kTokens, kFeedForward, dtype),
        du(kTokens, kRank, dtype), dx(kTokens, kHidden, dtype), dtype_(dtype) {}
  WeightView frozen() { return dense_weight(weight.matrix().data, kFeedForward, kHidden, dtype_); }
  void forward() { lora_linear({x.matrix(), frozen(), {}, {}, a.matrix(), b.matrix(), 2, u.matrix(), {}, y.matrix()}); }
  void backward() {
    lora_linear_backward({y.matrix(), x.matrix(), a.matrix(), b.matrix(), u.matrix(), 2, du.matrix(), d_a.matrix(),
                          d_b.matrix()});
    lora_linear_backward_input(y.matrix(), frozen(), du.matrix(), a.matrix(), dx.matrix());
  }
  /// Of the frozen product, and of one product with A and one with B.
  static constexpr double kFrozenFlop = 2.0 * kTokens * kHidden * kFeedForward;
  static constexpr double kAdapterFlop = 2.0 * kTokens * kRank * (kHidden + kFeedForward);

 private:
  DType dtype_;
};

void bm_lora_linear(benchmark::State& state, DType dtype) {
  LoraLinear layer(dtype);
  for (auto _ : state) layer.forward();
  set_flop(state, LoraLinear::kFrozenFlop + LoraLinear::kAdapterFlop);
}

void bm_lora_linear_backward(benchmark::State& state, DType dtype) {
  LoraLinear layer(dtype);
  layer.forward();
  for (auto _ : state) layer.backward();
  set_flop(state, LoraLinear::kFrozenFlop + 2 * LoraLinear::kAdapterFlop);
}

/// The yardstick of elementwise ops: a copy of the same size.
void bm_copy(benchmark::State& state, DType dtype) {
  Tensor x(kTokens, kFeedForward, dtype), y(kTokens, kFeedForward, dtype);
  for (auto _ : state) convert({x.matrix(), y.matrix()});
  set_bytes(state, 2 * x.bytes());
}

/// An NF4 block of a weight that stays in a second-level cache, on one core.
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
                  vector_view<void*>(codes.data(), kElements / 2, DType::u8), vector_view<void*>(absmax.data(), kElements / 64)});
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

constexpr std::int64_t kParameters = 4'884'480;  // rank 16 on all linears of the 135 M model

void bm_adamw(benchmark::State& state) {
  Tensor p(1, kParameters, DType::f32), g(1, kParameters, DType::f32), m(1, kParameters, DType::f32);
  Buffer v(kParameters * 4);
  const AdamWTensor tensors[] = {{data_as<float>(p.vector()), data_as<float>(g.vector()), data_as<float>(m.vector()),
                                  v.as<float>(), kParameters}};
  std::int64_t step = 0;
  for (auto _ : state) adamw_step(tensors, {}, ++step);
  set_bytes(state, 7 * p.bytes());
}

void bm_adamw_8bit(benchmark::State& state) {
  Tensor p(1, kParameters, DType::f32), g(1, kParameters, DType::f32);
  Buffer m(kParameters), v(kParameters), m_absmax(kParameters / 64 + 4), v_absmax(kParameters / 64 + 4);
  const AdamW8bitTensor tensors[] = {{data_as<float>(p.vector()), data_as<float>(g.vector()), m.as<std::uint8_t>(),
                                      v.as<std::uint8_t>(), m_absmax.as<float>(), v_absmax.as<float>(), kParameters}};
  std::int64_t step = 0;
  for (auto _ : state) adamw_8bit_step(tensors, {}, ++step);
  set_bytes(state, 3 * p.bytes() + 4 * kParameters);
}

void bm_global_norm(benchmark::State& state) {
  Tensor g(1, kParameters, DType::f32);
  const std::span<const float> all[] = {{data_as<float>(g.vector()), static_cast<std::size_t>(kParameters)}};
  for (auto _ : state) benchmark::DoNotOptimize(global_norm(all));
  set_bytes(state, g.bytes());
}

struct Entry {
  const char* op;
  void (*run)(benchmark::State&, DType);
};
constexpr Entry kOps[] = {
    {"matmul", bm_matmul}, {"copy", bm_copy}, {"rms_norm", bm_rms_norm}, {"rms_norm_backward", bm_rms_norm_backward},
    {"lora_linear", bm_lora_linear}, {"lora_linear_backward", bm_lora_linear_backward},
    {"swiglu", bm_swiglu}, {"swiglu_backward", bm_swiglu_backward}, {"rope", bm_rope}, {"convert", bm_convert},
    {"dropout", bm_dropout}, {"cross_entropy", bm_cross_entropy}, {"attention", bm_attention},
    {"attention_backward", bm_attention_backward}, {"attention_decode", bm_attention_decode},
    {"nf4_quantize", bm_nf4_quantize}, {"nf4_dequantize", bm_nf4_dequantize}};

const bool registered = [] {
  for (const Entry& entry : kOps)
    for (const KernelTable* backend : backends()) {
      if (!backend->available() || backend->name == "ref") continue;  // the definitions are slow on purpose
      for (const DType dtype : {DType::bf16, DType::f32})
        benchmark::RegisterBenchmark(concat("BM_", entry.op, "/", backend->name, "/", dtype_name(dtype)).c_str(),
                                     [entry, backend, dtype](benchmark::State& state) {
                                       force_backend(backend->name);
                                       entry.run(state, dtype);
                                       force_backend("");
                                     });
    }
  benchmark::RegisterBenchmark("BM_adamw", bm_adamw);
  benchmark::RegisterBenchmark("BM_adamw_8bit", bm_adamw_8bit);
  benchmark::RegisterBenchmark("BM_global_norm", bm_global_norm);
  return true;
}();

}  // namespace
