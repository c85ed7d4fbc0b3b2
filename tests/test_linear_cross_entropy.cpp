// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/attention.h"
#include "ftlib/ops/cross_entropy.h"
#include "oracle.h"

using namespace ftlib;
using oracle::Doubles;
using oracle::Values;

namespace {

constexpr std::int64_t kRows = 7, kDim = 24, kVocabulary = 101;
constexpr float kScale = 0.125f;

/// Seven supervised rows over a head of 101 words.
struct HeadProblem {
  DType dtype;
  Values hidden = Values::random(dtype, kRows * kDim, 1), head = Values::random(dtype, kVocabulary * kDim, 2);
  Values weights = Values::random(DType::f32, kRows, 3);
  std::vector<std::int32_t> targets = {0, 100, 50, 7, 7, 99, 1};

  std::vector<Values> run(std::int64_t chunk, bool gradient = true) {
    Values nll = Values::filled(DType::f32, kRows), d = Values::filled(dtype, kRows * kDim);
    Values logits = Values::filled(DType::f32, chunk * kVocabulary);
    LinearCrossEntropyArgs args;
    args.hidden = hidden.matrix(kDim), args.head = dense_weight(head.data(), kVocabulary, kDim, dtype);
    args.targets = vector_view<const void*>(targets.data(), kRows, DType::i32), args.weights = weights.vector();
    args.gradient_scale = kScale, args.nll = nll.vector(), args.logits = logits.matrix(kVocabulary);
    if (gradient) args.d_hidden = d.matrix(kDim);
    linear_cross_entropy(args);
    return {nll, d};
  }
  std::vector<Doubles> want() const {
    const Doubles x = hidden.doubles(), w = head.doubles(), factor = weights.doubles();
    Doubles logits(kRows * kVocabulary), d_logits = logits, nll(kRows), d(kRows * kDim);
    for (std::size_t s = 0; s < kRows; ++s)
      for (std::size_t v = 0; v < kVocabulary; ++v)
        logits[s * kVocabulary + v] = reference::dot(&x[s * kDim], &w[v * kDim], kDim);
    reference::cross_entropy<double, double>({logits.data(), kVocabulary}, targets.data(), factor.data(), kScale,
                                             nll.data(), {d_logits.data(), kVocabulary}, kRows, kVocabulary);
    for (std::size_t s = 0; s < kRows; ++s)
      for (std::size_t v = 0; v < kVocabulary; ++v)
        for (std::size_t e = 0; e < kDim; ++e) d[s * kDim + e] += d_logits[s * kVocabulary + v] * w[v * kDim + e];
    return {nll, d};
  }
};

}  // namespace

TEST_CASE("linear_cross_entropy equals its parts in double, in chunks of any size with the same bits") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    HeadProblem p{dtype};
    const std::vector<Doubles> want = p.want();
    oracle::for_each_backend([&](const KernelTable& backend) {
      CAPTURE(backend.name);
      const std::vector<Values> whole = p.run(kRows);
      CHECK(oracle::relative_error(whole[0].doubles(), want[0]) < oracle::tolerance(DType::f32));
      CHECK(oracle::relative_error(whole[1].doubles(), want[1]) < oracle::tolerance(dtype));
      for (const std::int64_t chunk : {1, 3, 5, 20}) {
        const std::vector<Values> got = p.run(chunk);
        CHECK(got[0].bytes() == whole[0].bytes());
        // Eigen sums in an order of its own for every shape.
        if (backend.name != "portable") CHECK(got[1].bytes() == whole[1].bytes());
        CHECK(oracle::relative_error(got[1].doubles(), want[1]) < oracle::tolerance(dtype));
      }
      CHECK(p.run(3, false)[0].bytes() == whole[0].bytes());
    });
  }
}

TEST_CASE("linear_cross_entropy names what does not fit") {
  HeadProblem p{DType::f32};
  p.targets[4] = 101;
  CHECK_THROWS_WITH_AS(p.run(3), "[linear_cross_entropy] targets[4] got 101, want 0 to 100", Error);
  p.targets[4] = 7;
  CHECK_THROWS_WITH_AS(p.run(0), "[linear_cross_entropy] logits needs at least one row, got f32 [0, 101]", Error);
}
