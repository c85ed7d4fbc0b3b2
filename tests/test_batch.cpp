// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <set>

#include "ftlib/core/random.h"
#include "ftlib/data/batch.h"
#include "ftlib/data/loader.h"

using namespace ftlib;

namespace {

Example example(std::int64_t index, std::int64_t length) {
  Example e{std::to_string(index), index, {}, {}, 1};
  for (std::int64_t i = 0; i < length; ++i) {
    e.tokens.push_back(static_cast<std::int32_t>(index * 100 + i));
    e.supervised.push_back(i > 0);
  }
  return e;
}

std::vector<std::int64_t> random_lengths(std::size_t n, std::int64_t longest) {
  Random random(7);
  std::vector<std::int64_t> lengths(n);
  for (auto& length : lengths) length = 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(longest)));
  return lengths;
}

}  // namespace

TEST_CASE("a packed batch shifts labels within each segment and restarts positions") {
  const std::vector<Example> examples{example(0, 3), example(1, 2)};
  const std::vector<std::int64_t> bin{1, 0};
  const Batch batch = make_batch(examples, bin);
  CHECK(batch.tokens == std::vector<std::int32_t>{100, 101, 0, 1, 2});
  CHECK(batch.labels == std::vector<std::int32_t>{101, kIgnoreLabel, 1, 2, kIgnoreLabel});
  CHECK(batch.positions == std::vector<std::int32_t>{0, 1, 0, 1, 2});
  CHECK(batch.segment_offsets == std::vector<std::int32_t>{0, 2, 5});
  CHECK(batch.row_keys[1] == ((std::int64_t{1} << 32) | 1));
  CHECK(batch.supervised_tokens() == 3);
  CHECK(batch.weight_sum() == 3.0);
}

TEST_CASE("first-fit-decreasing puts every record into exactly one bin within the budget, like the naive search") {
  const auto lengths = random_lengths(700, 300);
  const auto bins = pack_first_fit_decreasing(lengths, 512);
  std::vector<std::int64_t> order(lengths.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
  });
  std::vector<std::vector<std::int64_t>> naive;
  std::vector<std::int64_t> used;
  for (const auto index : order) {
    const std::int64_t length = lengths[static_cast<std::size_t>(index)];
    std::size_t bin = 0;
    while (bin < used.size() && used[bin] + length > 512) ++bin;
    if (bin == used.size()) used.push_back(0), naive.emplace_back();
    used[bin] += length;
    naive[bin].push_back(index);
  }
  CHECK(bins == naive);
  CHECK_THROWS_AS(pack_first_fit_decreasing(std::vector<std::int64_t>{513}, 512), Error);
}

TEST_CASE("an epoch sees every record once, in an order that seed and epoch decide") {
  const auto lengths = random_lengths(5000, 200);
  LoaderOptions options;
  options.batch_tokens = 400;
  for (const Order order : {Order::shuffle, Order::given}) {
    options.order = order;
    const auto bins = plan_epoch(lengths, options, 3);
    std::set<std::int64_t> seen;
    for (const auto& bin : bins) {
      std::int64_t tokens = 0;
      for (const auto index : bin) tokens += lengths[static_cast<std::size_t>(index)], seen.insert(index);
      CHECK(tokens <= 400);
    }
    CHECK(seen.size() == lengths.size());
    CHECK(bins == plan_epoch(lengths, options, 3));
    CHECK((bins == plan_epoch(lengths, options, 4)) == (order == Order::given));
  }
  options.batch_tokens = 0, options.batch_examples = 8, options.order = Order::given;
  const auto bins = plan_epoch(lengths, options, 0);
  CHECK(bins.size() == 625);
  CHECK(bins[1].front() == 8);
}

TEST_CASE("the loader cuts an epoch into steps of accumulated bins, the last one short") {
  std::vector<Example> examples;
  for (int i = 0; i < 10; ++i) examples.push_back(example(i, 5));
  Loader loader(examples, {0, 2, 2, Order::given, 0});
  CHECK(loader.steps(0) == 3);
  CHECK(loader.step(0, 0).size() == 2);
  CHECK(loader.step(0, 2).size() == 1);
  CHECK(loader.step(0, 2)[0].tokens[0] == 800);
  CHECK(loader.max_batch_tokens() == 10);
  CHECK_THROWS_WITH_AS(Loader(examples, {64, 2}), "[loader] give either batch_tokens or batch_examples", Error);
}
