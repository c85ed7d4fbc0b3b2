// SPDX-License-Identifier: Apache-2.0
// SmolLM2-135M-Instruct (Q4_1 GGUF) against transformers and PEFT: tests/golden/smollm2.json is written by
// tools/golden/smollm2.py. The model is the one that `./run test` downloads; without it these tests fail.
#include <doctest/doctest.h>

#include "ftlib/core/digest.h"
#include "ftlib/eval/evaluate.h"
#include "ftlib/model/adapter.h"
#include "golden_model.h"
#include "test_models.h"

using namespace ftlib;

namespace {

const std::string& model_path() {
  static const std::string path = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  return path;
}

struct Errors {
  double worst = 0, mean = 0;
};
Errors relative_errors(const std::vector<double>& got, const std::vector<double>& want) {
  Errors errors;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = std::abs(got[i] - want[i]) / want[i];
    errors.worst = std::max(errors.worst, error);
    errors.mean += error / static_cast<double>(want.size());
  }
  return errors;
}

std::vector<double> losses(const CausalLM& model, const LoraAdapter* adapter, const std::vector<Example>& examples) {
  std::vector<double> nll;
  for (const ExampleLoss& loss : evaluate_loss(model, adapter, examples).examples) nll.push_back(loss.nll);
  return nll;
}

}  // namespace

TEST_CASE("SmolLM2: the file is the one that the fixtures were made from") {
  CHECK(sha256_file(model_path()) == golden_json("smollm2.json").at("model_sha256", "fixture").as_string("sha"));
}

TEST_CASE("SmolLM2: per-example loss equals Hugging Face's in f32, on the file's own Q4_1 blocks") {
  const Json fixture = golden_json("smollm2.json");
  const std::vector<Example> examples = golden_examples(fixture.at("examples", "fixture"));
  const CausalLM model = CausalLM::load(model_path(), {}, DType::f32);
  CHECK(relative_errors(losses(model, nullptr, examples), golden_numbers(fixture.at("nll_f32", "fixture"))).worst < 1e-4);
}

TEST_CASE("SmolLM2: bf16 is no worse than transformers' own bf16") {
  if (default_compute() != DType::bf16) return;  // refused by name on such a CPU: test_model.cpp
  const Json fixture = golden_json("smollm2.json");
  const std::vector<Example> examples = golden_examples(fixture.at("examples", "fixture"));
  const CausalLM model = CausalLM::load(model_path(), {}, DType::bf16);
  const std::vector<double> exact = golden_numbers(fixture.at("nll_f32", "fixture"));
  const Errors theirs = relative_errors(golden_numbers(fixture.at("nll_bf16", "fixture")), exact);
  const Errors ours = relative_errors(losses(model, nullptr, examples), exact);
  MESSAGE("relative error of the loss in bf16: worst ", ours.worst, " mean ", ours.mean, "; transformers: worst ",
          theirs.worst, " mean ", theirs.mean);
  CHECK(ours.worst <= theirs.worst);
  CHECK(ours.mean <= theirs.mean);
}

TEST_CASE("SmolLM2: ten losses from a PEFT adapter equal PEFT's in f32, and so do the losses afterwards") {
  const Json fixture = golden_json("smollm2.json");
  const std::vector<Example> examples = golden_examples(fixture.at("examples", "fixture"));
  const CausalLM model = CausalLM::load(model_path(), {}, DType::f32);
  LoraAdapter adapter = load_adapter(golden_path("smollm2_adapter"), model.config()).adapter;
  const GoldenTraining golden = golden_training(fixture, examples);
  Trainer trainer(model, adapter, golden.examples, golden.options);
  for (std::size_t i = 0; i < golden.losses.size(); ++i) {
    const StepReport report = trainer.step();
    CAPTURE(i);
    CHECK(report.loss == doctest::Approx(golden.losses[i]).epsilon(1e-4));
    CHECK(report.lr == doctest::Approx(golden.lrs[i]).epsilon(1e-5));
  }
  CHECK(relative_errors(losses(model, &adapter, examples), golden_numbers(fixture.at("nll_after_f32", "fixture"))).worst < 1e-3);
}
