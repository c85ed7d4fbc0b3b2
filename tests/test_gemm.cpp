// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstring>

#include "cases.h"
#include "ftlib/core/parallel.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/linear.h"
#include "ftlib/ops/matmul.h"
#include "gemm_data.h"

using namespace ftlib;
using namespace ftlib::test;

namespace {

struct Types {
  DType in, out;
};
constexpr Types kTypes[] = {{DType::f32, DType::f32}, {DType::bf16, DType::bf16}, {DType::bf16, DType::f32}};

Doubles absolute(Doubles values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

/// f32 sums err by a small multiple of the sum of magnitudes; a bf16 result by half a unit of its last place more.
double worst_error(const Matrix& got, const Doubles& want, const Doubles& magnitude) {
  double worst = 0;
  const double rounding = got.dtype() == DType::bf16 ? 0x1p-8 : 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / got.columns(), column = static_cast<std::int64_t>(i) % got.columns();
    const double allowed = 1e-30 + 2e-6 * magnitude[i] + rounding * std::abs(want[i]);
    const double error = std::abs(got.at(row, column) - want[i]) / allowed;
    if (!(error <= worst)) worst = error;  // NaN is the worst
  }
  return worst;
}

/// Everything that one linear, forward or backward, reads.
struct LinearData {
  bool backward;
  std::int64_t rows, depth, columns;
  RandomWeight weight;
  Matrix x, u, v, bias, residual;
  float scale = 0.37f;

  LinearData(const cases::Linear& c, const WeightKind& kind, Types types, bool is_backward, std::int64_t gap = 3)
      : backward(is_backward), rows(c.tokens), depth(backward ? c.out : c.in), columns(backward ? c.in : c.out),
        weight(kind, c.out, c.in, 1), x(Matrix::random(rows, depth, types.in, 2, gap)) {
    if (c.rank > 0) {
      u = Matrix::random(rows, c.rank, types.in, 3, gap);
      v = backward ? Matrix::random(c.rank, columns, types.in, 4, gap) : Matrix::random(columns, c.rank, types.in, 4, gap);
    }
    if (c.extras && !backward) bias = Matrix::random(1, columns, DType::f32, 5);
    if (c.extras) residual = Matrix::random(rows, columns, types.out, 6, gap);
  }

  LowRankUpdate low_rank() const {
    LowRankUpdate update;
    if (u.rows() > 0) update = {u.view(), v.view(), scale};
    return update;
  }
  ConstTensorView bias_view() const {
    return bias.rows() ? vector_view(bias.view().data, columns) : ConstTensorView();
  }
  ConstTensorView residual_view() const { return residual.rows() ? residual.view() : ConstTensorView(); }
  LinearArgs forward_args(const TensorView& y) const {
    return {x.view(), weight.view(), bias_view(), low_rank(), residual_view(), y};
  }
  LinearBackwardArgs backward_args(const TensorView& dx) const {
    return {x.view(), weight.view(), low_rank(), residual_view(), dx};
  }
  Status run(const KernelTable& backend, const TensorView& y) const {
    return backward ? backend.linear_backward(backward_args(y)) : backend.linear(forward_args(y));
  }

  /// The definition in double; of magnitudes where `magnitudes` is set.
  Doubles expected(bool magnitudes) const {
    const auto values = [&](Doubles v2) { return magnitudes ? absolute(std::move(v2)) : v2; };
    const std::vector<float> decoded = weight.decoded(x.dtype());
    const Doubles w = values({decoded.begin(), decoded.end()}), xs = values(x.values()), us = values(u.values());
    const Doubles vs = values(v.values()), biases = values(bias.values()), residuals = values(residual.values());
    const reference::Linear<double> l{rows, weight.view().in(), weight.view().out(), u.columns(), w.data(), us.data(),
                                      vs.data(), scale};
    Doubles y(static_cast<std::size_t>(rows * columns));
    const double* add = residual.rows() ? residuals.data() : nullptr;
    if (backward) reference::linear_backward(l, xs.data(), add, y.data());
    else reference::linear(l, xs.data(), bias.rows() ? biases.data() : nullptr, add, y.data());
    return y;
  }
};

void check_linear_values(bool backward) {
  for (const cases::Linear& c : cases::kLinears)
    for (const WeightKind& kind : kWeightKinds)
      for (const Types types : kTypes) {
        if (!RandomWeight::exists(kind, c.in)) continue;
        const LinearData data(c, kind, types, backward);
        const Doubles want = data.expected(false), magnitude = data.expected(true);
        for (const KernelTable* backend : backends()) {
          if (!backend->available() || backend->linear == nullptr) continue;
          Matrix y(data.rows, data.columns, types.out, 5);
          const Status status = data.run(*backend, y.view());
          if (status == Status::unsupported) continue;
          INFO(backend->name, " ", kind.name, " ", dtype_name(types.in), " to ", dtype_name(types.out), " T ", c.tokens,
               " N ", c.out, " K ", c.in, " R ", c.rank);
          CHECK(status == Status::ok);
          CHECK(worst_error(y, want, magnitude) <= 1);
        }
      }
}

/// The bytes of a result with the gaps after its rows.
template <class Run>
std::vector<float> bits(std::int64_t rows, std::int64_t columns, DType dtype, const Run& run) {
  Matrix y(rows, columns, dtype);
  REQUIRE(run(y.view()) == Status::ok);
  const Doubles values = y.values();
  return {values.begin(), values.end()};
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const KernelTable* available(std::string_view name) {
  for (const KernelTable* backend : backends())
    if (backend->name == name && backend->available()) return backend;
  return nullptr;
}

}  // namespace

TEST_CASE("linear equals its definition in double for every backend, dtype and weight format") {
  check_linear_values(false);
}

TEST_CASE("linear_backward equals its definition in double for every backend, dtype and weight format") {
  check_linear_values(true);
}

TEST_CASE("matmul equals its definition in double for every backend, dtype, transposition and scale") {
  for (const cases::Product& c : cases::kProducts)
    for (const Types types : kTypes)
      for (const int how : {0, 1, 2, 3}) {
        const bool transpose_a = how & 1, transpose_b = how & 2;
        const float alpha = how == 0 ? 1.0f : 0.3f, beta = how == 1 ? -1.7f : how == 2 ? 1.0f : 0.0f;
        const Matrix a = transpose_a ? Matrix::random(c.k, c.m, types.in, 1, 2) : Matrix::random(c.m, c.k, types.in, 1, 2);
        const Matrix b = transpose_b ? Matrix::random(c.n, c.k, types.in, 2, 1) : Matrix::random(c.k, c.n, types.in, 2, 1);
        const Matrix before = Matrix::random(c.m, c.n, types.out, 3, 4);
        const auto expected = [&](const Doubles& as, const Doubles& bs, Doubles cs, double first, double second) {
          reference::matmul(as.data(), bs.data(), cs.data(), c.m, c.n, c.k, transpose_a, transpose_b, first, second);
          return cs;
        };
        const Doubles want = expected(a.values(), b.values(), before.values(), alpha, beta);
        const Doubles magnitude = expected(absolute(a.values()), absolute(b.values()), absolute(before.values()),
                                           std::abs(alpha), std::abs(beta));
        for (const KernelTable* backend : backends()) {
          if (!backend->available() || backend->matmul == nullptr) continue;
          Matrix y = beta != 0 ? before : Matrix(c.m, c.n, types.out, 4);
          const Status status = backend->matmul({a.view(), b.view(), y.view(), transpose_a, transpose_b, alpha, beta});
          if (status == Status::unsupported) continue;
          INFO(backend->name, " ", dtype_name(types.in), " to ", dtype_name(types.out), " M ", c.m, " N ", c.n, " K ", c.k,
               " how ", how);
          CHECK(status == Status::ok);
          CHECK(worst_error(y, want, magnitude) <= 1);
        }
      }
}

TEST_CASE("linear_backward is the derivative of linear, through the weight and through the low-rank update") {
  const std::int64_t tokens = 3, in = 7, out = 5, rank = 2;
  const float scale = 0.6f;
  const auto random = [](std::int64_t n, std::uint64_t stream) { return Matrix::random(1, n, DType::f32, stream).values(); };
  const Doubles w = random(out * in, 1), a = random(rank * in, 2), b = random(out * rank, 3), dy = random(tokens * out, 4);
  Doubles x = random(tokens * in, 5);
  const auto loss = [&] {
    Doubles u(static_cast<std::size_t>(tokens * rank)), y(static_cast<std::size_t>(tokens * out));
    reference::matmul<double>(x.data(), a.data(), u.data(), tokens, rank, in, false, true, 1, 0);
    reference::linear<double>({tokens, in, out, rank, w.data(), u.data(), b.data(), scale}, x.data(), nullptr, x.data(),
                              y.data());
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * dy[i];
    return sum;
  };
  Doubles du(static_cast<std::size_t>(tokens * rank)), dx(x.size());
  reference::matmul<double>(dy.data(), b.data(), du.data(), tokens, rank, out, false, false, 1, 0);
  reference::linear_backward<double>({tokens, in, out, rank, w.data(), du.data(), a.data(), scale}, dy.data(), nullptr,
                                     dx.data());
  for (std::size_t i = 0; i < static_cast<std::size_t>(tokens * out); ++i) dx[i] += dy[i];  // x was the residual too
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i], h = 1e-4;
    x[i] = kept + h;
    const double above = loss();
    x[i] = kept - h;
    const double below = loss();
    x[i] = kept;
    CHECK((above - below) / (2 * h) == doctest::Approx(dx[i]).epsilon(1e-8));
  }
}

TEST_CASE("products have the same bits for one, two and three threads") {
  const int before = threads();
  for (const KernelTable* backend : backends()) {
    if (!backend->available() || backend->linear == nullptr) continue;
    CAPTURE(backend->name);
    for (const Types types : kTypes)
      for (const cases::Linear& c : {cases::Linear{300, 100, 64, 2, true}, cases::Linear{7, 700, 2304, 3, true}})
        for (const bool backward : {false, true}) {
          const LinearData data(c, kWeightKinds[8], types, backward);
          std::vector<float> first;
          for (const int count : {1, 2, 3}) {
            set_threads(count);
            const auto now = bits(data.rows, data.columns, types.out, [&](const TensorView& y) { return data.run(*backend, y); });
            if (count == 1) first = now;
            CHECK(same(now, first));
          }
        }
  }
  set_threads(before);
}

TEST_CASE("a row has the same bits alone, in a batch, and with other strides") {
  for (const std::string name : {"avx512bf16", "avx2", "ref"}) {
    const KernelTable* backend = available(name);
    if (backend == nullptr) continue;
    CAPTURE(name);
    for (const Types types : kTypes)
      for (const WeightKind& kind : {kWeightKinds[2], kWeightKinds[3], kWeightKinds[8]})
        for (const bool backward : {false, true}) {
          const LinearData all({41, 100, 2304, 3, true}, kind, types, backward);
          const auto whole = bits(all.rows, all.columns, types.out, [&](const TensorView& y) { return all.run(*backend, y); });
          for (const std::int64_t first : {0, 1, 17, 40}) {
            const std::int64_t count = first == 17 ? 13 : 1;
            const auto part = bits(count, all.columns, types.out, [&](const TensorView& y) {
              LinearArgs forward = all.forward_args(y);
              LinearBackwardArgs back = all.backward_args(y);
              for (ConstTensorView* v : {&forward.x, &forward.low_rank.u, &forward.residual, &back.dy, &back.low_rank.u,
                                         &back.residual})
                *v = row_range(*v, first, count);
              return backward ? backend->linear_backward(back) : backend->linear(forward);
            });
            INFO(name, " ", dtype_name(types.in), " to ", dtype_name(types.out), " ", std::string(kind.name), std::string(backward ? " backward" : ""));
            CHECK(std::memcmp(part.data(), whole.data() + first * all.columns, part.size() * sizeof(float)) == 0);
          }
          LinearData compact({41, 100, 2304, 3, true}, kind, types, backward, 0);
          CHECK(same(whole, bits(all.rows, all.columns, types.out, [&](const TensorView& y) { return compact.run(*backend, y); })));
        }
  }
}

TEST_CASE("the residual of linear may be its result") {
  for (const KernelTable* backend : backends()) {
    if (!backend->available() || backend->linear == nullptr) continue;
    CAPTURE(backend->name);
    for (const Types types : kTypes)
      for (const bool backward : {false, true}) {
        const LinearData data({30, 70, 2304, 4, true}, kWeightKinds[8], types, backward);
        const auto apart = bits(data.rows, data.columns, types.out, [&](const TensorView& y) { return data.run(*backend, y); });
        Matrix y = data.residual;
        LinearArgs forward = data.forward_args(y.view());
        LinearBackwardArgs back = data.backward_args(y.view());
        forward.residual = back.residual = y.view();
        REQUIRE((backward ? backend->linear_backward(back) : backend->linear(forward)) == Status::ok);
        const Doubles values = y.values();
        CHECK(same(apart, {values.begin(), values.end()}));
      }
  }
}

TEST_CASE("an infinite input spoils its own row and no other") {
  for (const KernelTable* backend : backends()) {
    if (!backend->available() || backend->linear == nullptr) continue;
    CAPTURE(backend->name);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      LinearData data({9, 20, 33, 0, false}, kWeightKinds[0], {dtype, dtype}, false);
      TensorView bad = data.x.view();
      if (dtype == DType::f32) data_as<float>(bad)[4 * bad.stride[0] + 32] = std::numeric_limits<float>::infinity();
      else data_as<bf16>(bad)[4 * bad.stride[0] + 32] = bf16{0x7f80};
      Matrix y(9, 20, dtype);
      REQUIRE(data.run(*backend, y.view()) == Status::ok);
      for (std::int64_t t = 0; t < 9; ++t)
        for (std::int64_t n = 0; n < 20; ++n) CHECK(std::isfinite(y.at(t, n)) == (t != 4));
    }
  }
}

TEST_CASE("every backend but oneDNN takes every linear, and no rows are no work") {
  for (const std::string name : {"avx512bf16", "avx2", "portable", "ref"}) {
    const KernelTable* backend = available(name);
    if (backend == nullptr) continue;
    CAPTURE(name);
    REQUIRE((backend->linear != nullptr && backend->linear_backward != nullptr));
    for (const Types types : kTypes)
      for (const bool backward : {false, true})
        for (const std::int64_t tokens : {0, 1}) {
          const LinearData data({tokens, 3, 256, 1, true}, kWeightKinds[10], types, backward);
          Matrix y(tokens, data.columns, types.out);
          CHECK(data.run(*backend, y.view()) == Status::ok);
        }
  }
}

TEST_CASE("linear and matmul name what does not fit") {
  float x[12] = {}, w[12] = {}, y[12] = {};
  const auto in = [&](std::int64_t rows, std::int64_t columns) { return matrix_view<const void*>(x, rows, columns); };
  const auto out = [&](std::int64_t rows, std::int64_t columns) { return matrix_view<void*>(y, rows, columns); };
  LinearArgs args{in(2, 3), dense_weight(w, 4, 3), {}, {}, {}, out(2, 4)};
  linear(args);
  args.y = out(2, 5);
  CHECK_THROWS_WITH_AS(linear(args), "[linear] y got f32 [2, 5], want f32 [2, 4]", Error);
  args.y = out(2, 4), args.x = in(2, 4);
  CHECK_THROWS_WITH_AS(linear(args), "[linear] x got f32 [2, 4], want f32 [2, 3]", Error);
  args.x = in(2, 3), args.y.dtype = DType::bf16;
  CHECK_THROWS_WITH_AS(linear(args), "[linear] y got bf16 [2, 4], want f32 [2, 4]", Error);
  args.y.dtype = DType::f32, args.low_rank = {in(2, 1), in(3, 1), 1};
  CHECK_THROWS_WITH_AS(linear(args), "[linear] low_rank.v got f32 [3, 1], want f32 [4, 1]", Error);
  args.low_rank = {}, args.weight.format = WeightFormat::q4_1;
  CHECK_THROWS_WITH_AS(linear(args), "[linear] weight rows must be whole blocks of 32, got q4_1 [4, 3]", Error);
  args.weight.data = nullptr;
  CHECK_THROWS_WITH_AS(linear(args), "[linear] weight is empty, got q4_1 [4, 3]", Error);
  CHECK_THROWS_WITH_AS(linear_backward({in(2, 3), dense_weight(w, 4, 3), {}, {}, out(2, 3)}),
                       "[linear_backward] dy got f32 [2, 3], want f32 [2, 4]", Error);
  CHECK_THROWS_WITH_AS(matmul({in(2, 3), in(2, 3), out(2, 3), false, false}),
                       "[matmul] b got f32 [2, 3], want f32 [3, 3]", Error);
  CHECK_THROWS_WITH_AS(matmul({in(2, 3), in(2, 3), out(2, 3), false, true}),
                       "[matmul] c got f32 [2, 3], want f32 [2, 2]", Error);
}

TEST_CASE("the best backend that takes an op runs it, and a forced one takes its place") {
  float x[6] = {}, w[6] = {}, y[4] = {};
  const LinearArgs args{matrix_view<const void*>(x, 2, 3), dense_weight(w, 2, 3), {}, {}, {}, matrix_view<void*>(y, 2, 2)};
  for (const char* name : {"portable", "ref"}) {
    force_backend(name);
    linear(args);
    CHECK(backend_used("linear") == name);
  }
  force_backend("");
  linear(args);
  for (const char* name : {"avx512bf16", "avx2"}) {
    if (!available(name)) continue;
    CHECK(backend_used("linear") == name);
    break;
  }
}
