// SPDX-License-Identifier: Apache-2.0
// What a warm training step must not cost: memory from the system.
#include <doctest/doctest.h>

#include "allocations.h"
#include "ftlib/core/profile.h"
#include "ftlib/core/random.h"
#include "ftlib/core/resources.h"
#include "ftlib/model/adapter.h"
#include "ftlib/train/trainer.h"
#include "test_models.h"

using namespace ftlib;

namespace {

std::vector<Example> equal_examples(std::int64_t count, std::int64_t length) {
  Random random(1);
  std::vector<Example> examples(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    Example& example = examples[static_cast<std::size_t>(i)];
    example.index = i;
    for (std::int64_t t = 0; t < length; ++t) {
      example.tokens.push_back(static_cast<std::int32_t>(random.below(49152)));
      example.supervised.push_back(t > 0 && t % 3 == 0);
    }
  }
  return examples;
}

TrainOptions two_segments_a_step(Optimizer optimizer) {
  TrainOptions options;
  options.loader.batch_tokens = 0, options.loader.batch_examples = 2;
  options.optimizer = optimizer;
  return options;
}

}  // namespace

TEST_CASE("after its first step a trainer allocates nothing and meets no new page") {
  const std::vector<Example> examples = equal_examples(10, 48);
  for (const BaseFormat& base : {BaseFormat{}, BaseFormat{BaseFormat::Kind::nf4, 64, true}})
    for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::adamw8bit}) {
      const CausalLM model = CausalLM::load(test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), base);
      LoraAdapter adapter = make_lora_adapter(model.config(), {});
      initialize(adapter, 0);
      Trainer trainer(model, adapter, examples, two_segments_a_step(optimizer));
      trainer.step();
      int steps = 0, without_faults = 0;
      for (; !trainer.done(); ++steps) {
        const std::int64_t allocations = allocations::count(), faults = resource_usage().page_faults;
        trainer.step();
        const std::int64_t more = allocations::count() - allocations, touched = resource_usage().page_faults - faults;
        CHECK(more == 0);
        without_faults += touched == 0;
      }
      // A worker that the machine kept away from the first steps meets its scratch in a later one; what a step costs by
      // itself it costs every time. Sanitizers have shadow pages of their own.
      CHECK(steps == 4);
      if (FTLIB_COUNT_ALLOCATIONS) CHECK(without_faults > 0);
    }
}

TEST_CASE("a profile accounts for the time of a step, op by op, and changes no bit of it") {
  const std::vector<Example> examples = equal_examples(4, 32);
  const CausalLM model = CausalLM::load(test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), {});
  LoraAdapter plain = make_lora_adapter(model.config(), {}), profiled = make_lora_adapter(model.config(), {});
  initialize(plain, 0), initialize(profiled, 0);
  Trainer(model, plain, examples, two_segments_a_step(Optimizer::adamw)).step();
  Profile profile;
  StepReport step;
  {
    const ProfileScope scope(profile);
    step = Trainer(model, profiled, examples, two_segments_a_step(Optimizer::adamw)).step();
  }
  CHECK(adapter_digest(plain) == adapter_digest(profiled));
  double seconds = 0, flops = 0;
  std::int64_t calls = 0;
  for (const Profile::Total& total : profile.totals()) {
    CHECK(total.calls > 0);
    seconds += total.seconds, calls += total.calls;
    if (total.op.starts_with("linear") || total.op == "matmul" || total.op.starts_with("attention")) flops += total.work.flops;
  }
  CHECK(seconds <= profile.seconds());
  CHECK(seconds > 0.1 * step.seconds);  // on a busy machine the rest is waiting
  CHECK(calls == static_cast<std::int64_t>(profile.calls().size()));
  CHECK(flops == doctest::Approx(step.flops).epsilon(0.02));  // causal pairs are counted to the row in both
  Trainer(model, profiled, examples, two_segments_a_step(Optimizer::adamw)).step();
  CHECK(calls == static_cast<std::int64_t>(profile.calls().size()));
}
