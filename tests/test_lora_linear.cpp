// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include "ftlib/ops/lora_linear.h"
#include "gemm_data.h"
#include "oracle.h"

using namespace ftlib;
using namespace ftlib::test;

namespace {

/// What a linear with an adapter reads and writes. The gradients begin with numbers, since they are added to.
struct Layer {
  std::int64_t tokens, out, in, rank;
  float scale = 0.37f;
  RandomWeight weight;
  Matrix x, dropped, a, b, bias, residual, dy, u, y, du, d_a, d_b, dx;

  Layer(const cases::Linear& c, const WeightKind& kind, DType dtype)
      : tokens(c.tokens), out(c.out), in(c.in), rank(c.rank), weight(kind, out, in, 1),
        x(Matrix::random(tokens, in, dtype, 2, 3)), a(Matrix::random(rank, in, dtype, 4, 1)),
        b(Matrix::random(out, rank, dtype, 5, 2)), dy(Matrix::random(tokens, out, dtype, 8, 3)), u(tokens, rank, dtype),
        y(tokens, out, dtype, 2), du(tokens, rank, dtype, 1), d_a(Matrix::random(rank, in, DType::f32, 9)),
        d_b(Matrix::random(out, rank, DType::f32, 10)), dx(tokens, in, dtype, 1) {
    if (!c.extras) return;
    dropped = Matrix::random(tokens, in, dtype, 3, 1);
    bias = Matrix::random(1, out, DType::f32, 6), residual = Matrix::random(tokens, out, dtype, 7, 1);
  }

  const Matrix& seen() const { return dropped.rows() ? dropped : x; }
  static ConstTensorView optional(const Matrix& m) { return m.rows() ? m.view() : ConstTensorView(); }

  void forward() {
    const ConstTensorView biases = bias.rows() ? vector_view(optional(bias).data, out) : ConstTensorView();
    lora_linear({x.view(), weight.view(), biases, optional(dropped), a.view(), b.view(), scale, u.view(),
                 optional(residual), y.view()});
  }
  void backward() {
    lora_linear_backward({dy.view(), seen().view(), a.view(), b.view(), u.view(), scale, du.view(), d_a.view(),
                          d_b.view()});
    lora_linear_backward_input(dy.view(), weight.view(), du.view(), a.view(), dx.view());
  }
  std::vector<Doubles> results() const {
    return {u.values(), y.values(), du.values(), d_a.values(), d_b.values(), dx.values()};
  }

  /// results() by the definitions in double.
  std::vector<Doubles> expected() const {
    const std::vector<float> decoded = weight.decoded(x.dtype());
    const Doubles w(decoded.begin(), decoded.end()), A = a.values(), B = b.values(), X = x.values(), g = dy.values();
    const Doubles s = seen().values(), biases = bias.values(), residuals = residual.values();
    const auto zeros = [](std::int64_t count) { return Doubles(static_cast<std::size_t>(count)); };
    Doubles U = zeros(tokens * rank), Y = zeros(tokens * out), dU = U, dA = d_a.values(), dB = d_b.values();
    Doubles dX = zeros(tokens * in);
    const double by = scale;
    reference::matmul(s.data(), A.data(), U.data(), tokens, rank, in, false, true, 1.0, 0.0);
    reference::linear<double>({tokens, in, out, rank, w.data(), U.data(), B.data(), by}, X.data(),
                              bias.rows() ? biases.data() : nullptr, residual.rows() ? residuals.data() : nullptr,
                              Y.data());
    reference::matmul(g.data(), B.data(), dU.data(), tokens, rank, out, false, false, by, 0.0);
    reference::matmul(g.data(), U.data(), dB.data(), out, rank, tokens, true, false, by, 1.0);
    reference::matmul(dU.data(), s.data(), dA.data(), rank, in, tokens, true, false, 1.0, 1.0);
    reference::linear_backward<double>({tokens, in, out, rank, w.data(), dU.data(), A.data(), 1.0}, g.data(), nullptr,
                                       dX.data());
    return {U, Y, dU, dA, dB, dX};
  }
};

constexpr const char* kNames[] = {"u", "y", "du", "d_a", "d_b", "dx"};
const WeightKind kDense = {"f32", WeightFormat::f32}, kNf4 = {"nf4", WeightFormat::nf4, 64};

void check_layer(const cases::Linear& c, const WeightKind& kind, DType dtype) {
  const std::vector<Doubles> want = Layer(c, kind, dtype).expected();
  oracle::for_each_backend([&](const KernelTable& backend) {
    INFO(backend.name, " ", kind.name, " ", dtype_name(dtype), " T ", c.tokens, " N ", c.out, " K ", c.in, " R ",
         c.rank);
    const int before = threads();
    std::vector<Doubles> first;
    for (const int count : {1, 3}) {
      set_threads(count);
      Layer layer(c, kind, dtype);
      layer.forward();
      layer.backward();
      if (first.empty()) first = layer.results();
      else CHECK(layer.results() == first);
    }
    set_threads(before);
    for (std::size_t i = 0; i < want.size(); ++i) {
      INFO(kNames[i]);
      CHECK(oracle::relative_error(first[i], want[i]) <= oracle::tolerance(dtype));
    }
  });
}

}  // namespace

TEST_CASE("lora_linear and its backward pass equal the definitions in double on every backend") {
  for (const cases::Linear& c : cases::kLinears)
    for (const WeightKind& kind : {kDense, kNf4})
      for (const DType dtype : {DType::f32, DType::bf16})
        if (c.rank > 0) check_layer(c, kind, dtype);
}

TEST_CASE("lora_linear_backward is the derivative of lora_linear") {
  Layer layer({5, 7, 6, 2, false}, kDense, DType::f32);
  const Doubles w = [&] {
    const std::vector<float> decoded = layer.weight.decoded(DType::f32);
    return Doubles(decoded.begin(), decoded.end());
  }();
  Doubles x = layer.x.values(), a = layer.a.values(), b = layer.b.values();
  const Doubles g = layer.dy.values(), d_a = layer.d_a.values(), d_b = layer.d_b.values();
  const auto at = [](const Doubles& m, std::int64_t row, std::int64_t columns, std::int64_t column) {
    return m[static_cast<std::size_t>(row * columns + column)];
  };
  // sum over dy o (x W^T + scale * (x A^T) B^T), written out
  const auto objective = [&] {
    double sum = 0;
    for (std::int64_t t = 0; t < layer.tokens; ++t)
      for (std::int64_t n = 0; n < layer.out; ++n)
        for (std::int64_t k = 0; k < layer.in; ++k) {
          double weight = at(w, n, layer.in, k);
          for (std::int64_t r = 0; r < layer.rank; ++r)
            weight += double{layer.scale} * at(b, n, layer.rank, r) * at(a, r, layer.in, k);
          sum += at(g, t, layer.out, n) * weight * at(x, t, layer.in, k);
        }
    return sum;
  };
  const auto added = [](const Matrix& now, const Doubles& before) {
    Doubles gained = now.values();
    for (std::size_t i = 0; i < gained.size(); ++i) gained[i] -= before[i];
    return gained;
  };
  layer.forward();
  layer.backward();
  CHECK(oracle::relative_error(added(layer.d_a, d_a), oracle::central_differences(a, objective)) < 1e-5);
  CHECK(oracle::relative_error(added(layer.d_b, d_b), oracle::central_differences(b, objective)) < 1e-5);
  CHECK(oracle::relative_error(layer.dx.values(), oracle::central_differences(x, objective)) < 1e-5);
}

TEST_CASE("lora_linear refuses matrices that do not fit each other") {
  Layer layer({4, 6, 8, 2, false}, kDense, DType::f32);
  layer.b = Matrix::random(6, 3, DType::f32, 5);
  CHECK_THROWS_AS(layer.forward(), Error);
  CHECK_THROWS_AS(layer.backward(), Error);
}
