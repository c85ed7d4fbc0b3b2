// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ftlib/model/lora.h"

using namespace ftlib;

namespace {

ModelConfig small_model() {
  ModelConfig model;
  model.vocab_size = 97, model.hidden_size = 32, model.intermediate_size = 48, model.num_hidden_layers = 12;
  model.num_attention_heads = 4, model.num_key_value_heads = 2, model.head_dim = 8;
  return model;
}

LoraConfig targets(std::vector<std::string> names) {
  LoraConfig config;
  config.r = 4, config.lora_alpha = 12, config.target_modules = std::move(names);
  return config;
}

LoraConfig regex(std::string pattern) {
  LoraConfig config = targets({});
  config.target_regex = std::move(pattern);
  return config;
}

std::size_t selected(const LoraConfig& config) { return make_lora_adapter(small_model(), config).modules.size(); }

std::string refusal(const LoraConfig& config, Status status = Status::invalid_argument) {
  try {
    make_lora_adapter(small_model(), config);
  } catch (const Error& error) {
    CHECK(error.status() == status);
    return error.what();
  }
  return "accepted";
}

/// Kolmogorov's distance of `sample` from a distribution and its asymptotic p-value
/// (Marsaglia, Tsang, Wang, "Evaluating Kolmogorov's Distribution", 2003, section 1).
template <class Cdf>
double ks_p_value(std::vector<float> sample, Cdf&& cdf) {
  std::ranges::sort(sample);
  const double n = static_cast<double>(sample.size());
  double distance = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double f = cdf(double{sample[i]});
    distance = std::max({distance, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  double p = 0;
  for (int k = 1; k < 100; ++k)
    p += 2 * (k % 2 ? 1 : -1) * std::exp(-2.0 * k * k * n * distance * distance);
  return std::clamp(p, 0.0, 1.0);
}

}  // namespace

TEST_CASE("lora targets match by whole name or by the end after a dot, as PEFT's lists do") {
  CHECK(selected(targets({"q_proj"})) == 12);
  CHECK(selected(targets({"q_proj", "v_proj", "q_proj"})) == 24);
  CHECK(selected(targets({"self_attn.q_proj"})) == 12);
  CHECK(selected(targets({"3.mlp.up_proj"})) == 1);
  CHECK(selected(targets({"model.layers.3.mlp.up_proj", "model.layers.11.mlp.up_proj"})) == 2);
  CHECK(selected(targets({"all-linear"})) == 84);
  CHECK(refusal(targets({"proj"})) == "[lora] target proj matches none of the 84 linears; near names: k_proj, o_proj, "
                                      "q_proj");
  CHECK(refusal(targets({"1.mlp.up_proj", "01.mlp.up_proj"})).find("01.mlp.up_proj") != std::string::npos);
}

TEST_CASE("a lora target regex must match the whole name") {
  CHECK(selected(regex(R"(.*\.(q|v)_proj)")) == 24);
  CHECK(selected(regex(R"(model\.layers\.[0-4]\..*proj)")) == 35);
  CHECK(refusal(regex("q_proj")).find("must match a whole name such as model.layers.0.self_attn.q_proj") !=
        std::string::npos);
  CHECK(refusal(regex(".*(q_proj")).find("missing closing parenthesis") != std::string::npos);
}

TEST_CASE("a lora target regex that backtracks without end is refused") {
  CHECK(refusal(regex("(([a-z_.0-9])+)+[A-Z]"), Status::unsupported).find("nested repetition") != std::string::npos);
}

TEST_CASE("adapters on head or embedding are refused by name") {
  CHECK(refusal(targets({"q_proj", "lm_head"})).find("asks for lm_head") != std::string::npos);
  CHECK(refusal(targets({"embed_tokens"})).find("asks for model.embed_tokens") != std::string::npos);
  CHECK(refusal(regex(".*")).find("asks for lm_head") != std::string::npos);
}

TEST_CASE("a lora target without a match lists near names") {
  CHECK(refusal(targets({"q_porj"})) ==
        "[lora] target q_porj matches none of the 84 linears; near names: q_proj, k_proj, "
        "o_proj");
  CHECK(refusal(targets({"model.layers.12.mlp.up_proj"})).find("model.layers.10.mlp.up_proj") != std::string::npos);
  CHECK(refusal(targets({"wte"})) == "[lora] target wte matches none of the 84 linears");
  CHECK(refusal(targets({"a\x1b[31m"})).find('\x1b') == std::string::npos);
}

TEST_CASE("lora ranks, alphas and dropout outside their range are refused") {
  const auto with = [](auto&& change) {
    LoraConfig config = targets({"q_proj"});
    change(config);
    return refusal(config);
  };
  CHECK(with([](LoraConfig& c) { c.r = 0; }) == "[lora] r must be 1 to 16384, got 0");
  CHECK(with([](LoraConfig& c) { c.r = std::int64_t{1} << 31; }).find("got 2147483648") != std::string::npos);
  CHECK(with([](LoraConfig& c) {
          c.lora_alpha = 0;
        }).find("lora_alpha: alpha must be 1e-30 to 1e30 in magnitude, got 0") != std::string::npos);
  CHECK(with([](LoraConfig& c) { c.lora_alpha = NAN; }).find("got nan") != std::string::npos);
  CHECK(with([](LoraConfig& c) { c.lora_alpha = 1e300; }).find("got 1e+300") != std::string::npos);
  CHECK(with([](LoraConfig& c) { c.lora_dropout = 1; }) == "[lora] lora_dropout must be 0 to below 1, got 1");
  CHECK(with([](LoraConfig& c) { c.lora_dropout = NAN; }).find("got nan") != std::string::npos);
  CHECK(with([](LoraConfig& c) {
          c.rank_pattern = {{"q_proj", -1}};
        }).find("rank_pattern q_proj") != std::string::npos);
  CHECK(with([](LoraConfig& c) { c.alpha_pattern = {{"q_proj", INFINITY}}; }).find("got inf") != std::string::npos);
  CHECK(with([](LoraConfig& c) { c.target_modules = {}; }).find("target_modules is empty") != std::string::npos);
  CHECK(with([](LoraConfig& c) { c.rank_pattern = {{"v_proj", 2}}; }) ==
        "[lora] pattern v_proj matches none of the 12 adapted modules; near names: q_proj");
}

TEST_CASE("the first lora pattern that matches the end of a name decides rank and alpha, and the scale follows") {
  LoraConfig config = targets({"all-linear"});
  config.rank_pattern = {{"layers.1.self_attn.v_proj", 6}, {"v_proj", 3}, {R"(mlp\.(gate|up)_proj)", 5}};
  config.alpha_pattern = {{R"(^model\.layers\.0\..*)", 7}, {"down_proj", 20}};
  for (const bool rslora : {false, true}) {
    config.use_rslora = rslora;
    const LoraAdapter adapter = make_lora_adapter(small_model(), config);
    const auto check = [&](std::int64_t layer, LinearKind kind, std::int64_t r, double alpha) {
      const LoraModule& module = *adapter.find(layer, kind);
      CHECK(module.r == r);
      CHECK(module.alpha == alpha);
      const double rank = static_cast<double>(r);
      CHECK(module.scale == static_cast<float>(alpha / (rslora ? std::sqrt(rank) : rank)));
    };
    check(1, LinearKind::v_proj, 6, 12);
    check(11, LinearKind::v_proj, 3, 12);
    check(0, LinearKind::up_proj, 5, 7);
    check(2, LinearKind::gate_proj, 5, 12);
    check(3, LinearKind::down_proj, 4, 20);
    check(0, LinearKind::down_proj, 4, 7);
    check(10, LinearKind::q_proj, 4, 12);
  }
}

TEST_CASE("a lora adapter is one aligned block, module after module in the order of the computation") {
  LoraConfig config = targets({"down_proj", "q_proj", "k_proj"});
  config.r = 3;
  const LoraAdapter adapter = make_lora_adapter(small_model(), config);
  REQUIRE(adapter.modules.size() == 36);
  CHECK(adapter.modules[0].name == "model.layers.0.self_attn.q_proj");
  CHECK(adapter.modules[2].name == "model.layers.0.mlp.down_proj");
  CHECK(adapter.find(0, LinearKind::v_proj) == nullptr);
  CHECK(adapter.find(12, LinearKind::q_proj) == nullptr);
  CHECK(adapter.parameter_count == 12 * 3 * ((32 + 32) + (16 + 32) + (32 + 48)));
  const float* next = adapter.parameters.as<float>();
  for (const LoraModule& module : adapter.modules) {
    CHECK(module.a >= next);
    CHECK(module.a - next < 16);
    CHECK(module.b >= module.a + module.r * module.in);
    CHECK(reinterpret_cast<std::uintptr_t>(module.a) % 64 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(module.b) % 64 == 0);
    next = module.b + module.out * module.r;
  }
  CHECK(next <= adapter.parameters.as<float>() + adapter.parameters.bytes() / 4);
}

TEST_CASE("lora begins as PEFT does: A uniform within 1/sqrt(in), B zero") {
  LoraConfig config = targets({"all-linear"});
  config.r = 64;
  LoraAdapter adapter = make_lora_adapter(small_model(), config);
  int likely = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    initialize(adapter, seed);
    std::vector<float> sample;
    for (const LoraModule& module : adapter.modules) {
      CHECK(std::all_of(module.b, module.b + module.out * module.r, [](float x) { return x == 0; }));
      for (std::int64_t i = 0; i < module.r * module.in && sample.size() < 20000; ++i)
        sample.push_back(module.a[i] * std::sqrt(static_cast<float>(module.in)));
    }
    const double uniform = ks_p_value(sample, [](double x) { return std::clamp((x + 1) / 2, 0.0, 1.0); });
    likely += uniform > 0.5;
    CHECK(uniform > 1e-4);
    CHECK(ks_p_value(sample, [](double x) { return 0.5 * std::erfc(-x * std::sqrt(1.5)); }) < 1e-4);
  }
  CHECK(likely >= 5);  // of 20 p-values that are uniform themselves
}

TEST_CASE("a lora module's first values are a pure function of seed and name, whatever else is adapted") {
  LoraAdapter all = make_lora_adapter(small_model(), targets({"all-linear"}));
  LoraAdapter few = make_lora_adapter(small_model(), targets({"v_proj"}));
  initialize(all, 7);
  initialize(few, 7);
  for (const LoraModule& module : few.modules) {
    const LoraModule& same = *all.find(module.layer, module.kind);
    CHECK(std::equal(module.a, module.a + module.r * module.in, same.a));
  }
  CHECK(few.modules[0].a[0] != few.modules[1].a[0]);
  initialize(few, 8);
  CHECK(few.modules[0].a[0] != all.find(0, LinearKind::v_proj)->a[0]);
}
