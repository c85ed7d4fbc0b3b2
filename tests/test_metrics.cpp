// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "ftlib/core/parallel.h"
#include "ftlib/eval/bootstrap.h"
#include "ftlib/eval/metrics.h"
#include "ftlib/io/json.h"
#include "golden.h"

using namespace ftlib;

namespace {

std::vector<double> numbers(const Json& list) {
  std::vector<double> out;
  for (const Json& value : list.as_array("")) out.push_back(value.as_number(""));
  return out;
}

BootstrapOptions options_of(const Json& item) {
  return {item.at("resamples", "").as_integer(""), item.at("level", "").as_number(""),
          static_cast<std::uint64_t>(item.at("seed", "").as_integer("")), item.at("exponentiate", "").as_bool("")};
}

}  // namespace

TEST_CASE("ROUGE-L and F1 equal the golden scores of rouge_score and of SQuAD's definition on mixed scripts") {
  const Json golden = golden_json("metrics.json");
  for (const Json& item : golden.at("pairs", "").as_array("")) {
    const std::string& output = item.at("output", "").as_string("");
    const std::string& reference = item.at("reference", "").as_string("");
    CAPTURE(output);
    CAPTURE(reference);
    CHECK(rouge_l(output, reference) == item.at("rouge_l", "").as_number(""));
    CHECK(token_f1(output, reference) == item.at("f1", "").as_number(""));
  }
}

TEST_CASE("exact match forgives white space at the ends and nothing else") {
  CHECK(exact_match(" fast tool\n", "fast tool") == 1);
  CHECK(exact_match("fast  tool", "fast tool") == 0);
  CHECK(exact_match("Fast tool", "fast tool") == 0);
  CHECK(exact_match("", " \t\n") == 1);
}

TEST_CASE("scores of empty texts and of bytes that are not UTF-8 are defined") {
  CHECK(rouge_l("", "") == 0);
  CHECK(rouge_l("...", "a") == 0);
  CHECK(token_f1("the", "") == 1);
  CHECK(token_f1("", "word") == 0);
  CHECK(token_f1("caf\xC3 x", "caf\xEF\xBF\xBD x") == 1);
  CHECK(token_f1("\xFF\xED\xA0\x80\xF4\x90\x80\x80", "other") == 0);
  CHECK(rouge_l("ab\xFF" "cd", "ab cd") == 1);
}

TEST_CASE("the longest common subsequence is right across the 64-word blocks of its table") {
  std::string reference, output;
  for (int i = 0; i < 200; ++i) {
    reference += concat("w", i, " ");
    if (i % 3) output += concat("w", i, " ");
  }
  CHECK(rouge_l(output, reference) == doctest::Approx(2 * (133.0 / 200) / (133.0 / 200 + 1)));
  CHECK(rouge_l(reference, reference) == 1);
}

TEST_CASE("a list of metrics keeps its names, and a regex takes the rest of it") {
  const auto metrics = parse_metrics("exact,f1,rouge-l,regex=^[a-z]{2,4}$");
  REQUIRE(metrics.size() == 4);
  CHECK(metrics[3].name() == "regex=^[a-z]{2,4}$");
  CHECK(metrics[0].score("a", "a") == 1);
  CHECK(metrics[2].score("a b", "a c") == 0.5);
  CHECK(metrics[3].score("abc", "") == 1);
  CHECK(metrics[3].score("abc\n", "") == 0);
  CHECK(metrics[3].score("abcde", "") == 0);
  CHECK(parse_metrics("regex=\\p{Lu}")[0].score("\xC3\x89t\xC3\xA9", "") == 1);
  CHECK(parse_metrics("regex=x")[0].score("\xFFx", "") == 1);
}

TEST_CASE("unknown, repeated and broken metrics are refused by name") {
  CHECK_THROWS_WITH_AS(parse_metrics("exact,bleu"), "[metrics] want exact, f1, rouge-l or regex=PATTERN, got bleu", Error);
  CHECK_THROWS_WITH_AS(parse_metrics("f1,f1"), "[metrics] f1 is named twice", Error);
  CHECK_THROWS_WITH_AS(parse_metrics(""), "[metrics] want exact, f1, rouge-l or regex=PATTERN, got ", Error);
  CHECK_THROWS_WITH_AS(parse_metrics("regex=a(b"), "[regex] a(b: at byte 3: missing closing parenthesis", Error);
}

TEST_CASE("a pattern that would backtrack for ever is an error that names it") {
  const Metric metric("regex=^(a+)+$");
  CHECK_THROWS_WITH_AS(metric.score(std::string(60, 'a') + "b", ""), doctest::Contains("match limit exceeded"), Error);
}

TEST_CASE("bootstrap intervals equal numpy's over the same draws and scipy's within the noise of its own") {
  const Json golden = golden_json("metrics.json");
  for (const Json& item : golden.at("bootstrap", "").as_array("")) {
    const auto before = numbers(item.at("before", "")), after = numbers(item.at("after", ""));
    const auto weights = numbers(item.at("weights", "")), want = numbers(item.at("interval", ""));
    const auto scipy = numbers(item.at("scipy", ""));
    std::vector<std::string> groups;
    for (const Json& name : item.at("groups", "").as_array("")) groups.push_back(name.as_string(""));
    BootstrapOptions options = options_of(item);
    const Interval few = paired_difference(before, after, weights, groups, options);
    CHECK(few.estimate == doctest::Approx(item.at("estimate", "").as_number("")).epsilon(1e-12));
    CHECK(few.low == doctest::Approx(want[0]).epsilon(1e-12));
    CHECK(few.high == doctest::Approx(want[1]).epsilon(1e-12));
    options.resamples = 10000;
    const Interval many = paired_difference(before, after, weights, groups, options);
    CHECK(std::abs(many.low - scipy[0]) < 0.08 * (scipy[1] - scipy[0]));
    CHECK(std::abs(many.high - scipy[1]) < 0.08 * (scipy[1] - scipy[0]));
  }
}

TEST_CASE("an interval has the same bits for any number of threads and collapses where nothing varies") {
  std::vector<double> before(300), after(300);
  for (std::size_t i = 0; i < 300; ++i) before[i] = static_cast<double>(i * i % 17), after[i] = static_cast<double>(i % 11);
  const int threads_before = threads();
  set_threads(1);
  const Interval one = paired_difference(before, after);
  set_threads(3);
  const Interval three = paired_difference(before, after);
  set_threads(threads_before);
  CHECK(one.low == three.low);
  CHECK(one.high == three.high);
  CHECK(one.low < one.estimate);
  CHECK(one.estimate < one.high);
  const std::vector<double> zeros(10, 0.0), ones(10, 1.0);
  const Interval sure = paired_difference(zeros, ones);
  CHECK(sure.low == 1);
  CHECK(sure.high == 1);
}

TEST_CASE("examples of one group are drawn together, so copies of an example add no certainty") {
  std::vector<double> before(20, 0.0), after;
  std::vector<std::string> groups;
  for (int i = 0; i < 20; ++i) after.push_back(i % 2), groups.push_back(std::to_string(i));
  const Interval plain = paired_difference(before, after, {}, groups);
  std::vector<double> before4, after4;
  std::vector<std::string> groups4;
  for (int copy = 0; copy < 4; ++copy)
    for (std::size_t i = 0; i < 20; ++i)
      before4.push_back(before[i]), after4.push_back(after[i]), groups4.push_back(groups[i]);
  const Interval grouped = paired_difference(before4, after4, {}, groups4);
  const Interval ungrouped = paired_difference(before4, after4);
  CHECK(grouped.low == plain.low);
  CHECK(grouped.high == plain.high);
  CHECK(ungrouped.high - ungrouped.low < 0.6 * (plain.high - plain.low));
}

TEST_CASE("the bootstrap refuses what has no meaning") {
  const std::vector<double> none, two{1, 2}, three{1, 2, 3}, bad{1, std::nan("")}, zero{1, 0};
  CHECK_THROWS_WITH_AS(paired_difference(none, none), "[bootstrap] no examples", Error);
  CHECK_THROWS_WITH_AS(paired_difference(two, three), doctest::Contains("lengths differ: before 2, after 3"), Error);
  CHECK_THROWS_WITH_AS(paired_difference(two, bad), doctest::Contains("example 1: want finite values"), Error);
  CHECK_THROWS_WITH_AS(paired_difference(two, two, zero), doctest::Contains("want a weight above 0, got 0"), Error);
  CHECK_THROWS_AS(paired_difference(two, two, {}, {}, {0}), Error);
  CHECK_THROWS_AS(paired_difference(two, two, {}, {}, {10, 1.0}), Error);
}
