// SPDX-License-Identifier: Apache-2.0
#include "ftlib/eval/evaluate.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace ftlib::inline FTLIB_ABI {
namespace {

ExampleLoss without_loss(const Example& example) {
  return {example.id, 0, example.supervised_tokens(), double{example.weight}};
}

/// The sums over the examples.
void finish(LossReport& report) {
  double sum = 0, weights = 0;
  for (const ExampleLoss& loss : report.examples) {
    sum += loss.weight * loss.nll;
    weights += loss.weight * static_cast<double>(loss.supervised_tokens);
    report.supervised_tokens += loss.supervised_tokens;
  }
  report.loss = weights > 0 ? sum / weights : 0;
}

}  // namespace

Prompts prompts_of(std::span<const Record> records, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                   const EncodeOptions& options, const std::function<std::string(const Record&)>& what) {
  Prompts found;
  for (std::size_t i = 0; i < records.size(); ++i) {
    auto prompt = encode_prompt(records[i], tokenizer, chat_template, options, what(records[i]));
    if (!prompt) continue;
    found.prompts.push_back(std::move(*prompt));
    found.places.push_back(i);
  }
  return found;
}

std::vector<double> scores_of(std::span<const ScoredOutput> outputs, std::size_t metric) {
  std::vector<double> values;
  for (const ScoredOutput& output : outputs) values.push_back(output.scores[metric]);
  return values;
}

LossReport evaluate_loss(const CausalLM& model, const LoraAdapter* adapter, std::span<const Example> examples,
                         std::int64_t batch_tokens, Pass* lent, const LossProgressFunction& progress) {
  LossReport report;
  report.examples.resize(examples.size());
  std::vector<std::int64_t> lengths;
  for (const Example& example : examples) lengths.push_back(example.length());
  if (examples.empty()) return report;
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const std::int64_t budget = std::max(batch_tokens, longest);
  const auto bins = pack_first_fit_decreasing(lengths, budget);
  std::optional<Pass> own;
  if (lent == nullptr) {
    PassOptions options;
    options.max_tokens = budget, options.max_positions = longest;
    lent = &own.emplace(model, adapter, options);
  }
  const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  std::vector<float> nll;
  for (const auto& bin : bins) {
    if (progress) progress(report.tokens, total);
    const Batch batch = make_batch(examples, bin);
    lent->forward(batch, nll);
    report.tokens += batch.size();
    std::size_t row = 0;
    for (const std::int64_t index : bin) {
      const Example& example = examples[static_cast<std::size_t>(index)];
      ExampleLoss& loss = report.examples[static_cast<std::size_t>(index)];
      loss = without_loss(example);
      for (std::int64_t i = 0; i < loss.supervised_tokens; ++i) loss.nll += double{nll[row++]};
    }
  }
  finish(report);
  return report;
}

Evaluation evaluate(const CausalLM& model, const LoraAdapter* adapter, const Tokenizer& tokenizer,
                    std::span<const Example> examples, std::span<const Prompt> prompts,
                    std::span<const std::size_t> places, std::span<const Metric> metrics,
                    const GenerateOptions& options, std::int64_t batch_tokens, const TokenCallback& on_token,
                    const LossProgressFunction& progress) {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<const Example*> texts;
  std::vector<bool> alone(examples.size(), true);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Example& example = examples[places[i]];
    tokens.push_back(prompts[i].tokens);
    texts.push_back(example.begins_with(prompts[i].tokens) ? &example : nullptr);
    if (texts.back()) alone[places[i]] = false;
  }
  Evaluation result;
  const std::vector<Generated> generated = generate(model, adapter, tokens, options, on_token, texts);
  for (const Example& example : examples) result.loss.examples.push_back(without_loss(example));
  std::vector<Example> others;
  std::vector<std::size_t> other_places;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (alone[i]) others.push_back(examples[i]), other_places.push_back(i);
    result.loss.tokens += examples[i].length();
  }
  const LossReport rest = evaluate_loss(model, adapter, others, batch_tokens, nullptr, progress);
  for (std::size_t i = 0; i < others.size(); ++i) result.loss.examples[other_places[i]] = rest.examples[i];
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (texts[i]) result.loss.examples[places[i]].nll = generated[i].nll;
    result.outputs.push_back({tokenizer.decode(generated[i].tokens, true), {}});
    ScoredOutput& output = result.outputs.back();
    for (const Metric& metric : metrics) output.scores.push_back(metric.score(output.output, prompts[i].reference));
  }
  finish(result.loss);
  return result;
}

}  // namespace ftlib::inline FTLIB_ABI
