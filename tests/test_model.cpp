// SPDX-License-Identifier: Apache-2.0
// The model against transformers and PEFT: tests/golden/tiny_llama is written by tools/golden/tiny_llama.py.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "ftlib/core/parallel.h"
#include "ftlib/eval/evaluate.h"
#include "ftlib/io/safetensors.h"
#include "ftlib/model/adapter.h"
#include "ftlib/model/generate.h"
#include "ftlib/train/trainer.h"
#include "golden_model.h"

using namespace ftlib;

namespace {

constexpr const char* kModels[] = {"plain", "rich"};
constexpr const char* kAdapters[] = {"adapter", "patterns"};

struct Tiny {
  std::string folder;
  Json base;
  CausalLM model;
  std::vector<Example> examples;

  explicit Tiny(const std::string& name, DType compute = DType::f32)
      : folder(golden_path("tiny_llama/" + name)),
        base(golden_json("tiny_llama/" + name + "/base.json")),
        model(CausalLM::load(folder, {}, compute)),
        examples(golden_examples(base.at("examples", "base"))) {}

  LoraAdapter adapter(const std::string& name) const {
    return load_adapter(folder + "/" + name, model.config()).adapter;
  }
  Json fixture(const std::string& name) const { return parse_json(read_file(folder + "/" + name + ".json"), name); }
};

double worst_difference(const float* got, const float* want, std::int64_t n) {
  double worst = 0, scale = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
    scale = std::max(scale, std::abs(double{want[i]}));
  }
  return scale > 0 ? worst / scale : worst;
}

Batch pack_all(const std::vector<Example>& examples) {
  Batch batch;
  for (const Example& example : examples) append_segment(batch, example);
  return batch;
}

PassOptions training(std::int64_t tokens, Keep keep, std::int64_t layers) {
  PassOptions options;
  options.max_tokens = tokens, options.backward = true;
  options.keep.assign(static_cast<std::size_t>(layers), keep);
  return options;
}

struct Gradients {
  std::vector<float> values, nll;
};
Gradients gradients(const Tiny& tiny, const LoraAdapter& adapter, const std::vector<std::vector<Example>>& batches,
                    Keep keep) {
  double weights = 0;
  std::int64_t tokens = 0;
  for (const auto& batch : batches)
    weights += pack_all(batch).weight_sum(), tokens = std::max(tokens, pack_all(batch).size());
  Pass pass(tiny.model, &adapter, training(tokens, keep, tiny.model.config().num_hidden_layers));
  Gradients result;
  result.values.resize(static_cast<std::size_t>(adapter.parameters.bytes() / 4));
  for (const auto& examples : batches) {
    std::vector<float> nll;
    pass.forward_backward(pack_all(examples), static_cast<float>(1 / weights), result.values.data(), nll);
    result.nll.insert(result.nll.end(), nll.begin(), nll.end());
  }
  return result;
}

void check_gradients(const LoraAdapter& adapter, const std::vector<float>& got, const std::string& file,
                     double tolerance) {
  const SafetensorsFile want(file);
  CHECK(want.tensors().size() == 2 * adapter.modules.size());
  for (const LoraModule& module : adapter.modules)
    for (const char* part : {"lora_A", "lora_B"}) {
      const SafetensorsTensor* tensor = want.find(concat("base_model.model.", module.name, ".", part, ".weight"));
      REQUIRE(tensor != nullptr);
      std::vector<float> values(static_cast<std::size_t>(tensor->numel()));
      want.read(*tensor, values.data());
      const float* begin = part[5] == 'A' ? module.a : module.b;
      CAPTURE(module.name);
      CAPTURE(part);
      CHECK(worst_difference(got.data() + (begin - adapter.parameters.as<float>()), values.data(), tensor->numel()) <
            tolerance);
    }
}

}  // namespace

TEST_CASE("rotary frequencies equal transformers', with Llama 3's scaling too") {
  for (const char* name : kModels) {
    const Tiny tiny(name);
    const auto got = rope_inverse_frequencies(tiny.model.config());
    const auto& want = tiny.base.at("inverse_frequencies", "base").as_array("base");
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(want[i].as_number("f")).epsilon(1e-6));
  }
}

TEST_CASE("the logits of every position equal transformers', token by token through the cache and all at once") {
  for (const char* name : kModels) {
    const Tiny tiny(name);
    const SafetensorsFile want(tiny.folder + "/base.logits.safetensors");
    for (std::size_t e = 0; e < tiny.examples.size(); ++e) {
      const Example& example = tiny.examples[e];
      const SafetensorsTensor& tensor = *want.find(std::to_string(e));
      std::vector<float> logits(static_cast<std::size_t>(tensor.numel())), got, nll;
      want.read(tensor, logits.data());
      PassOptions options;
      options.max_tokens = options.max_positions = example.length();
      Pass pass(tiny.model, nullptr, options);
      KvCache cache(tiny.model, example.length());
      const std::int64_t vocab = tiny.model.config().vocab_size;
      for (std::int32_t t = 0; t < example.length(); ++t) {
        Batch one;
        one.tokens = {example.tokens[static_cast<std::size_t>(t)]};
        one.positions = {t}, one.segment_offsets = {0, 1}, one.row_keys = {0};
        pass.forward_cached(one, {{t}, {0}, {t + 1}, {0}}, cache, got, nll);
        CHECK(worst_difference(got.data(), logits.data() + t * vocab, vocab) < 1e-5);
      }
      Batch all;
      append_segment(all, example);
      const auto length = static_cast<std::int32_t>(example.length());
      CachePlacement placement{{}, {0}, {length}, {length - 1}};
      for (std::int32_t t = 0; t < example.length(); ++t) placement.rows.push_back(t);
      pass.forward_cached(all, placement, cache, got, nll);
      CHECK(worst_difference(got.data(), logits.data() + (example.length() - 1) * vocab, vocab) < 1e-5);
    }
  }
}

TEST_CASE("per-example loss equals transformers' and PEFT's, packed or alone, bit for bit") {
  for (const char* name : kModels) {
    const Tiny tiny(name);
    for (const char* which : {"base", "adapter", "patterns"}) {
      const Json fixture = tiny.fixture(which);
      const bool adapted = std::string(which) != "base";
      const LoraAdapter adapter = adapted ? tiny.adapter(which) : LoraAdapter{};
      const LossReport packed = evaluate_loss(tiny.model, adapted ? &adapter : nullptr, tiny.examples);
      const auto& want = fixture.at("nll", which).as_array(which);
      for (std::size_t i = 0; i < want.size(); ++i) {
        CHECK(packed.examples[i].nll == doctest::Approx(want[i].as_number("nll")).epsilon(1e-5));
        const LossReport alone = evaluate_loss(tiny.model, adapted ? &adapter : nullptr, {&tiny.examples[i], 1});
        CHECK(alone.examples[0].nll == packed.examples[i].nll);
      }
      CHECK(packed.loss == doctest::Approx(fixture.at("loss", which).as_number("loss")).epsilon(1e-5));
    }
  }
}

TEST_CASE("every adapter gradient equals PEFT's, under every memory plan with the same bits") {
  for (const char* name : kModels) {
    const Tiny tiny(name);
    for (const char* which : kAdapters) {
      const LoraAdapter adapter = tiny.adapter(which);
      const Gradients all = gradients(tiny, adapter, {tiny.examples}, Keep::gemm_outputs);
      check_gradients(adapter, all.values, tiny.folder + "/" + which + ".gradients.safetensors", 1e-5);
      for (const Keep keep : {Keep::without_mlp, Keep::input}) {
        const Gradients less = gradients(tiny, adapter, {tiny.examples}, keep);
        CHECK(less.nll == all.nll);
        CHECK(less.values == all.values);
      }
    }
  }
}

TEST_CASE("packed, alone and accumulated gradients agree") {
  const Tiny tiny("rich");
  const LoraAdapter adapter = tiny.adapter("adapter");
  const Gradients packed = gradients(tiny, adapter, {tiny.examples}, Keep::gemm_outputs);
  std::vector<std::vector<Example>> alone, pairs;
  for (const Example& example : tiny.examples) alone.push_back({example});
  for (std::size_t i = 0; i < tiny.examples.size(); i += 2) pairs.push_back({tiny.examples[i], tiny.examples[i + 1]});
  for (const auto& batches : {alone, pairs}) {
    const Gradients accumulated = gradients(tiny, adapter, batches, Keep::gemm_outputs);
    CHECK(accumulated.nll == packed.nll);
    CHECK(worst_difference(accumulated.values.data(), packed.values.data(),
                           static_cast<std::int64_t>(packed.values.size())) < 1e-5);
  }
}

TEST_CASE("no token of one segment reaches another") {
  Tiny tiny("plain");
  const Batch before = pack_all(tiny.examples);
  for (std::int32_t& token : tiny.examples[1].tokens) token = 3 + (token + 11) % 90;
  const Batch after = pack_all(tiny.examples);
  PassOptions options;
  options.max_tokens = before.size();
  Pass pass(tiny.model, nullptr, options);
  std::vector<float> a, b;
  pass.forward(before, a);
  pass.forward(after, b);
  std::size_t row = 0;
  for (std::size_t e = 0; e < tiny.examples.size(); ++e)
    for (std::int64_t i = 0; i < tiny.examples[e].supervised_tokens(); ++i, ++row)
      CHECK((a[row] == b[row]) == (e != 1));
}

TEST_CASE("ten losses, norms and rates of AdamW equal PEFT's with torch") {
  for (const char* name : kModels) {
    const Tiny tiny(name);
    for (const char* which : kAdapters) {
      LoraAdapter adapter = tiny.adapter(which);
      const Json fixture = tiny.fixture(which);
      const auto steps = golden_training(fixture, tiny.examples);
      Trainer trainer(tiny.model, adapter, steps.examples, steps.options);
      for (std::size_t i = 0; i < 10; ++i) {
        const StepReport report = trainer.step();
        CAPTURE(i);
        CHECK(report.loss == doctest::Approx(steps.losses[i]).epsilon(1e-5));
        CHECK(report.grad_norm == doctest::Approx(steps.grad_norms[i]).epsilon(1e-4));
        CHECK(report.lr == doctest::Approx(steps.lrs[i]).epsilon(1e-5));
      }
      CHECK(trainer.done());
    }
  }
}

TEST_CASE("bf16 compute stays near f32 where the CPU has it") {
  if (default_compute() != DType::bf16) {
    CHECK_THROWS_WITH_AS(Tiny("plain", DType::bf16), "[model] this CPU has no bf16 arithmetic; use --compute f32",
                         Error);
    return;
  }
  const Tiny tiny("plain"), rounded("plain", DType::bf16);
  const LossReport exact = evaluate_loss(tiny.model, nullptr, tiny.examples);
  const LossReport got = evaluate_loss(rounded.model, nullptr, tiny.examples);
  CHECK(got.loss == doctest::Approx(exact.loss).epsilon(0.02));
  const LoraAdapter adapter = rounded.adapter("adapter");
  const Gradients packed = gradients(rounded, adapter, {tiny.examples}, Keep::gemm_outputs);
  check_gradients(adapter, packed.values, tiny.folder + "/adapter.gradients.safetensors", 0.1);
  CHECK(gradients(rounded, adapter, {tiny.examples}, Keep::input).values == packed.values);
}

TEST_CASE("dropout changes the loss, repeats for the same step, and differs between steps and modules") {
  const Tiny tiny("plain");
  LoraAdapter adapter = tiny.adapter("adapter");
  adapter.config.lora_dropout = 0.5;
  const Batch batch = pack_all(tiny.examples);
  Pass pass(tiny.model, &adapter, training(batch.size(), Keep::gemm_outputs, 2));
  Pass recomputing(tiny.model, &adapter, training(batch.size(), Keep::input, 2));
  std::vector<float> nll[4], g[4];
  for (auto& values : g) values.resize(static_cast<std::size_t>(adapter.parameters.bytes() / 4));
  pass.forward_backward(batch, 0.1f, g[0].data(), nll[0], {1, 0});
  pass.forward_backward(batch, 0.1f, g[1].data(), nll[1], {1, 0});
  pass.forward_backward(batch, 0.1f, g[2].data(), nll[2], {1, 1});
  recomputing.forward_backward(batch, 0.1f, g[3].data(), nll[3], {1, 0});
  CHECK(nll[0] == nll[1]);
  CHECK(nll[0] != nll[2]);
  CHECK(nll[0] == nll[3]);
  CHECK(g[0] == g[1]);
  CHECK(g[0] == g[3]);
  // Central differences of the very same masks.
  const LoraModule& module = adapter.modules[3];
  const auto loss = [&] {
    std::vector<float> rows, unused(g[0].size());
    pass.refresh_adapter();
    pass.forward_backward(batch, 0.1f, unused.data(), rows, {1, 0});
    double sum = 0;
    std::size_t row = 0;
    for (std::size_t t = 0; t < batch.labels.size(); ++t)
      if (batch.labels[t] != kIgnoreLabel) sum += 0.1 * double{batch.weights[t]} * double{rows[row++]};
    return sum;
  };
  for (const std::int64_t i : {0, 7, 31}) {
    const float kept = module.a[i], h = 0.02f;
    module.a[i] = kept + h;
    const double above = loss();
    module.a[i] = kept - h;
    const double below = loss();
    module.a[i] = kept;
    const double got = g[0][static_cast<std::size_t>(module.a + i - adapter.parameters.as<float>())];
    CHECK(got == doctest::Approx((above - below) / (2.0 * double{h})).epsilon(0.02).scale(0.01));
  }
}

TEST_CASE("greedy tokens do not depend on the other prompts, and a shared prefix changes nothing") {
  const Tiny tiny("rich");
  std::vector<std::int32_t> prefix;
  for (std::int32_t i = 0; i < 20; ++i) prefix.push_back(3 + i);
  std::vector<std::vector<std::int32_t>> prompts;
  for (std::int32_t i = 0; i < 5; ++i) {
    prompts.push_back(prefix);
    for (std::int32_t j = 0; j <= i; ++j) prompts.back().push_back(40 + 7 * i + j);
  }
  GenerateOptions options;
  options.max_tokens = 12;
  options.max_batch = 3;
  const auto together = generate(tiny.model, nullptr, prompts, options);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto alone = generate(tiny.model, nullptr, {&prompts[i], 1}, options);
    CHECK(alone[0].tokens == together[i].tokens);
    CHECK(alone[0].tokens.size() == 12);
  }
  options.stop = {together[0].tokens[3]};
  const auto stopped = generate(tiny.model, nullptr, {&prompts[0], 1}, options);
  CHECK(stopped[0].stopped);
  CHECK(stopped[0].tokens.size() <= 3);
  CHECK_THROWS_AS(generate(tiny.model, nullptr, std::vector<std::vector<std::int32_t>>{{}}, options), Error);
}

TEST_CASE("a text that begins with its prompt is scored by the pass of the prompt, in the same bits, and not seen by the answer") {
  for (const char* name : kModels) {
    const Tiny tiny(name);
    for (const bool prefixed : {false, true}) {
      std::vector<Example> texts(5);
      std::vector<std::vector<std::int32_t>> prompts;
      std::vector<const Example*> pointers;
      for (std::int32_t i = 0; i < 5; ++i) {
        Example& text = texts[static_cast<std::size_t>(i)];
        if (prefixed)
          for (std::int32_t j = 0; j < 70; ++j) text.tokens.push_back(3 + j % 50);
        for (std::int32_t j = 0; j <= 3 * i; ++j) text.tokens.push_back(40 + 7 * i + j);
        prompts.push_back(text.tokens);
        text.supervised.resize(text.tokens.size());
        for (std::int32_t j = 0; j < 1 + 9 * i; ++j) text.tokens.push_back(5 + i + j), text.supervised.push_back(j % 4 != 2);
        pointers.push_back(i == 3 ? nullptr : &text);
      }
      GenerateOptions options;
      options.max_tokens = 12, options.max_batch = 3;
      const auto alone = generate(tiny.model, nullptr, prompts, options);
      const auto scored = generate(tiny.model, nullptr, prompts, options, {}, pointers);
      const LossReport want = evaluate_loss(tiny.model, nullptr, texts, 2048);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        CHECK(scored[i].tokens == alone[i].tokens);
        CHECK(scored[i].nll == (i == 3 ? 0 : want.examples[i].nll));
      }
      texts[1].tokens[0] += 1;
      CHECK_THROWS_AS(generate(tiny.model, nullptr, prompts, options, {}, pointers), Error);
      texts[1].tokens[0] -= 1;
      texts[2].supervised[2] = 1;  // a token of the prompt counts too: it is not skipped with a shared prefix
      const auto again = generate(tiny.model, nullptr, prompts, options, {}, pointers);
      CHECK(again[2].nll == evaluate_loss(tiny.model, nullptr, {&texts[2], 1}, 2048).examples[0].nll);
      CHECK(again[2].tokens == alone[2].tokens);
    }
  }
}

TEST_CASE("a generation that its callback ends gives what it has, at whichever token that is") {
  const Tiny tiny("rich");
  const std::vector<std::vector<std::int32_t>> prompts{{3, 4, 5}, {6, 7}, {8}};
  GenerateOptions options;
  options.max_tokens = 4;
  options.max_batch = 2;
  const auto whole = generate(tiny.model, nullptr, prompts, options);
  for (std::size_t last = 1; last <= 12; ++last) {
    std::size_t seen = 0, kept = 0;
    const auto some =
        generate(tiny.model, nullptr, prompts, options, [&](std::size_t, std::int32_t) { return ++seen < last; });
    CHECK(seen == last);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      kept += some[i].tokens.size();
      CHECK(std::equal(some[i].tokens.begin(), some[i].tokens.end(), whole[i].tokens.begin()));
    }
    CHECK(kept == last);
  }
}

TEST_CASE("sampling follows the distribution that temperature, top-k and top-p leave") {
  const std::vector<float> logits{0.0f, 1.0f, 2.0f, -1.0f};
  GenerateOptions options;
  CHECK(sample_token(logits, options, 0, 0) == 2);
  options.temperature = 1, options.top_k = 2;
  int counts[4] = {};
  for (std::uint64_t i = 0; i < 4000; ++i) ++counts[sample_token(logits, options, 0, i)];
  CHECK(counts[0] + counts[3] == 0);
  CHECK(counts[2] / 4000.0 == doctest::Approx(0.731).epsilon(0.03));
  options.top_k = 0, options.top_p = 0.6;
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(sample_token(logits, options, 0, i) == 2);
  CHECK_THROWS_AS(sample_token(std::vector<float>{NAN, NAN}, options, 0, 0), Error);
}

TEST_CASE("a trainer restored at any step ends with the same bytes, for one, two and three threads") {
  const Tiny tiny("plain");
  const int before = threads();
  TrainOptions options;
  options.loader = {40, 0, 1, Order::shuffle, 5};
  options.steps = 7, options.adamw.lr = 0.01;
  for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::adamw8bit}) {
    options.optimizer = optimizer;
    LoraAdapter straight = tiny.adapter("adapter");
    Trainer trainer(tiny.model, straight, tiny.examples, options);
    while (!trainer.done()) trainer.step();
    for (std::int64_t stop = 0; stop < 7; ++stop) {
      set_threads(1 + static_cast<int>(stop % 3));
      LoraAdapter first = tiny.adapter("adapter"), second = tiny.adapter("adapter");
      Trainer begun(tiny.model, first, tiny.examples, options);
      for (std::int64_t i = 0; i < stop; ++i) begun.step();
      std::memcpy(second.parameters.data(), first.parameters.data(),
                  static_cast<std::size_t>(first.parameters.bytes()));
      Trainer resumed(tiny.model, second, tiny.examples, options);
      resumed.restore(begun.optimizer_state(), parse_json(dump_json(begun.position()), "position"));
      while (!resumed.done()) resumed.step();
      CHECK(std::memcmp(second.parameters.data(), straight.parameters.data(),
                        static_cast<std::size_t>(straight.parameters.bytes())) == 0);
      CHECK(resumed.train_loss() == trainer.train_loss());
    }
  }
  set_threads(before);
}

TEST_CASE("a loss that is not finite stops in its step and names the layer, or is skipped") {
  const Tiny tiny("plain");
  LoraAdapter adapter = tiny.adapter("adapter");
  TrainOptions options;
  options.loader = {64, 0, 1, Order::given, 0};
  options.steps = 3;
  adapter.modules[8].b[0] = std::numeric_limits<float>::infinity();
  Trainer trainer(tiny.model, adapter, tiny.examples, options);
  CHECK_THROWS_WITH_AS(trainer.step(), doctest::Contains("model.layers.1"), Error);
  CHECK(trainer.step_count() == 0);
  options.on_nonfinite = OnNonFinite::skip;
  Trainer skipping(tiny.model, adapter, tiny.examples, options);
  CHECK(skipping.step().skipped);
  CHECK(skipping.step_count() == 1);
}
