// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "dataset.h"
#include "ftlib/eval/compare.h"
#include "ftlib/eval/evaluate.h"
#include "ftlib/io/atomic_file.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

struct EvalArguments {
  ModelOptions model;
  DataOptions data;
  std::vector<std::string> adapters;
  std::string file, metrics, per_example;
  std::int64_t limit = 0, max_tokens = 128, batch_tokens = 2048;
  bool json = false;
};

/// What one system (the base, or an adapter) scored.
struct Scores {
  std::string name;  ///< the adapter's path; empty: the base
  LossReport loss;
  std::vector<ScoredOutput> outputs;  ///< of the examples that have a prompt
};

Prompts make_prompts(const EvalArguments& o, const Dataset& dataset, const ModelData& data) {
  Prompts found = prompts_of(dataset.records, data.tokenizer, data.chat_template ? &*data.chat_template : nullptr,
                             o.data.encode(), [&](const Record& record) { return concat(o.file, ":", record.line); });
  FT_CHECK(!found.prompts.empty(), invalid_argument, "eval: --metrics needs records with a prompt and an answer; ",
           o.file, " has none");
  return found;
}

void check_interrupted() { FT_CHECK(!interrupted(), cancelled, "eval: interrupted"); }

/// The loss, with a bar; an interruption ends it.
LossReport loss_of(const EvalArguments& o, const CausalLM& model, const LoraAdapter* adapter, const Dataset& dataset) {
  Progress progress("eval, tokens", dataset.tokens);
  return evaluate_loss(model, adapter, dataset.examples, o.batch_tokens, nullptr, [&](std::int64_t done, std::int64_t) {
    check_interrupted();
    if (done > 0) progress.update(done, "");
  });
}

/// The loss and the answers, with a bar: an answer that was begun counts as done when half a batch was begun after it.
Evaluation answers_of(const EvalArguments& o, const CausalLM& model, const LoraAdapter* adapter, const Dataset& dataset,
                      const ModelData& data, const Prompts& prompts, const std::vector<Metric>& metrics) {
  GenerateOptions options;
  options.max_tokens = o.max_tokens, options.stop = stop_tokens(data.tokenizer);
  const auto total = static_cast<std::int64_t>(prompts.prompts.size());
  Progress progress("eval, answers", total);
  std::int64_t begun = 0;
  const auto on_token = [&](std::size_t prompt, std::int32_t) {
    const auto number = static_cast<std::int64_t>(prompt) + 1;
    if (number > begun && number > options.max_batch) progress.update(number - options.max_batch / 2, "");
    begun = std::max(begun, number);
    return !interrupted().load();
  };
  Evaluation found = evaluate(model, adapter, data.tokenizer, dataset.examples, prompts.prompts, prompts.places, metrics,
                              options, o.batch_tokens, on_token, [](std::int64_t, std::int64_t) { check_interrupted(); });
  check_interrupted();
  progress.update(total, "");
  return found;
}

Scores score(const EvalArguments& o, const CausalLM& model, const std::string& path, const LoraAdapter* adapter,
             const Dataset& dataset, const ModelData& data, const Prompts& prompts,
             const std::vector<Metric>& metrics) {
  Evaluation found = metrics.empty() ? Evaluation{loss_of(o, model, adapter, dataset), {}}
                                     : answers_of(o, model, adapter, dataset, data, prompts, metrics);
  FT_CHECK(std::isfinite(found.loss.loss), non_finite, "eval: the loss is ", found.loss.loss, "; ",
           path.empty() ? o.model.model : path, " is damaged, or holds numbers too large for --compute ",
           dtype_name(model.compute()));
  return {path, std::move(found.loss), std::move(found.outputs)};
}

Json summary(const Scores& scores, const std::vector<Metric>& metrics) {
  Json json = Json::object();
  json["event"] = "eval";
  json["adapter"] = scores.name.empty() ? Json() : Json(scores.name);
  json["examples"] = static_cast<std::int64_t>(scores.loss.examples.size());
  json["loss"] = scores.loss.loss;
  json["perplexity"] = scores.loss.perplexity();
  json["supervised_tokens"] = scores.loss.supervised_tokens;
  for (std::size_t m = 0; m < metrics.size(); ++m) json["metrics"][metrics[m].name()] = mean(scores_of(scores.outputs, m));
  return json;
}

Json interval_json(const Interval& interval) {
  Json json = Json::object();
  json["difference"] = interval.estimate, json["low"] = interval.low, json["high"] = interval.high;
  return json;
}

/// Paired differences of the second system from the first, with 95 % intervals.
Json comparison(const Scores& first, const Scores& second, const Dataset& dataset, const Prompts& prompts,
                const std::vector<Metric>& metrics) {
  const std::vector<std::string> groups = record_groups(dataset.records);
  Json json = Json::object();
  json["event"] = "compare";
  json["from"] = first.name.empty() ? "base" : first.name;
  json["to"] = second.name;
  json["loss"] = interval_json(loss_difference(first.loss, second.loss, groups));
  for (std::size_t m = 0; m < metrics.size(); ++m)
    json["metrics"][metrics[m].name()] = interval_json(score_difference(
        scores_of(first.outputs, m), scores_of(second.outputs, m), groups, prompts.places));
  return json;
}

std::string per_example(const std::vector<Scores>& all, const Prompts& prompts, const std::vector<Metric>& metrics) {
  std::string text;
  for (const Scores& scores : all) {
    std::vector<const ScoredOutput*> outputs(scores.loss.examples.size());
    for (std::size_t i = 0; i < scores.outputs.size(); ++i) outputs[prompts.places[i]] = &scores.outputs[i];
    for (std::size_t i = 0; i < scores.loss.examples.size(); ++i) {
      const ExampleLoss& example = scores.loss.examples[i];
      Json json = Json::object();
      json["id"] = example.id;
      json["nll"] = example.nll;
      json["supervised_tokens"] = example.supervised_tokens;
      if (all.size() > 1) json["adapter"] = scores.name;
      if (outputs[i]) {
        json["output"] = outputs[i]->output;
        for (std::size_t m = 0; m < metrics.size(); ++m) json["scores"][metrics[m].name()] = outputs[i]->scores[m];
      }
      text += dump_json(json) + "\n";
    }
  }
  return text;
}

void print_summary(const Json& json) {
  const Json* adapter = json.find("adapter");
  print_line(concat(adapter->is_null() ? "base" : adapter->as_string(""), ": loss ",
                    fixed(json.at("loss", "").as_number(""), 4), ", perplexity ",
                    fixed(json.at("perplexity", "").as_number(""), 2), " over ",
                    grouped(json.at("supervised_tokens", "").as_integer("")), " supervised tokens of ",
                    json.at("examples", "").as_integer(""), " records"));
  if (const Json* metrics = json.find("metrics"))
    for (const auto& [name, value] : metrics->as_object(""))
      print_line(concat("  ", name, " ", fixed(value.as_number(""), 4)));
}

void print_comparison(const Json& json) {
  const auto line = [](const std::string& name, const Json& d) {
    print_line(concat("  ", name, " ", fixed(d.at("difference", "").as_number(""), 4), "  [",
                      fixed(d.at("low", "").as_number(""), 4), ", ", fixed(d.at("high", "").as_number(""), 4), "]"));
  };
  print_line(concat(json.at("to", "").as_string(""), " against ", json.at("from", "").as_string(""),
                    ", paired difference and 95 % interval:"));
  line("loss", json.at("loss", ""));
  if (const Json* metrics = json.find("metrics"))
    for (const auto& [name, value] : metrics->as_object("")) line(name, value);
}

int evaluate(EvalArguments& o) {
  apply_threads(o.model.threads);
  FT_CHECK(o.adapters.size() <= 2, invalid_argument, "eval: at most two adapters, got ", o.adapters.size());
  const std::vector<Metric> metrics = o.metrics.empty() ? std::vector<Metric>{} : parse_metrics(o.metrics);
  const ModelData data(o.model.model, o.data);
  const Dataset dataset = load_dataset(o.file, data, o.data, o.limit);
  report_dataset(o.file, dataset, o.data.max_length);
  const Prompts prompts = metrics.empty() ? Prompts{} : make_prompts(o, dataset, data);
  const auto files = ModelFiles::open(o.model.model);
  const CausalLM model = o.model.load(*files, data.tokenizer);
  std::vector<AdapterFile> adapters;
  for (const std::string& path : o.adapters) {
    adapters.push_back(load_adapter(path, model.config()));
    warn_of_other_base(path, adapters.back().origin, *files, model.base());
  }
  catch_interrupts();
  std::optional<AtomicFile> out;  // what cannot be written is said before the work, not after it
  if (!o.per_example.empty()) out.emplace(o.per_example);
  std::vector<Scores> all;
  if (o.adapters.empty()) o.adapters.push_back("");
  for (std::size_t i = 0; i < o.adapters.size(); ++i) {
    const LoraAdapter* adapter = adapters.empty() ? nullptr : &adapters[i].adapter;
    all.push_back(score(o, model, o.adapters[i], adapter, dataset, data, prompts, metrics));
    const Json json = summary(all.back(), metrics);
    o.json ? print_json(json) : print_summary(json);
  }
  if (all.size() == 2) {
    const Json json = comparison(all[0], all[1], dataset, prompts, metrics);
    o.json ? print_json(json) : print_comparison(json);
  }
  if (out) {
    const std::string lines = per_example(all, prompts, metrics);
    out->write(lines.data(), static_cast<std::int64_t>(lines.size()));
    out->commit();
  }
  return kDone;
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  auto o = std::make_shared<EvalArguments>();
  CLI::App& c = *app.add_subcommand("eval", "Loss, perplexity and scores of answers on held-out records");
  o->model.add_to(c);
  c.add_option("--adapter", o->adapters, "a PEFT folder or a GGUF adapter; two: also their paired comparison")
      ->type_name("A")
      ->expected(1)
      ->take_all();
  c.add_option("--data", o->file, "records, one JSON object a line")->required()->type_name("F.jsonl");
  o->data.add_to(c);
  c.add_option("--metrics", o->metrics, "exact,f1,rouge-l,regex=PATTERN, by greedy generation");
  c.add_option("--max-tokens", o->max_tokens, "new tokens of an answer, for --metrics")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  c.add_option("--per-example", o->per_example, "one JSON object a record: id, nll, supervised_tokens, output, scores")
      ->check(path_to_write())
      ->type_name("OUT.jsonl");
  c.add_option("--limit", o->limit, "the first so many records")->check(whole(1));
  c.add_option("--batch-tokens", o->batch_tokens, "packed tokens in one pass")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  c.add_flag("--json", o->json, "JSON, one object a line");
  c.callback([o, &action] { action = [o] { return evaluate(*o); }; });
}

}  // namespace ftlib::cli
