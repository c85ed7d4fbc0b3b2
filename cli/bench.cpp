// SPDX-License-Identifier: Apache-2.0
// Speeds as fractions of this machine's own peak, measured in the same process in the same minute.
#include <algorithm>
#include <chrono>

#include "bench_model.h"
#include "cli.h"
#include "ftlib/core/random.h"
#include "ftlib/core/resources.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/model/flops.h"
#include "ftlib/model/generate.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/linear.h"
#include "ftlib/ops/peak.h"
#include "ftlib/train/plan.h"
#include "ftlib/train/trainer.h"
#include "profile.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

struct BenchArguments {
  ModelOptions model;
  std::string shape, memory;
  std::int64_t tokens = 2048, length = 512, rank = 16, supervised = 1, repeats = 5, new_tokens = 128, prompts = 1;
  bool json = false, profile = false;
};

/// What a benchmark runs on: registers, the files of a model, or weights that may be random.
enum class Needs { nothing, files, weights };

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// The model of --model, or random weights in the shape of --shape, which may be told to have fewer layers.
CausalLM load(const BenchArguments& o, std::int64_t layers = INT64_MAX) {
  FT_CHECK(o.shape.empty() == !o.model.model.empty(), invalid_argument, "bench: needs --model or --shape");
  const auto files = o.shape.empty() ? ModelFiles::open(o.model.model) : random_model(o.shape, layers);
  return CausalLM::load(*files, o.model.base_format(), o.model.compute_dtype());
}

/// The upper one of two.
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Median seconds of `repeats` runs after one that warms up.
template <class Body>
double median_seconds(std::int64_t repeats, Body&& body) {
  body();
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < repeats; ++i) {
    const double begin = now();
    body();
    seconds.push_back(now() - begin);
  }
  return median(std::move(seconds));
}

void report(const BenchArguments& o, Json json) {
  if (o.json) return print_json(json);
  std::string line;
  for (const auto& [key, value] : json.as_object("bench")) {
    if (key == "event") continue;
    const std::string text = value.is_string()    ? value.as_string("")
                             : value.is_integer() ? grouped(value.as_integer(""))
                                                  : fixed(value.as_number(""), 3);
    line += concat(line.empty() ? "" : ", ", key, " ", text);
  }
  print_line(line);
}

Json result(const char* what) {
  Json json = Json::object();
  json["event"] = "bench";
  json["what"] = what;
  json["threads"] = std::int64_t{threads()};
  return json;
}

int bench_peak(const BenchArguments& o) {
  apply_threads(o.model.threads);
  for (const DType compute : {DType::f32, DType::bf16}) {
    if (compute == DType::bf16 && default_compute() != DType::bf16) continue;
    Json json = result("peak");
    json["compute"] = dtype_name(compute);
    json["isa"] = active_backends().front()->name;
    json["compiler"] = kCompiler;
    json["version"] = FTLIB_VERSION;
    json["gflops"] = peak_flops(compute) / 1e9;
    report(o, std::move(json));
  }
  return kDone;
}

/// The linears of layer 0 of the model, forward and backward, on random rows, each beside a peak of its own minute.
int bench_gemm(const BenchArguments& o) {
  apply_threads(o.model.threads);
  const CausalLM model = load(o, 1);
  for (int kind = 0; kind < kLinearKinds; ++kind) {
    const WeightView& weight = model.weights().layers[0].linear[static_cast<std::size_t>(kind)];
    const std::int64_t bytes = dtype_bytes(model.compute());
    Buffer x(o.tokens * weight.in() * bytes), y(o.tokens * weight.out() * bytes);
    const TensorView in = matrix_view<void*>(x.data(), o.tokens, weight.in(), model.compute());
    const TensorView out = matrix_view<void*>(y.data(), o.tokens, weight.out(), model.compute());
    const double flops = 2.0 * static_cast<double>(o.tokens) * static_cast<double>(weight.numel());
    const double forward = median_seconds(o.repeats, [&] { linear({in, weight, {}, {}, {}, out}); });
    const double peak = peak_flops_now(model.compute());
    const double backward = median_seconds(o.repeats, [&] { linear_backward({out, weight, {}, {}, in}); });
    Json json = result("gemm");
    if (!o.shape.empty()) json["shape"] = o.shape;
    json["linear"] = linear_path(static_cast<LinearKind>(kind));
    json["weight"] = describe(weight);
    json["tokens"] = o.tokens;
    json["backend"] = backend_used("linear");
    json["peak_gflops"] = peak / 1e9;
    json["forward_gflops"] = flops / forward / 1e9, json["forward_peak_fraction"] = flops / forward / peak;
    json["backward_gflops"] = flops / backward / 1e9, json["backward_peak_fraction"] = flops / backward / peak;
    report(o, std::move(json));
  }
  return kDone;
}

/// Segments of `length` random tokens that make up one batch.
std::vector<Example> random_examples(const BenchArguments& o, std::int64_t vocab_size) {
  Random random(1);
  std::vector<Example> examples;
  for (std::int64_t at = 0; at + o.length <= o.tokens; at += o.length) {
    Example example;
    example.index = static_cast<std::int64_t>(examples.size());
    for (std::int64_t i = 0; i < o.length; ++i) {
      example.tokens.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocab_size))));
      example.supervised.push_back(i > 0 && i % o.supervised == 0);
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

int bench_step(const BenchArguments& o) {
  apply_threads(o.model.threads);
  FT_CHECK(o.length <= o.tokens, invalid_argument, "bench: --length ", o.length, " is more than --tokens ", o.tokens);
  const CausalLM model = load(o);
  LoraConfig config;
  config.r = o.rank;
  LoraAdapter adapter = make_lora_adapter(model.config(), config);
  initialize(adapter, 0);
  const std::vector<Example> examples = random_examples(o, model.config().vocab_size);
  TrainOptions options;
  options.loader.batch_tokens = o.tokens;
  options.steps = o.repeats + 1;
  const std::int64_t budget = o.memory.empty() ? 0 : parse_bytes(o.memory);
  const MemoryPlan plan = plan_memory(model, adapter, examples, options, budget);
  Trainer trainer(model, adapter, examples, options, plan.keep);
  StepReport step = trainer.step();
  std::vector<double> seconds, peaks = {peak_flops_now(model.compute())};
  Profile profile;
  while (!trainer.done()) {
    {
      std::optional<ProfileScope> scope;
      if (o.profile) scope.emplace(profile);
      seconds.push_back((step = trainer.step()).seconds);
    }
    peaks.push_back(peak_flops_now(model.compute()));  // beside each step: neighbours come and go
  }
  const double typical = median(std::move(seconds));
  Json json = result("step");
  if (!o.shape.empty()) json["shape"] = o.shape;
  json["base"] = o.model.base, json["compute"] = dtype_name(model.compute());
  json["tokens"] = step.tokens, json["segment"] = o.length, json["supervised_tokens"] = step.supervised_tokens,
  json["rank"] = o.rank;
  if (budget > 0) json["budget_bytes"] = budget;
  json["seconds"] = typical;
  json["tokens_per_s"] = static_cast<double>(step.tokens) / typical;
  json["gflops"] = step.flops / typical / 1e9;
  json["peak_fraction"] = step.flops / typical / median(std::move(peaks));
  json["peak_rss_bytes"] = resource_usage().peak_rss_bytes;
  report(o, std::move(json));
  if (o.profile) report_profile(profile, model.compute(), step.tokens * o.repeats, o.json, "ftlib-trace.json");
  return kDone;
}

int bench_generate(const BenchArguments& o) {
  apply_threads(o.model.threads);
  const CausalLM model = load(o);
  Random random(1);
  std::vector<std::vector<std::int32_t>> prompts(static_cast<std::size_t>(o.prompts));
  for (auto& prompt : prompts)
    for (std::int64_t i = 0; i < o.length; ++i)
      prompt.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(model.config().vocab_size))));
  GenerateOptions options;
  options.max_tokens = 1;
  const double prefill = median_seconds(o.repeats, [&] { generate(model, nullptr, prompts, options); });
  options.max_tokens = o.new_tokens;
  const double all = median_seconds(o.repeats, [&] { generate(model, nullptr, prompts, options); });
  Profile profile;
  if (o.profile) {
    const ProfileScope scope(profile);
    generate(model, nullptr, prompts, options);
  }
  Json json = result("generate");
  json["base"] = o.model.base, json["compute"] = dtype_name(model.compute());
  json["prompts"] = o.prompts, json["prompt_tokens"] = o.length, json["new_tokens"] = o.new_tokens;
  json["prompt_tokens_per_s"] = static_cast<double>(o.prompts * o.length) / prefill;
  json["new_tokens_per_s"] = static_cast<double>(o.prompts * (o.new_tokens - 1)) / std::max(all - prefill, 1e-9);
  report(o, std::move(json));
  if (o.profile)
    report_profile(profile, model.compute(), o.prompts * (o.length + o.new_tokens), o.json, "ftlib-trace.json");
  return kDone;
}

/// Words of random letters with the lengths of English: no text of others.
std::string random_text(std::size_t bytes) {
  Random random(2);
  std::string text;
  while (text.size() < bytes) {
    for (std::uint64_t n = 1 + random.below(9); n > 0; --n) text += static_cast<char>('a' + random.below(26));
    text += random.below(12) == 0 ? ".\n" : " ";
  }
  return text;
}

int bench_tokenize(const BenchArguments& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model.model);
  const std::string text = random_text(std::size_t{4} << 20);
  std::size_t count = 0;
  const double seconds = median_seconds(o.repeats, [&] { count = tokenizer.encode(text).size(); });
  Json json = result("tokenize");
  json["bytes"] = static_cast<std::int64_t>(text.size()), json["tokens"] = static_cast<std::int64_t>(count);
  json["mb_per_s"] = static_cast<double>(text.size()) / seconds / 1e6;
  report(o, std::move(json));
  return kDone;
}

int bench_load(const BenchArguments& o) {
  apply_threads(o.model.threads);
  Json json = result("load");
  json["base"] = o.model.base;
  json["weights_bytes"] = std::int64_t{0};
  const double seconds = median_seconds(o.repeats, [&] {
    json["weights_bytes"] =
        CausalLM::load(o.model.model, o.model.base_format(), o.model.compute_dtype()).weights().bytes;
  });
  json["seconds"] = seconds;
  report(o, std::move(json));
  return kDone;
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto o = std::make_shared<BenchArguments>();
  CLI::App& bench = *app.add_subcommand("bench", "Speeds, as fractions of this CPU's own peak");
  bench.require_subcommand(1);
  const auto add = [&](const char* name, const char* text, int (*run)(const BenchArguments&), Needs needs) {
    CLI::App& c = *bench.add_subcommand(name, text);
    if (needs == Needs::nothing)
      add_threads_option(c, o->model.threads);
    else
      o->model.add_to(c);
    if (needs == Needs::weights) {
      c.get_option("--model")->required(false);
      c.add_option("--shape", o->shape, "or random weights in the shape of a known model")
          ->check(CLI::IsMember(shape_names()))
          ->excludes("--model");
    }
    c.add_option("--repeats", o->repeats, "the median of so many runs")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    c.add_flag("--json", o->json, "JSON, one object a line");
    c.callback([o, run, &action] { action = [o, run] { return run(*o); }; });
    return &c;
  };
  add("peak", "multiply-adds in registers", bench_peak, Needs::nothing);
  add("tokenize", "encoding of random words on one core", bench_tokenize, Needs::files);
  add("load", "reading the model, its file cached", bench_load, Needs::files);
  for (CLI::App* c : {add("gemm", "the linears of one layer, forward and backward", bench_gemm, Needs::weights),
                      add("step", "a training step on random tokens", bench_step, Needs::weights)})
    c->add_option("--tokens", o->tokens, "tokens a step")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  CLI::App* step = bench.get_subcommand("step");
  step->add_option("--length", o->length, "tokens a segment")->check(CLI::Range(2, 1 << 20))->capture_default_str();
  step->add_option("--rank", o->rank, "LoRA rank, all linears")->check(CLI::Range(1, 4096))->capture_default_str();
  step->add_option("--memory", o->memory, "bound on the process's peak memory, e.g. 700MiB")->type_name("BYTES");
  step->add_option("--supervise-every", o->supervised, "one token in so many is a target")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  CLI::App* generation = add("generate", "prompts of random tokens", bench_generate, Needs::weights);
  generation->add_option("--length", o->length, "tokens a prompt")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  generation->add_option("--max-tokens", o->new_tokens, "new tokens")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  for (CLI::App* c : {step, generation})
    c->add_flag("--profile", o->profile, "time, FLOP and bytes of every op, and a Chrome trace, ftlib-trace.json");
  generation->add_option("--prompts", o->prompts, "at once")->check(CLI::Range(1, 4096))->capture_default_str();
}

}  // namespace ftlib::cli
