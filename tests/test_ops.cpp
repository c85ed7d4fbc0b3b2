// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include "ftlib/ops/convert.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/embedding.h"
#include "ftlib/ops/rms_norm.h"
#include "ftlib/ops/rope.h"
#include "ftlib/ops/swiglu.h"
#include "oracle.h"

using namespace ftlib;
using oracle::Doubles;
using oracle::Values;

namespace {

Rows<const double> rows(const Doubles& values, std::int64_t columns) { return {values.data(), columns}; }
Rows<double> rows(Doubles& values, std::int64_t columns) { return {values.data(), columns}; }
Doubles zeros(std::int64_t count) { return Doubles(static_cast<std::size_t>(count)); }
ConstTensorView ids(const std::vector<std::int32_t>& values) {
  return vector_view<const void*>(values.data(), static_cast<std::int64_t>(values.size()), DType::i32);
}

}  // namespace

TEST_CASE("rms_norm equals the reference in double on every backend") {
  for (const cases::Matrix& shape : cases::kMatrices) {
    const std::int64_t tokens = shape.rows, dim = shape.columns;
    CAPTURE(dim);
    Values weight = Values::random(DType::f32, dim, 2);
    oracle::check_op(
        "rms_norm", &KernelTable::rms_norm,
        [&](DType dtype) {
          Values x = Values::random(dtype, tokens * dim, 1), y = Values::filled(dtype, tokens * dim);
          Values rstd = Values::filled(DType::f32, tokens);
          rms_norm({x.matrix(dim), weight.vector(), 1e-5f, y.matrix(dim), rstd.vector()});
          return std::vector<Values>{y, rstd};
        },
        [&](DType dtype) {
          const Doubles x = Values::random(dtype, tokens * dim, 1).doubles();
          Doubles y = zeros(tokens * dim), rstd = zeros(tokens);
          reference::rms_norm<double>(rows(x, dim), weight.doubles().data(), 1e-5, rows(y, dim), rstd.data(), tokens,
                                      dim);
          return std::vector<Doubles>{y, rstd};
        });
  }
}

TEST_CASE("rms_norm_backward equals the reference in double on every backend") {
  for (const cases::Matrix& shape : cases::kMatrices)
    for (const bool with_residual : {false, true}) {
      const std::int64_t tokens = shape.rows, dim = shape.columns;
      CAPTURE(dim);
      Values weight = Values::random(DType::f32, dim, 2), rstd = Values::random(DType::f32, tokens, 3, 0.5);
      const auto input = [&](DType dtype, std::uint64_t key) { return Values::random(dtype, tokens * dim, key); };
      oracle::check_op(
          "rms_norm_backward", &KernelTable::rms_norm_backward,
          [&](DType dtype) {
            Values x = input(dtype, 1), dy = input(dtype, 4), residual = input(dtype, 5);
            Values dx = Values::filled(dtype, tokens * dim);
            rms_norm_backward({x.matrix(dim), weight.vector(), rstd.vector(), dy.matrix(dim),
                               with_residual ? residual.matrix(dim) : TensorView{}, dx.matrix(dim)});
            return std::vector<Values>{dx};
          },
          [&](DType dtype) {
            const Doubles x = input(dtype, 1).doubles(), dy = input(dtype, 4).doubles();
            const Doubles residual = input(dtype, 5).doubles(), r = rstd.doubles();
            Doubles dx = zeros(tokens * dim);
            reference::rms_norm_backward<double>(rows(x, dim), weight.doubles().data(), r.data(), rows(dy, dim),
                                                 with_residual ? rows(residual, dim) : Rows<const double>{},
                                                 rows(dx, dim), tokens, dim);
            return std::vector<Doubles>{dx};
          });
    }
}

TEST_CASE("rms_norm_backward is the derivative of rms_norm") {
  constexpr std::int64_t kTokens = 3, kDim = 11;
  Doubles x = Values::random(DType::f32, kTokens * kDim, 1).doubles();
  const Doubles weight = Values::random(DType::f32, kDim, 2).doubles();
  const Doubles dy = Values::random(DType::f32, kTokens * kDim, 3).doubles();
  Doubles y = zeros(kTokens * kDim), rstd = zeros(kTokens), dx = zeros(kTokens * kDim);
  const auto forward = [&] {
    reference::rms_norm<double>(rows(x, kDim), weight.data(), 1e-5, rows(y, kDim), rstd.data(), kTokens, kDim);
    return oracle::dot(y, dy);
  };
  const Doubles want = oracle::central_differences(x, forward);
  forward();
  reference::rms_norm_backward<double>(rows(x, kDim), weight.data(), rstd.data(), rows(dy, kDim), {}, rows(dx, kDim),
                                       kTokens, kDim);
  CHECK(oracle::relative_error(dx, want) < 1e-8);
}

TEST_CASE("rope equals the reference in double on every backend, and its inverse undoes it") {
  for (const cases::HeadShape& shape : cases::kHeadShapes) {
    const std::int64_t tokens = shape.tokens, heads = shape.heads, dim = shape.head_dim;
    constexpr std::int64_t kTable = 50;
    Doubles cosine = zeros(kTable * dim / 2), sine = cosine;
    for (std::size_t i = 0; i < cosine.size(); ++i)
      cosine[i] = std::cos(0.37 * static_cast<double>(i)), sine[i] = std::sin(0.37 * static_cast<double>(i));
    Values c(DType::f32, cosine), s(DType::f32, sine);
    std::vector<std::int32_t> positions;
    for (std::int64_t t = 0; t < tokens; ++t) positions.push_back(static_cast<std::int32_t>(t * 7 % kTable));
    for (const bool inverse : {false, true})
      oracle::check_op(
          "rope", &KernelTable::rope,
          [&](DType dtype) {
            Values x = Values::random(dtype, tokens * heads * dim, 1);
            rope({x.heads(heads, dim), ids(positions), c.matrix(dim / 2), s.matrix(dim / 2), inverse});
            return std::vector<Values>{x};
          },
          [&](DType dtype) {
            Doubles x = Values::random(dtype, tokens * heads * dim, 1).doubles();
            const Doubles cd = c.doubles(), sd = s.doubles();
            reference::rope<double>({x.data(), heads * dim, dim}, positions.data(), rows(cd, dim / 2),
                                    rows(sd, dim / 2), inverse, tokens, heads, dim);
            return std::vector<Doubles>{x};
          });
    Values x = Values::random(DType::f32, tokens * heads * dim, 1);
    const Doubles before = x.doubles();
    for (const bool inverse : {false, true})
      rope({x.heads(heads, dim), ids(positions), c.matrix(dim / 2), s.matrix(dim / 2), inverse});
    CHECK(oracle::relative_error(x.doubles(), before) < 1e-6);
  }
}

TEST_CASE("swiglu equals the reference in double on every backend, far out too") {
  for (const cases::Matrix& shape : cases::kMatrices)
    for (const double scale : {1.0, 60.0}) {
      const std::int64_t tokens = shape.rows, dim = shape.columns;
      const auto input = [&](DType dtype, std::uint64_t key) {
        return Values::random(dtype, tokens * dim, key, scale);
      };
      oracle::check_op(
          "swiglu", &KernelTable::swiglu,
          [&](DType dtype) {
            Values gate = input(dtype, 1), up = input(dtype, 2), y = Values::filled(dtype, tokens * dim);
            swiglu({gate.matrix(dim), up.matrix(dim), y.matrix(dim)});
            return std::vector<Values>{y};
          },
          [&](DType dtype) {
            const Doubles gate = input(dtype, 1).doubles(), up = input(dtype, 2).doubles();
            Doubles y = zeros(tokens * dim);
            reference::swiglu<double>(rows(gate, dim), rows(up, dim), rows(y, dim), tokens, dim);
            return std::vector<Doubles>{y};
          });
    }
}

TEST_CASE("swiglu_backward equals the reference in double on every backend, in place too") {
  for (const cases::Matrix& shape : cases::kMatrices) {
    const std::int64_t tokens = shape.rows, dim = shape.columns;
    const auto input = [&](DType dtype, std::uint64_t key) { return Values::random(dtype, tokens * dim, key, 3); };
    oracle::check_op(
        "swiglu_backward", &KernelTable::swiglu_backward,
        [&](DType dtype) {
          Values gate = input(dtype, 1), up = input(dtype, 2), dy = input(dtype, 3);
          swiglu_backward({gate.matrix(dim), up.matrix(dim), dy.matrix(dim), gate.matrix(dim), up.matrix(dim)});
          return std::vector<Values>{gate, up};
        },
        [&](DType dtype) {
          const Doubles gate = input(dtype, 1).doubles(), up = input(dtype, 2).doubles(),
                        dy = input(dtype, 3).doubles();
          Doubles d_gate = zeros(tokens * dim), d_up = d_gate;
          reference::swiglu_backward<double>(rows(gate, dim), rows(up, dim), rows(dy, dim), rows(d_gate, dim),
                                             rows(d_up, dim), tokens, dim);
          return std::vector<Doubles>{d_gate, d_up};
        });
  }
}

TEST_CASE("swiglu_backward is the derivative of swiglu") {
  constexpr std::int64_t kCount = 24;
  Doubles gate = Values::random(DType::f32, kCount, 1, 3).doubles(),
          up = Values::random(DType::f32, kCount, 2).doubles();
  const Doubles dy = Values::random(DType::f32, kCount, 3).doubles();
  Doubles y = zeros(kCount), d_gate = y, d_up = y;
  const auto forward = [&] {
    reference::swiglu<double>(rows(gate, kCount), rows(up, kCount), rows(y, kCount), 1, kCount);
    return oracle::dot(y, dy);
  };
  reference::swiglu_backward<double>(rows(gate, kCount), rows(up, kCount), rows(dy, kCount), rows(d_gate, kCount),
                                     rows(d_up, kCount), 1, kCount);
  CHECK(oracle::relative_error(d_gate, oracle::central_differences(gate, forward)) < 1e-8);
  CHECK(oracle::relative_error(d_up, oracle::central_differences(up, forward)) < 1e-8);
}

TEST_CASE("convert rounds once to nearest even on every backend and strides over rows") {
  for (const cases::Matrix& shape : cases::kMatrices) {
    const std::int64_t tokens = shape.rows, dim = shape.columns;
    oracle::check_op(
        "convert", &KernelTable::convert,
        [&](DType dtype) {
          Values x = Values::random(DType::f32, tokens * dim, 1), y = Values::filled(dtype, tokens * dim);
          convert({x.matrix(dim), y.matrix(dim)});
          Values back = Values::filled(DType::f32, tokens * dim);
          convert({y.vector(), back.vector()});
          CHECK(back.bytes() == Values(DType::f32, y.doubles()).bytes());
          CHECK(y.bytes() == Values(dtype, x.doubles()).bytes());
          return std::vector<Values>{y};
        },
        [&](DType dtype) {
          return std::vector<Doubles>{Values(dtype, Values::random(DType::f32, tokens * dim, 1).doubles()).doubles()};
        });
  }
}

TEST_CASE("convert keeps NaN, infinity and signed zero") {
  const Doubles odd = {NAN, INFINITY, -INFINITY, -0.0, 1e-41, 3.3961776e38, -NAN, 1e-39, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  oracle::for_each_backend([&](const KernelTable&) {
    Values x(DType::f32, odd), y = Values::filled(DType::bf16, 17, 0);
    convert({x.vector(), y.vector()});
    CHECK(y.bytes() == Values(DType::bf16, odd).bytes());
  });
}

TEST_CASE("embedding decodes rows of any format on every backend") {
  constexpr std::int64_t kVocabulary = 11;
  const std::vector<std::int32_t> tokens = {0, 10, 3, 3, 7};
  const auto count = static_cast<std::int64_t>(tokens.size());
  for (const std::int64_t dim : {1, 64, 576})
    for (const DType stored : {DType::f32, DType::bf16}) {
      Values table = Values::random(stored, kVocabulary * dim, 1);
      oracle::check_op(
          "embedding", &KernelTable::embedding,
          [&](DType dtype) {
            Values y = Values::filled(dtype, count * dim);
            embedding({ids(tokens), dense_weight(table.data(), kVocabulary, dim, stored), y.matrix(dim)});
            return std::vector<Values>{y};
          },
          [&](DType) {
            const Doubles all = table.doubles();
            Doubles y;
            for (const std::int32_t token : tokens)
              y.insert(y.end(), all.begin() + token * dim, all.begin() + (token + 1) * dim);
            return std::vector<Doubles>{y};
          });
    }
}

namespace {

struct LossInputs {
  Values logits, weights;
  std::vector<std::int32_t> targets;
};
LossInputs loss_inputs(std::int64_t rows, std::int64_t vocabulary) {
  LossInputs in{Values::random(DType::f32, rows * vocabulary, 1, 4), Values::random(DType::f32, rows, 2), {}};
  for (std::int64_t s = 0; s < rows; ++s)
    in.targets.push_back(static_cast<std::int32_t>((s * 7919 + vocabulary - 1) % vocabulary));
  return in;
}
std::vector<Doubles> wanted_loss(LossInputs& in, std::int64_t rows_count, std::int64_t vocabulary) {
  const Doubles x = in.logits.doubles(), weights = in.weights.doubles();
  Doubles nll = zeros(rows_count), d = zeros(rows_count * vocabulary);
  reference::cross_entropy<double, double>(rows(x, vocabulary), in.targets.data(), weights.data(), 0.25, nll.data(),
                                           rows(d, vocabulary), rows_count, vocabulary);
  return {nll, d};
}

}  // namespace

TEST_CASE("cross_entropy and its gradient equal the reference in double on every backend") {
  for (const cases::Matrix& shape : cases::kLogits) {
    const std::int64_t count = shape.rows, vocabulary = shape.columns;
    CAPTURE(vocabulary);
    LossInputs in = loss_inputs(count, vocabulary);
    oracle::check_op(
        "cross_entropy", &KernelTable::cross_entropy,
        [&](DType dtype) {
          Values nll = Values::filled(DType::f32, count), d = Values::filled(dtype, count * vocabulary);
          cross_entropy({in.logits.matrix(vocabulary), ids(in.targets), in.weights.vector(), 0.25f, nll.vector(),
                         d.matrix(vocabulary)});
          return std::vector<Values>{nll, d};
        },
        [&](DType) { return wanted_loss(in, count, vocabulary); });
  }
}

TEST_CASE("cross_entropy may write its gradient over the logits, in a narrower type too") {
  for (const cases::Matrix& shape : cases::kLogits) {
    const std::int64_t count = shape.rows, vocabulary = shape.columns;
    LossInputs in = loss_inputs(count, vocabulary);
    for (const DType dtype : {DType::f32, DType::bf16})
      oracle::for_each_backend([&](const KernelTable&) {
        Values nll = Values::filled(DType::f32, count), apart = Values::filled(dtype, count * vocabulary);
        cross_entropy({in.logits.matrix(vocabulary), ids(in.targets), {}, 1, nll.vector(), apart.matrix(vocabulary)});
        Values over = in.logits;
        TensorView d = over.matrix(vocabulary);
        d.stride[0] *= 4 / dtype_bytes(dtype), d.dtype = dtype;
        cross_entropy({over.matrix(vocabulary), ids(in.targets), {}, 1, nll.vector(), d});
        const auto row_bytes = static_cast<std::size_t>(vocabulary * dtype_bytes(dtype));
        for (std::size_t s = 0; s < static_cast<std::size_t>(count); ++s)
          CHECK(std::memcmp(over.bytes().data() + s * static_cast<std::size_t>(vocabulary) * 4,
                            apart.bytes().data() + s * row_bytes, row_bytes) == 0);
      });
  }
}

TEST_CASE("the gradient of cross_entropy is the derivative of its value") {
  constexpr std::int64_t kRows = 3, kVocabulary = 9;
  Doubles x = Values::random(DType::f32, kRows * kVocabulary, 1, 2).doubles();
  const Doubles weights = {1, 0.5, -2};
  const std::vector<std::int32_t> targets = {0, 8, 4};
  Doubles nll = zeros(kRows), d = zeros(kRows * kVocabulary);
  const auto forward = [&] {
    reference::cross_entropy<double, double>(rows(x, kVocabulary), targets.data(), weights.data(), 0.25, nll.data(),
                                             rows(d, kVocabulary), kRows, kVocabulary);
    return 0.25 * oracle::dot(nll, weights);
  };
  const Doubles want = oracle::central_differences(x, forward);
  forward();
  CHECK(oracle::relative_error(d, want) < 1e-8);
}

TEST_CASE("dropout keeps its share, scales what it keeps and depends on the keys only") {
  constexpr std::int64_t kTokens = 40, kDim = 1001;
  std::vector<std::int64_t> keys;
  for (std::int64_t t = 0; t < kTokens; ++t) keys.push_back(t * t - 5);
  const auto run = [&](DType dtype) {
    Values x = Values::filled(dtype, kTokens * kDim, 3), y = Values::filled(dtype, kTokens * kDim);
    dropout({x.matrix(kDim), vector_view<const void*>(keys.data(), kTokens, DType::i64), 77, 0.25f, y.matrix(kDim)});
    return std::vector<Values>{y};
  };
  oracle::check_op("dropout", &KernelTable::dropout, run, [&](DType) {
    const Doubles x(static_cast<std::size_t>(kTokens * kDim), 3.0);
    Doubles y = zeros(kTokens * kDim);
    for (std::int64_t t = 0; t < kTokens; ++t)
      reference::dropout_row(rows(x, kDim)[t], 77, keys[static_cast<std::size_t>(t)], 0.25f, rows(y, kDim)[t], kDim);
    return std::vector<Doubles>{y};
  });
  const Doubles all = run(DType::f32)[0].doubles();
  const auto dropped = static_cast<double>(std::count(all.begin(), all.end(), 0.0));
  CHECK(dropped / static_cast<double>(all.size()) == doctest::Approx(0.25).epsilon(0.02));
  // A row alone has the bits that it has among others.
  Values one = Values::filled(DType::f32, kDim, 3), y = one;
  dropout({one.matrix(kDim), vector_view<const void*>(keys.data() + 7, 1, DType::i64), 77, 0.25f, y.matrix(kDim)});
  CHECK(y.doubles() == Doubles(all.begin() + 7 * kDim, all.begin() + 8 * kDim));
}

TEST_CASE("rows may be strided and outputs may alias inputs, bit for bit") {
  constexpr std::int64_t kTokens = 9, kDim = 37, kPitch = 50;
  for (const DType dtype : {DType::f32, DType::bf16})
    oracle::for_each_backend([&](const KernelTable&) {
      Values wide = Values::random(dtype, kTokens * kPitch, 1), weight = Values::random(DType::f32, kDim, 2);
      TensorView x = wide.matrix(kPitch);
      x.shape[1] = kDim;
      Values tight = Values::filled(dtype, kTokens * kDim), y = tight;
      convert({x, tight.matrix(kDim)});
      rms_norm({tight.matrix(kDim), weight.vector(), 1e-6f, y.matrix(kDim), {}});
      rms_norm({x, weight.vector(), 1e-6f, x, {}});
      Values back = Values::filled(dtype, kTokens * kDim);
      convert({x, back.matrix(kDim)});
      CHECK(back.bytes() == y.bytes());
      swiglu({x, x, y.matrix(kDim)});
      swiglu({x, x, x});
      convert({x, back.matrix(kDim)});
      CHECK(back.bytes() == y.bytes());
    });
}

TEST_CASE("ops name what does not fit, with both shapes") {
  Values a = Values::filled(DType::f32, 6, 0), b = Values::filled(DType::f32, 2, 0),
         h = Values::filled(DType::bf16, 6, 0);
  const std::vector<std::int32_t> targets = {0, 3};
  const std::vector<std::int64_t> keys = {1, 2};
  CHECK_THROWS_WITH_AS(rms_norm({a.matrix(3), b.vector(), 1e-5f, a.matrix(3), {}}),
                       "[rms_norm] weight got f32 [2], want f32 [3]", Error);
  CHECK_THROWS_WITH_AS(rms_norm({a.matrix(2), b.vector(), 1e-5f, h.matrix(2), {}}),
                       "[rms_norm] y got bf16 [3, 2], want f32 [3, 2]", Error);
  CHECK_THROWS_WITH_AS(rms_norm({a.vector(), b.vector(), 1e-5f, h.matrix(2), {}}),
                       "[rms_norm] x must have 2 axes, got f32 [6]", Error);
  CHECK_THROWS_WITH_AS(swiglu({a.matrix(3), a.matrix(2), a.matrix(3)}), "[swiglu] up got f32 [3, 2], want f32 [2, 3]",
                       Error);
  CHECK_THROWS_WITH_AS(cross_entropy({a.matrix(3), ids(targets), {}, 1, b.vector(), {}}),
                       "[cross_entropy] targets[1] got 3, want 0 to 2", Error);
  CHECK_THROWS_WITH_AS(
      dropout({a.matrix(3), vector_view<const void*>(keys.data(), 2, DType::i64), 0, 1.0f, a.matrix(3)}),
      "[dropout] the probability got 1, want 0 to below 1", Error);
  CHECK_THROWS_WITH_AS(rope({a.heads(1, 3), ids(targets), {}, {}, false}),
                       "[rope] the head dim must be even, got f32 [2, 1, 3]", Error);
  TensorView overlapping = a.matrix(3);
  overlapping.stride[0] = 2;
  CHECK_THROWS_WITH_AS(convert({overlapping, a.matrix(3)}),
                       "[convert] x has overlapping rows, got stride 2 of axis 0, want at least 3", Error);
  TensorView nowhere = a.matrix(3);
  nowhere.data = nullptr;
  CHECK_THROWS_WITH_AS(convert({a.matrix(3), nowhere}), "[convert] y has no memory, want f32 [2, 3]", Error);
}
