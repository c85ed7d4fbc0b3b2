// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "cli.h"
#include "dataset.h"
#include "from.h"
#include "ftlib/core/digest.h"
#include "ftlib/ops/peak.h"
#include "ftlib/train/plan.h"
#include "ftlib/train/run.h"
#include "profile.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

struct TuneArguments {
  ModelOptions model;
  DataOptions data;
  std::string train, valid, out, init_adapter;
  std::vector<std::string> from;
  LoraConfig lora;
  std::vector<std::string> target{"all-linear"}, rank_pattern, alpha_pattern;
  TrainOptions options;
  std::string schedule = "cosine", optimizer = "adamw", order = "shuffle", on_nonfinite = "stop", memory;
  std::vector<double> betas{0.9, 0.999};
  std::int64_t memory_bytes = 0, batch_tokens = 2048, batch_examples = 0, valid_every = 0, patience = 0, save_every = 0;
  bool resume = false, overwrite = false, json = false, profile = false;
  CLI::Option* rank_option = nullptr;
};

std::pair<std::string, std::string> split_pattern(const std::string& text, const char* option) {
  const std::size_t equals = text.rfind('=');
  FT_CHECK(equals != text.npos && equals > 0 && equals + 1 < text.size(), invalid_argument, option,
           ": want KEY=VALUE, got ", excerpt(text));
  return {text.substr(0, equals), text.substr(equals + 1)};
}

template <class Number>
Number pattern_value(const std::string& text, const char* option) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  FT_CHECK(error == std::errc() && end == text.data() + text.size(), invalid_argument, option,
           ": want a number after =, got ", excerpt(text));
  return value;
}

/// The options as the library takes them.
void resolve(TuneArguments& o) {
  o.lora.target_modules = o.target;
  for (const std::string& text : o.rank_pattern) {
    const auto [key, value] = split_pattern(text, "--rank-pattern");
    o.lora.rank_pattern.emplace_back(key, pattern_value<std::int64_t>(value, "--rank-pattern"));
  }
  for (const std::string& text : o.alpha_pattern) {
    const auto [key, value] = split_pattern(text, "--alpha-pattern");
    o.lora.alpha_pattern.emplace_back(key, pattern_value<double>(value, "--alpha-pattern"));
  }
  TrainOptions& t = o.options;
  t.loader.batch_examples = o.batch_examples;
  t.loader.batch_tokens = o.batch_examples > 0 ? 0 : o.batch_tokens;
  t.loader.order = o.order == "given" ? Order::given : Order::shuffle;
  t.optimizer = o.optimizer == "adamw8bit" ? Optimizer::adamw8bit : Optimizer::adamw;
  t.schedule = schedule_by_name(o.schedule);
  t.on_nonfinite = o.on_nonfinite == "skip" ? OnNonFinite::skip : OnNonFinite::stop;
  if (!o.memory.empty()) o.memory_bytes = parse_bytes(o.memory);
  t.adamw.beta1 = o.betas[0], t.adamw.beta2 = o.betas[1];
  if (o.batch_examples == 0 && !o.data.truncate) return;
  FT_CHECK(o.batch_examples > 0 || o.data.max_length <= o.batch_tokens, invalid_argument, "--max-length ",
           o.data.max_length, " is more than --batch-tokens ", o.batch_tokens);
}

LoraAdapter make_adapter(const TuneArguments& o, const CausalLM& model, const ModelFiles& files) {
  if (o.init_adapter.empty()) {
    LoraAdapter adapter = make_lora_adapter(model.config(), o.lora);
    initialize(adapter, o.options.loader.seed);
    return adapter;
  }
  AdapterFile file = load_adapter(o.init_adapter, model.config());
  FT_CHECK(o.rank_option->count() == 0 || o.lora.r == file.adapter.config.r, invalid_argument, "--rank ", o.lora.r,
           " differs from ", o.init_adapter, "'s ", file.adapter.config.r,
           "; its configuration wins: leave --rank out");
  check_base(file.origin, files, model.base());
  return std::move(file.adapter);
}

/// Every resolved option that decides the bits of the run.
Json options_json(const TuneArguments& o, const CausalLM& model, const LoraAdapter& adapter) {
  Json json = train_options_json(o.options);
  const Json lora = lora_config_json(adapter.config);
  for (const auto& [key, value] : lora.as_object("lora")) json.append(key, value);
  json["init_adapter"] = o.init_adapter.empty() ? Json() : Json(adapter_digest(adapter));
  json["base"] = o.model.base;
  if (o.model.base == "nf4")
    json["block_size"] = std::int64_t{o.model.block_size}, json["double_quant"] = o.model.double_quant;
  json["compute"] = dtype_name(model.compute());
  json["max_length"] = o.data.max_length;
  json["truncate"] = o.data.truncate;
  json["supervise"] = o.data.supervise;
  json["date"] = o.data.date.empty() ? Json() : Json(o.data.date);
  json["valid_every"] = o.valid_every, json["patience"] = o.patience;
  return json;
}

/// What the user sees of a run: JSON lines on request, else a bar and a few sentences.
class Display {
 public:
  Display(const TuneArguments& o, double work) : json_(o.json), work_(work), out_(o.out) {}

  void operator()(const Json& event) {
    if (json_) print_json(event);
    const std::string& kind = event.at("event", "event").as_string("event");
    if (kind == "plan") plan(event);
    if (kind == "step") step(event);
    if (kind == "eval")
      line(concat("step ", event.at("step", "").as_integer(""), ": validation loss ", number(event, "loss", 4),
                  ", perplexity ", number(event, "perplexity", 2)));
    if (kind == "warning") line("warning: " + event.at("message", "").as_string(""));
    if (kind == "resume") resume(event.at("step", "").as_integer(""));
  }

  void done(const Json& event) {
    bar_.reset();
    if (json_) return;
    print_line(concat("train loss ", number(event, "train_loss", 4),
                      event.find("valid_loss") && !event.find("valid_loss")->is_null()
                          ? concat(", validation loss ", number(event, "valid_loss", 4))
                          : "",
                      ", ", number(event, "tokens_per_s", 0), " tokens/s, peak memory ",
                      human_bytes(event.at("peak_rss_bytes", "").as_integer("")), ", ",
                      number(event, "peak_fraction", 2), " of this CPU's peak"));
    print_line(concat("adapter: ", out_, " (PEFT), ", out_, "/adapter.gguf (llama.cpp)"));
  }

 private:
  static std::string number(const Json& event, const char* key, int digits) {
    const Json* value = event.find(key);
    return value && value->is_number() ? fixed(value->as_number(key), digits) : "-";
  }
  void line(const std::string& text) {
    if (bar_)
      bar_->line(text);
    else
      std::fprintf(stderr, "%s\n", text.c_str());
  }
  void resume(std::int64_t step) {
    resumed_at_ = step;
    line(concat("resumed at step ", step));
  }
  void plan(const Json& event) {
    const std::int64_t steps = event.at("steps", "").as_integer("");
    predicted_ = event.at("predicted_seconds", "").as_number("");
    line(concat("plan: ", steps, " steps, about ", duration(predicted_), ", peak memory ",
                human_bytes(event.at("peak_bytes", "").as_integer("")), " (", event.at("plan", "").as_string(""), "), ",
                grouped(event.at("trainable_parameters", "").as_integer("")), " trainable parameters"));
    bar_.emplace("tune", steps, resumed_at_);
    total_ = steps;
  }
  void step(const Json& event) {
    const std::int64_t number_of_step = event.at("step", "").as_integer("");
    const double rate = event.at("tokens_per_s", "").as_number("");
    if (first_ && total_ > 1) correct(rate);
    first_ = false;
    bar_->update(number_of_step, concat("loss ", number(event, "loss", 3), "  ", fixed(rate, 0), " tokens/s"));
  }
  /// After the first step the prediction is right within 20 %, or said anew.
  void correct(double tokens_per_s) {
    const double seconds = work_ / std::max(tokens_per_s, 1e-9);
    if (std::abs(seconds - predicted_) > 0.2 * seconds) line(concat("the first step says: about ", duration(seconds)));
  }

  bool json_;
  double work_;  // tokens of the whole run
  std::string out_;
  std::optional<Progress> bar_;
  double predicted_ = 0;
  std::int64_t total_ = 0, resumed_at_ = 0;
  bool first_ = true;
};

std::string plan_text(const MemoryPlan& plan) {
  const std::int64_t a = plan.layers(Keep::gemm_outputs), b = plan.layers(Keep::without_mlp),
                     c = plan.layers(Keep::input);
  std::string text;
  for (const auto& [name, count] : {std::pair{"A", a}, std::pair{"B", b}, std::pair{"C", c}})
    if (count > 0) text += concat(text.empty() ? "plan " : ", ", name, " for ", count, " layers");
  return text;
}

// The share of its peak that a step reached on the machines measured so far; only for the plan's first guess.
constexpr double kExpectedFraction = 0.6;

Json machine_json(const CausalLM& model, const LoraAdapter& adapter, const MemoryPlan& plan, const RunLength& length,
                  const TuneArguments& o) {
  Json json = Json::object();
  json["threads"] = std::int64_t{threads()};
  json["plan"] = plan_text(plan);
  json["peak_bytes"] = plan.peak_bytes();
  json["budget_bytes"] = plan.budget_bytes;
  json["tokens"] = length.work.tokens;
  json["supervised_tokens"] = length.work.supervised_tokens;
  json["predicted_seconds"] =
      training_flops(model.config(), adapter, length.work) / (kExpectedFraction * peak_flops(model.compute()));
  json["save_every"] = o.save_every;
  return json;
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

int tune(TuneArguments& o) {
  resolve(o);
  apply_threads(o.model.threads);
  const auto files = ModelFiles::open(o.model.model);
  const ModelData text(o.model.model, o.data);
  const Dataset train = load_dataset(o.train, text, o.data);
  const Dataset valid = o.valid.empty() ? Dataset{} : load_dataset(o.valid, text, o.data);
  report_dataset(o.train, train, o.data.max_length);
  if (!o.valid.empty()) report_dataset(o.valid, valid, o.data.max_length);
  const CausalLM model = o.model.load(*files, text.tokenizer);
  LoraAdapter adapter = make_adapter(o, model, *files);

  RunOptions run;
  run.train = o.options;
  run.out = o.out, run.resume = o.resume, run.overwrite = o.overwrite;
  run.save_every = o.save_every, run.valid_every = o.valid_every, run.patience = o.patience;
  run.origin = {files->digest(), model.base(), o.model.model};
  run.inputs = {train.fingerprint, valid.fingerprint};
  run.digests["base"] = run.origin.base_digest;
  run.digests["train"] = train.digest;
  run.digests["valid"] = or_null(valid.digest);
  run.digests["tokenizer"] = text.tokenizer.digest();
  run.digests["template"] = text.chat_template ? Json(text.chat_template->digest()) : Json();
  run.options = options_json(o, model, adapter);

  std::int64_t longest = 0;
  for (const Example& example : valid.examples) longest = std::max(longest, example.length());
  const MemoryPlan plan = plan_memory(model, adapter, train.examples, o.options, o.memory_bytes, longest);
  run.keep = plan.keep;
  const RunLength length = run_length(train.examples, o.options);
  run.machine = machine_json(model, adapter, plan, length, o);

  catch_interrupts();
  Display display(o, static_cast<double>(length.work.tokens));
  Profile profile;
  const RunResult result = [&] {
    std::optional<ProfileScope> scope;
    if (o.profile) scope.emplace(profile);
    return run_training(model, adapter, train.examples, valid.examples, run, std::ref(display), &interrupted());
  }();
  if (!result.finished) {
    std::fprintf(stderr, "stopped after step %s; everything is saved: go on with the same command and --resume\n",
                 concat(result.steps).c_str());
    return kInterrupted;
  }
  display.done(result.done);
  if (o.profile) report_profile(profile, model.compute(), result.tokens, o.json, o.out + "/trace.json");
  return kDone;
}

void add_lora_options(CLI::App& c, TuneArguments& o) {
  o.rank_option = c.add_option("--rank", o.lora.r, "LoRA rank")->check(CLI::Range(1, 4096))->capture_default_str();
  c.add_option("--alpha", o.lora.lora_alpha, "the update is scaled by alpha / rank")
      ->check(above(0))
      ->capture_default_str();
  c.add_option("--dropout", o.lora.lora_dropout, "on the adapter's input")
      ->check(CLI::Range(0.0, 0.999999))
      ->capture_default_str();
  c.add_flag("--rslora", o.lora.use_rslora, "scale by alpha / sqrt(rank)");
  c.add_option("--rank-pattern", o.rank_pattern, "a rank of its own for modules that match")->type_name("KEY=R");
  c.add_option("--alpha-pattern", o.alpha_pattern, "an alpha of its own for modules that match")->type_name("KEY=A");
  CLI::Option* target = c.add_option("--target", o.target, "linears to adapt: all-linear, or names")
                            ->delimiter(',')
                            ->capture_default_str();
  c.add_option("--target-regex", o.lora.target_regex, "or a regular expression that matches their whole path")
      ->excludes(target);
  c.add_option("--init-adapter", o.init_adapter, "begin from this adapter; its configuration wins")->type_name("DIR");
}

void add_training_options(CLI::App& c, TuneArguments& o) {
  TrainOptions& t = o.options;
  CLI::Option* epochs =
      c.add_option("--epochs", t.epochs, "times over the records")->check(CLI::Range(1, 100000))->capture_default_str();
  c.add_option("--steps", t.steps, "exactly so many optimiser steps, wrapping epochs")
      ->check(whole(1))
      ->excludes(epochs);
  CLI::Option* batch_tokens = c.add_option("--batch-tokens", o.batch_tokens, "packed tokens a micro-batch")
                                  ->check(CLI::Range(1, 1 << 24))
                                  ->capture_default_str();
  c.add_option("--batch-examples", o.batch_examples, "or records a micro-batch")
      ->check(whole(1))
      ->excludes(batch_tokens);
  c.add_option("--accumulate", t.loader.accumulate, "micro-batches a step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c.add_option("--lr", t.adamw.lr, "learning rate")->check(at_least(0))->capture_default_str();
  c.add_option("--schedule", o.schedule, "of the learning rate")
      ->check(CLI::IsMember({"cosine", "linear", "constant"}))
      ->capture_default_str();
  c.add_option("--warmup", t.warmup, "below 1 a share of all steps, else steps")
      ->check(at_least(0))
      ->capture_default_str();
  c.add_option("--weight-decay", t.adamw.weight_decay, "decoupled")->check(at_least(0))->capture_default_str();
  c.add_option("--clip", t.clip, "global norm of the gradient; 0: none")->check(at_least(0))->capture_default_str();
  c.add_option("--betas", o.betas, "of AdamW")->delimiter(',')->expected(2)->check(at_least(0))->capture_default_str();
  c.add_option("--eps", t.adamw.eps, "of AdamW")->check(above(0))->capture_default_str();
  c.add_option("--optimizer", o.optimizer)->check(CLI::IsMember({"adamw", "adamw8bit"}))->capture_default_str();
  c.add_option("--order", o.order, "of the records")->check(CLI::IsMember({"shuffle", "given"}))->capture_default_str();
  c.add_option("--seed", t.loader.seed, "of order, initialisation and dropout")->check(whole(0))->capture_default_str();
  c.add_option("--on-nonfinite", o.on_nonfinite, "what a NaN in loss or gradient does")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
}

}  // namespace

void add_tune(CLI::App& app, Action& action) {
  auto o = std::make_shared<TuneArguments>();
  CLI::App& c = *app.add_subcommand("tune", "Tune a LoRA or QLoRA adapter on records");
  o->model.add_to(c);
  c.add_option("--train", o->train, "records, one JSON object a line")->required()->type_name("F.jsonl");
  CLI::Option* valid = c.add_option("--valid", o->valid, "held-out records; the best adapter by their loss is kept")
                           ->type_name("F.jsonl");
  c.add_option("--out", o->out, "folder for adapter, journal and checkpoints")
      ->required()
      ->check(path_to_write())
      ->type_name("DIR");
  c.add_option("--from", o->from,
               "settings of PEFT, TRL, transformers, Unsloth or axolotl (docs/migrate.md); options here win")
      ->type_name("FILE")
      ->allow_extra_args(false);
  o->data.add_to(c);
  add_lora_options(c, *o);
  add_training_options(c, *o);
  c.add_option("--memory", o->memory,
               "bound on the process's peak memory, e.g. 2GiB; default: 80 % of what is available");
  c.add_flag("--profile", o->profile, "time, FLOP and bytes of every op at the end, and a Chrome trace, OUT/trace.json");
  c.add_option("--valid-every", o->valid_every, "steps; default: at the end of each epoch")
      ->check(whole(1))
      ->needs(valid);
  c.add_option("--patience", o->patience, "stop after so many validations without improvement")
      ->check(whole(1))
      ->needs(valid);
  c.add_option("--save-every", o->save_every, "steps; default: at the end of each epoch")->check(whole(1));
  CLI::Option* resume = c.add_flag("--resume", o->resume, "go on from the newest valid checkpoint");
  c.add_flag("--overwrite", o->overwrite, "replace a run that is there")->excludes(resume);
  c.add_flag("--json", o->json, "one JSON object a line on standard output");
  c.callback([o, &c, &action] {
    apply_config_files(c, o->from);
    action = [o] { return tune(*o); };
  });
}

}  // namespace ftlib::cli
