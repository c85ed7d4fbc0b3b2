// SPDX-License-Identifier: Apache-2.0
// What a warm training step must not cost: memory from the heap or from the system.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "allocations.h"
#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/profile.h"
#include "ftlib/core/random.h"
#include "ftlib/core/resources.h"
#include "ftlib/model/adapter.h"
#include "ftlib/train/trainer.h"
#include "test_models.h"

using namespace ftlib;

namespace {

std::vector<Example> examples_of(const std::vector<std::int64_t>& lengths) {
  Random random(1);
  std::vector<Example> examples(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    examples[i].index = static_cast<std::int64_t>(i);
    for (std::int64_t t = 0; t < lengths[i]; ++t) {
      examples[i].tokens.push_back(static_cast<std::int32_t>(random.below(49152)));
      examples[i].supervised.push_back(t > 0 && t % 3 == 0);
    }
  }
  return examples;
}

std::vector<Example> equal_examples(std::size_t count, std::int64_t length) {
  return examples_of(std::vector<std::int64_t>(count, length));
}

TrainOptions two_segments_a_step(Optimizer optimizer) {
  TrainOptions options;
  options.loader.batch_tokens = 0, options.loader.batch_examples = 2, options.loader.order = Order::given;
  options.optimizer = optimizer;
  return options;
}

constexpr std::size_t kSteps = 5;

/// What a step took.
struct Cost {
  std::int64_t allocations = 0, page_faults = 0;
};

/// The steps of an epoch of two records each, in their order.
std::vector<Cost> costs_of_steps(const CausalLM& model, const std::vector<Example>& examples, Optimizer optimizer) {
  LoraAdapter adapter = make_lora_adapter(model.config(), {});
  initialize(adapter, 0);
  Trainer trainer(model, adapter, examples, two_segments_a_step(optimizer));
  std::vector<Cost> costs(kSteps);
  for (Cost& cost : costs) {
    const std::int64_t allocations = allocations::count(), faults = resource_usage().page_faults;
    trainer.step();
    cost = {allocations::count() - allocations, resource_usage().page_faults - faults};
  }
  CHECK(trainer.done());
  return costs;
}

/// Steps from `warm` on must be free of both costs on one thread, and the last two of the epoch on two, in one of three
/// epochs: a worker that the machine kept away from the first steps takes its scratch in a later one, and the kernel
/// makes faults of its own where it moves a page, while what a step costs by itself it costs every time.
void check_steps(const CausalLM& model, const std::vector<Example>& examples, Optimizer optimizer, std::size_t warm) {
  const int before = threads();
  for (const int count : {1, 2}) {
    CAPTURE(count);
    set_threads(count);
    Cost most{1, 0};
    for (int epoch = 0; epoch < 3 && most.allocations + most.page_faults > 0; ++epoch) {
      const std::vector<Cost> costs = costs_of_steps(model, examples, optimizer);
      CHECK(costs[0].allocations > 0);  // the batches: who counts nothing finds nothing
      most = {};
      for (std::size_t step = count == 1 ? warm : kSteps - 2; step < kSteps; ++step) {
        most.allocations = std::max(most.allocations, costs[step].allocations);
        if (FTLIB_COUNT_ALLOCATIONS) most.page_faults = std::max(most.page_faults, costs[step].page_faults);
      }
    }
    CHECK(most.allocations == 0);
    CHECK(most.page_faults == 0);
  }
  set_threads(before);
}

void say_what_is_skipped() {
  if (!FTLIB_COUNT_ALLOCATIONS) MESSAGE("page faults are not judged here: a sanitizer has shadow pages of its own");
}

/// Whether the mapping around `at` is advised to huge pages; nothing where the kernel does not tell.
std::optional<bool> advised_to_huge_pages(const void* at) {
  if (::access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0) return {};
  const auto wanted = reinterpret_cast<std::uintptr_t>(at);
  bool here = false;
  std::ifstream lines("/proc/self/smaps");
  for (std::string line; std::getline(lines, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) here = begin <= wanted && wanted < end;
    if (here && line.starts_with("VmFlags:")) return line.find(" hg") != line.npos;
  }
  return {};
}

}  // namespace

TEST_CASE("after its first step a trainer allocates nothing and meets no new page") {
  say_what_is_skipped();
  const std::vector<Example> examples = equal_examples(2 * kSteps, 48);
  for (const BaseFormat& base : {BaseFormat{}, BaseFormat{BaseFormat::Kind::nf4, 64, true}}) {
    const CausalLM model = CausalLM::load(test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), base);
    for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::adamw8bit})
      check_steps(model, examples, optimizer, 1);
  }
}

TEST_CASE("batches of any length cost no allocation and no new page once the longest one has been") {
  say_what_is_skipped();
  const std::vector<Example> examples = examples_of({9, 70, 96, 96, 8, 31, 64, 3, 2, 57});
  check_steps(CausalLM::load(test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), {}), examples, Optimizer::adamw, 2);
}

TEST_CASE("an arena is advised to huge pages from its first byte to its last") {
  Arena arena;
  const std::size_t slot = arena.add("activations", (std::int64_t{8} << 20) + 100);
  arena.allocate();
  for (const std::int64_t offset : {std::int64_t{0}, std::int64_t{4} << 20, arena.slots()[slot].bytes - 1}) {
    const std::optional<bool> advised = advised_to_huge_pages(arena.at(slot) + offset);
    if (!advised) MESSAGE("skipped: this kernel has no huge pages, or /proc does not say who asked for them");
    else CHECK_MESSAGE(*advised, "byte ", offset);
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
