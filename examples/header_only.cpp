// SPDX-License-Identifier: Apache-2.0
// Headers alone, Eigen beside them: a LoRA layer over an NF4 base learns what another layer does to the tokens of packed
// batches. Prints the mean squared error of each epoch.
#include <ftlib/core/random.h>
#include <ftlib/data/loader.h>
#include <ftlib/ops/lora_linear.h>
#include <ftlib/ops/nf4.h>
#include <ftlib/optim/adamw.h>

#include <cstdio>
#include <vector>

namespace {

constexpr std::int64_t kTokens = 40, kIn = 64, kOut = 32, kRank = 4, kVocabulary = 50;

std::vector<float> numbers(std::int64_t n, std::uint64_t seed, float width) {
  ftlib::Random random(seed, 0);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = (2 * random.uniform() - 1) * width;
  return values;
}

ftlib::TensorView view(std::vector<float>& data, std::int64_t rows, std::int64_t columns) {
  return ftlib::matrix_view<void*>(data.data(), rows, columns);
}

/// Ten records of three to twelve tokens each; which ones are targets plays no part here.
std::vector<ftlib::Example> records() {
  std::vector<ftlib::Example> all;
  ftlib::Random random(7, 0);
  for (std::int64_t i = 0; i < 10; ++i) {
    ftlib::Example example{.id = {}, .index = i, .tokens = {}, .supervised = {}, .weight = 1};
    for (std::int64_t t = 0; t < 3 + i; ++t)
      example.tokens.push_back(static_cast<std::int32_t>(random.uniform() * kVocabulary));
    example.supervised.assign(example.tokens.size(), 1);
    all.push_back(std::move(example));
  }
  return all;
}

}  // namespace

int main() {
  std::vector<float> base = numbers(kOut * kIn, 1, 0.2f), table = numbers(kVocabulary * kIn, 2, 1);
  std::vector<float> change_a = numbers(2 * kIn, 3, 0.3f), change_b = numbers(kOut * 2, 5, 0.3f);

  // The frozen weight is four bits a number.
  std::vector<std::uint8_t> codes(kOut * kIn / 2);
  std::vector<float> absmax(kOut * kIn / 64);
  ftlib::nf4_quantize({ftlib::vector_view<const void*>(base.data(), kOut * kIn), 64,
                       ftlib::vector_view<void*>(codes.data(), kOut * kIn / 2, ftlib::DType::u8),
                       ftlib::vector_view<void*>(absmax.data(), kOut * kIn / 64)});
  ftlib::WeightView weight;
  weight.format = ftlib::WeightFormat::nf4, weight.block_size = 64;
  weight.shape[0] = kOut, weight.shape[1] = kIn, weight.data = codes.data(), weight.scales = absmax.data();
  // What the layer shall learn: the unquantised weight, changed in two directions.
  ftlib::matmul({view(change_b, kOut, 2), view(change_a, 2, kIn), view(base, kOut, kIn), false, false, 1, 1});

  std::vector<float> a = numbers(kRank * kIn, 4, 0.125f), b(kOut * kRank), d_a(a.size()), d_b(b.size());
  std::vector<float> a_avg(a.size()), a_sq(a.size()), b_avg(b.size()), b_sq(b.size());
  std::vector<float> x(kTokens * kIn), u(kTokens * kRank), y(kTokens * kOut), want(y.size()), du(u.size());
  const std::vector<ftlib::Example> examples = records();
  ftlib::Loader loader(examples, {.batch_tokens = kTokens, .batch_examples = 0, .accumulate = 1,
                                  .order = ftlib::Order::shuffle, .seed = 0});
  std::int64_t step = 0;
  for (std::int64_t epoch = 0; epoch < 60; ++epoch) {
    double error = 0, rows = 0;
    for (std::int64_t s = 0; s < loader.steps(epoch); ++s) {
      for (const ftlib::Batch& batch : loader.step(epoch, s)) {
        const std::int64_t n = batch.size();
        for (std::int64_t t = 0; t < n; ++t)
          std::copy_n(table.data() + batch.tokens[static_cast<std::size_t>(t)] * kIn, kIn, x.data() + t * kIn);
        ftlib::matmul({view(x, n, kIn), view(base, kOut, kIn), view(want, n, kOut), false, true});
        ftlib::lora_linear({view(x, n, kIn), weight, {}, {}, view(a, kRank, kIn), view(b, kOut, kRank), 2, view(u, n, kRank),
                            {}, view(y, n, kOut)});
        for (std::size_t i = 0; i < static_cast<std::size_t>(n * kOut); ++i) {
          const float difference = y[i] - want[i];
          error += double{difference} * difference;
          y[i] = 2 * difference / static_cast<float>(n * kOut);  // the gradient takes y's place
        }
        rows += static_cast<double>(n * kOut);
        ftlib::lora_linear_backward({view(y, n, kOut), view(x, n, kIn), view(a, kRank, kIn), view(b, kOut, kRank),
                                     view(u, n, kRank), 2, view(du, n, kRank), view(d_a, kRank, kIn), view(d_b, kOut, kRank)});
      }
      const ftlib::AdamWTensor tensors[] = {
          {a.data(), d_a.data(), a_avg.data(), a_sq.data(), static_cast<std::int64_t>(a.size())},
          {b.data(), d_b.data(), b_avg.data(), b_sq.data(), static_cast<std::int64_t>(b.size())}};
      ftlib::adamw_step(tensors, {.lr = 0.01}, ++step);
      std::fill(d_a.begin(), d_a.end(), 0.0f);
      std::fill(d_b.begin(), d_b.end(), 0.0f);
    }
    if (epoch % 10 == 0 || epoch == 59) std::printf("epoch %2d  error %.5f\n", static_cast<int>(epoch), error / rows);
  }
}
