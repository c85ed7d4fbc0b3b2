// SPDX-License-Identifier: Apache-2.0
// Ops at the shapes that the tests prove them for (tests/cases.h) and at those of a 135 M model's step (4 segments of
// 512 tokens): BM_op/backend/dtype/shape. Rates: elementwise ops in bytes of their tensors, attention in FLOP over the
// pairs that it sees, per CPU second of the calling thread, which other programs disturb least; under `taskset -c 0`
// they are those of one core.
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "cases.h"
#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/ops/attention.h"
#include "ftlib/ops/convert.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/lora_linear.h"
#include "ftlib/ops/matmul.h"
#include "ftlib/ops/rms_norm.h"
#include "ftlib/ops/rope.h"
#include "ftlib/ops/swiglu.h"
#include "ftlib/optim/adamw.h"
#include "register.h"

using namespace ftlib;

namespace {

// Of the model's step.
constexpr cases::Matrix kStepMatrices[] = {{2048, 576}, {2048, 1536}}, kStepLogits[] = {{64, 49152}};
constexpr cases::HeadShape kStepHeads[] = {{2048, 9, 64}};
const std::vector<cases::Attention> kStepAttention = {{9, 3, 64, {512, 512, 512, 512}}};
constexpr cases::Linear kStepLinears[] = {{2048, 1536, 576, 16, false}};
// A yardstick: what the same machine makes of a square product in these minutes.
constexpr cases::Product kSquare[] = {{768, 768, 768}};

std::string name_of(const cases::Matrix& s) { return concat("T:", s.rows, "/D:", s.columns); }
std::string name_of(const cases::HeadShape& s) { return concat("T:", s.tokens, "/H:", s.heads, "/E:", s.head_dim); }
std::string name_of(const cases::Product& s) { return concat("M:", s.m, "/N:", s.n, "/K:", s.k); }
std::string name_of(const cases::Linear& s) { return concat("T:", s.tokens, "/N:", s.out, "/K:", s.in, "/R:", s.rank); }
std::int64_t tokens_of(const cases::Attention& s) {
  return std::accumulate(s.lengths.begin(), s.lengths.end(), std::int64_t{0});
}
std::string name_of(const cases::Attention& s) {
  return concat("T:", tokens_of(s), "/H:", s.heads, "/K:", s.kv_heads, "/E:", s.head_dim, "/segments:",
                s.lengths.size());
}

bool has_work(const cases::Matrix& s) { return s.rows > 0; }
bool has_work(const cases::HeadShape& s) { return s.tokens > 0; }
bool has_work(const cases::Product& s) { return s.m > 0 && s.k > 0; }
bool has_work(const cases::Linear& s) { return s.tokens > 0 && s.rank > 0; }
bool has_work(const cases::Attention& s) { return tokens_of(s) > 0; }

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

void bm_rms_norm(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor x(s.rows, s.columns, dtype), weight(1, s.columns, DType::f32), y(s.rows, s.columns, dtype);
  Tensor rstd(1, s.rows, DType::f32);
  for (auto _ : state) rms_norm({x.matrix(), weight.vector(), 1e-5f, y.matrix(), rstd.vector()});
  set_bytes(state, x.bytes() + y.bytes());
}

void bm_rms_norm_backward(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor x(s.rows, s.columns, dtype), weight(1, s.columns, DType::f32), rstd(1, s.rows, DType::f32);
  Tensor dy(s.rows, s.columns, dtype), residual(s.rows, s.columns, dtype), dx(s.rows, s.columns, dtype);
  for (auto _ : state)
    rms_norm_backward({x.matrix(), weight.vector(), rstd.vector(), dy.matrix(), residual.matrix(), dx.matrix()});
  set_bytes(state, 4 * x.bytes());
}

void bm_swiglu(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor gate(s.rows, s.columns, dtype), up(s.rows, s.columns, dtype), y(s.rows, s.columns, dtype);
  for (auto _ : state) swiglu({gate.matrix(), up.matrix(), y.matrix()});
  set_bytes(state, 3 * y.bytes());
}

void bm_swiglu_backward(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor gate(s.rows, s.columns, dtype), up(s.rows, s.columns, dtype), dy(s.rows, s.columns, dtype);
  Tensor d_gate(s.rows, s.columns, dtype), d_up(s.rows, s.columns, dtype);
  for (auto _ : state) swiglu_backward({gate.matrix(), up.matrix(), dy.matrix(), d_gate.matrix(), d_up.matrix()});
  set_bytes(state, 5 * dy.bytes());
}

void bm_rope(benchmark::State& state, DType dtype, const cases::HeadShape& s) {
  Tensor x(s.tokens, s.heads * s.head_dim, dtype);
  Tensor cosine(s.tokens, s.head_dim / 2, DType::f32), sine(s.tokens, s.head_dim / 2, DType::f32);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(s.tokens));
  std::iota(positions.begin(), positions.end(), 0);
  const auto at = vector_view<const void*>(positions.data(), s.tokens, DType::i32);
  for (auto _ : state) rope({x.heads(s.head_dim), at, cosine.matrix(), sine.matrix(), false});
  set_bytes(state, 2 * x.bytes());
}

void bm_convert(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor x(s.rows, s.columns, dtype), y(s.rows, s.columns, dtype == DType::f32 ? DType::bf16 : DType::f32);
  for (auto _ : state) convert({x.matrix(), y.matrix()});
  set_bytes(state, x.bytes() + y.bytes());
}

/// The yardstick of elementwise ops: a copy of the same size.
void bm_copy(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor x(s.rows, s.columns, dtype), y(s.rows, s.columns, dtype);
  for (auto _ : state) convert({x.matrix(), y.matrix()});
  set_bytes(state, 2 * x.bytes());
}

void bm_dropout(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor x(s.rows, s.columns, dtype);
  std::vector<std::int64_t> keys(static_cast<std::size_t>(s.rows), 7);
  for (auto _ : state)
    dropout({x.matrix(), vector_view<const void*>(keys.data(), s.rows, DType::i64), 1, 0.1f, x.matrix()});
  set_bytes(state, 2 * x.bytes());
}

/// With the gradient, as the head makes it: logits are read three times, written once.
void bm_cross_entropy(benchmark::State& state, DType dtype, const cases::Matrix& s) {
  Tensor logits(s.rows, s.columns, DType::f32), nll(1, s.rows, DType::f32), d(s.rows, s.columns, dtype);
  std::vector<std::int32_t> targets(static_cast<std::size_t>(s.rows));
  const auto wanted = vector_view<const void*>(targets.data(), s.rows, DType::i32);
  for (auto _ : state) cross_entropy({logits.matrix(), wanted, {}, 1, nll.vector(), d.matrix()});
  set_bytes(state, logits.bytes() + d.bytes());
}

struct Attention {
  std::int64_t tokens, head_dim;
  Tensor q, k, v, y, dy, dq, dk, dv, lse;
  std::vector<std::int32_t> offsets{0};
  double flop = 0;  ///< forward

  Attention(DType dtype, const cases::Attention& s)
      : tokens(tokens_of(s)), head_dim(s.head_dim), q(tokens, s.heads * head_dim, dtype),
        k(tokens, s.kv_heads * head_dim, dtype), v(tokens, s.kv_heads * head_dim, dtype),
        y(tokens, s.heads * head_dim, dtype), dy(tokens, s.heads * head_dim, dtype),
        dq(tokens, s.heads * head_dim, dtype), dk(tokens, s.kv_heads * head_dim, dtype),
        dv(tokens, s.kv_heads * head_dim, dtype), lse(s.heads, tokens, DType::f32) {
    for (const std::int32_t length : s.lengths) {
      offsets.push_back(offsets.back() + length);
      flop += 2.0 * length * (length + 1.0) * static_cast<double>(s.heads * head_dim);
    }
  }
  AttentionSegments segments() const {
    AttentionSegments s;
    s.q_offsets = offsets.data(), s.count = static_cast<std::int64_t>(offsets.size()) - 1;
    return s;
  }
  void forward() {
    attention({q.heads(head_dim), k.heads(head_dim), v.heads(head_dim), segments(), 0.125f, y.heads(head_dim),
               lse.matrix()});
  }
  void backward() {
    attention_backward({q.heads(head_dim), k.heads(head_dim), v.heads(head_dim), y.heads(head_dim), lse.matrix(),
                        dy.heads(head_dim), segments(), 0.125f, dq.heads(head_dim), dk.heads(head_dim),
                        dv.heads(head_dim)});
  }
};

void bm_attention(benchmark::State& state, DType dtype, const cases::Attention& s) {
  Attention a(dtype, s);
  for (auto _ : state) a.forward();
  set_flop(state, a.flop);
}

void bm_attention_backward(benchmark::State& state, DType dtype, const cases::Attention& s) {
  Attention a(dtype, s);
  a.forward();
  for (auto _ : state) a.backward();
  set_flop(state, 2.5 * a.flop);
}

/// One token of each of 32 sequences against 512 keys.
void bm_attention_decode(benchmark::State& state, DType dtype) {
  constexpr std::int64_t kSequences = 32, kKeys = 512, kWidth = 9 * 64, kKvWidth = 3 * 64;
  Tensor q(kSequences, kWidth, dtype), y(kSequences, kWidth, dtype);
  Tensor k(kSequences * kKeys, kKvWidth, dtype), v(kSequences * kKeys, kKvWidth, dtype);
  std::vector<std::int32_t> offsets(kSequences + 1), begin(kSequences), length(kSequences, kKeys);
  for (std::size_t s = 0; s < kSequences; ++s)
    offsets[s + 1] = static_cast<std::int32_t>(s + 1), begin[s] = static_cast<std::int32_t>(s * kKeys);
  AttentionArgs args;
  args.q = q.heads(64), args.k = k.heads(64), args.v = v.heads(64), args.y = y.heads(64);
  args.segments.q_offsets = offsets.data(), args.segments.count = kSequences, args.scale = 0.125f;
  args.segments.kv_begin = begin.data(), args.segments.kv_length = length.data();
  for (auto _ : state) attention(args);
  set_bytes(state, k.bytes() + v.bytes());
}

void bm_matmul(benchmark::State& state, DType dtype, const cases::Product& s) {
  Tensor a(s.m, s.k, dtype), b(s.n, s.k, dtype), c(s.m, s.n, dtype);
  for (auto _ : state) matmul({a.matrix(), b.matrix(), c.matrix(), false, true});
  set_flop(state, 2.0 * static_cast<double>(s.m * s.n * s.k));
}

/// A dense linear under an adapter.
struct LoraLinear {
  cases::Linear s;
  DType dtype;
  Tensor x{s.tokens, s.in, dtype}, weight{s.out, s.in, dtype}, a{s.rank, s.in, dtype}, b{s.out, s.rank, dtype};
  Tensor u{s.tokens, s.rank, dtype}, y{s.tokens, s.out, dtype}, du{s.tokens, s.rank, dtype};
  Tensor d_a{s.rank, s.in, DType::f32}, d_b{s.out, s.rank, DType::f32}, dx{s.tokens, s.in, dtype};

  WeightView frozen() { return dense_weight(weight.matrix().data, s.out, s.in, dtype); }
  void forward() { lora_linear({x.matrix(), frozen(), {}, {}, a.matrix(), b.matrix(), 2, u.matrix(), {}, y.matrix()}); }
  void backward() {
    lora_linear_backward({y.matrix(), x.matrix(), a.matrix(), b.matrix(), u.matrix(), 2, du.matrix(), d_a.matrix(),
                          d_b.matrix()});
    lora_linear_backward_input(y.matrix(), frozen(), du.matrix(), a.matrix(), dx.matrix());
  }
  /// Of the frozen product and of so many products with A and with B.
  double flop(int adapters) const {
    return 2.0 * static_cast<double>(s.tokens * (s.in * s.out + adapters * s.rank * (s.in + s.out)));
  }
};

void bm_lora_linear(benchmark::State& state, DType dtype, const cases::Linear& s) {
  LoraLinear layer{s, dtype};
  for (auto _ : state) layer.forward();
  set_flop(state, layer.flop(1));
}

void bm_lora_linear_backward(benchmark::State& state, DType dtype, const cases::Linear& s) {
  LoraLinear layer{s, dtype};
  layer.forward();
  for (auto _ : state) layer.backward();
  set_flop(state, layer.flop(2));
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

/// `run` at every shape of the tests' table and of the model's.
template <class Shape, class Tests, class Model>
void add(const char* op, void (*run)(benchmark::State&, DType, const Shape&), const Tests& tests, const Model& model) {
  const auto one = [&](const Shape& shape) {
    if (has_work(shape))
      add_benchmark(op, name_of(shape), [=](benchmark::State& state, DType dtype) { run(state, dtype, shape); });
  };
  for (const Shape& shape : tests) one(shape);
  for (const Shape& shape : model) one(shape);
}

const bool registered = [] {
  add("matmul", bm_matmul, cases::kProducts, kSquare);
  add("copy", bm_copy, cases::kMatrices, kStepMatrices);
  add("rms_norm", bm_rms_norm, cases::kMatrices, kStepMatrices);
  add("rms_norm_backward", bm_rms_norm_backward, cases::kMatrices, kStepMatrices);
  add("lora_linear", bm_lora_linear, cases::kLinears, kStepLinears);
  add("lora_linear_backward", bm_lora_linear_backward, cases::kLinears, kStepLinears);
  add("swiglu", bm_swiglu, cases::kMatrices, kStepMatrices);
  add("swiglu_backward", bm_swiglu_backward, cases::kMatrices, kStepMatrices);
  add("rope", bm_rope, cases::kHeadShapes, kStepHeads);
  add("convert", bm_convert, cases::kMatrices, kStepMatrices);
  add("dropout", bm_dropout, cases::kMatrices, kStepMatrices);
  add("cross_entropy", bm_cross_entropy, cases::kLogits, kStepLogits);
  add("attention", bm_attention, cases::kAttention, kStepAttention);
  add("attention_backward", bm_attention_backward, cases::kAttention, kStepAttention);
  add_benchmark("attention_decode", "", bm_attention_decode);
  benchmark::RegisterBenchmark("BM_adamw", bm_adamw);
  benchmark::RegisterBenchmark("BM_adamw_8bit", bm_adamw_8bit);
  benchmark::RegisterBenchmark("BM_global_norm", bm_global_norm);
  return true;
}();

}  // namespace
