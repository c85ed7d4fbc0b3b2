// SPDX-License-Identifier: Apache-2.0
#include "ftlib/eval/evaluate.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace ftlib::inline FTLIB_ABI {

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
      loss = {example.id, 0, example.supervised_tokens(), double{example.weight}};
      for (std::int64_t i = 0; i < loss.supervised_tokens; ++i) loss.nll += double{nll[row++]};
    }
  }
  double sum = 0, weights = 0;
  for (const ExampleLoss& loss : report.examples) {
    sum += loss.weight * loss.nll;
    weights += loss.weight * static_cast<double>(loss.supervised_tokens);
    report.supervised_tokens += loss.supervised_tokens;
  }
  report.loss = weights > 0 ? sum / weights : 0;
  return report;
}

std::vector<ScoredOutput> evaluate_outputs(const CausalLM& model, const LoraAdapter* adapter,
                                           const Tokenizer& tokenizer, std::span<const Prompt> prompts,
                                           std::span<const Metric> metrics, const GenerateOptions& options,
                                           const TokenCallback& on_token) {
  std::vector<std::vector<std::int32_t>> tokens;
  for (const Prompt& prompt : prompts) tokens.push_back(prompt.tokens);
  const std::vector<Generated> generated = generate(model, adapter, tokens, options, on_token);
  std::vector<ScoredOutput> results(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    results[i].output = tokenizer.decode(generated[i].tokens, true);
    for (const Metric& metric : metrics)
      results[i].scores.push_back(metric.score(results[i].output, prompts[i].reference));
  }
  return results;
}

}  // namespace ftlib::inline FTLIB_ABI
