// SPDX-License-Identifier: Apache-2.0
// Held-out loss and scores of generated answers, example by example.
#pragma once
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ftlib/data/supervision.h"
#include "ftlib/eval/metrics.h"
#include "ftlib/model/causal_lm.h"
#include "ftlib/model/generate.h"

namespace ftlib::inline FTLIB_ABI {

struct ExampleLoss {
  std::string id;
  double nll = 0;  ///< sum over the supervised tokens, nats, unweighted
  std::int64_t supervised_tokens = 0;
  double weight = 1;
};

struct LossReport {
  std::vector<ExampleLoss> examples;  ///< in the order given
  double loss = 0;                    ///< sum(w nll) / sum(w) over all supervised tokens
  std::int64_t tokens = 0, supervised_tokens = 0;
  double perplexity() const noexcept { return std::exp(loss); }
};

/// Told before each batch; may throw, which ends the evaluation.
using LossProgressFunction = std::function<void(std::int64_t done_tokens, std::int64_t total_tokens)>;

/// Packs `examples` into batches of at most max(batch_tokens, the longest) tokens and runs them forward. An example's
/// nll does not depend on its neighbours. `pass` may be null; a training pass that fits may be lent to save its memory.
LossReport evaluate_loss(const CausalLM& model, const LoraAdapter* adapter, std::span<const Example> examples,
                         std::int64_t batch_tokens = 2048, Pass* pass = nullptr,
                         const LossProgressFunction& progress = {});

/// The records that have a prompt and an answer, by their place.
struct Prompts {
  std::vector<Prompt> prompts;
  std::vector<std::size_t> places;
};

/// `what` begins the errors of a record ("file:line"). Throws as encode_prompt.
Prompts prompts_of(std::span<const Record> records, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                   const EncodeOptions& options, const std::function<std::string(const Record&)>& what);

struct ScoredOutput {
  std::string output;          ///< without control tokens
  std::vector<double> scores;  ///< one a metric
};

/// One metric of all outputs.
std::vector<double> scores_of(std::span<const ScoredOutput> outputs, std::size_t metric);

struct Evaluation {
  LossReport loss;
  std::vector<ScoredOutput> outputs;  ///< one a prompt
};

/// evaluate_loss, and an answer to each prompt, scored against the prompt's reference. places[i] is the example that
/// prompts[i] belongs to: where it begins with the prompt, which is the rule, one pass over it does for both. Throws as
/// generate and Metric::score. After on_token ended it, what it had not reached is missing in the loss. `progress` is told of
/// the other examples, which are run as by evaluate_loss after the answers.
Evaluation evaluate(const CausalLM& model, const LoraAdapter* adapter, const Tokenizer& tokenizer,
                    std::span<const Example> examples, std::span<const Prompt> prompts,
                    std::span<const std::size_t> places, std::span<const Metric> metrics,
                    const GenerateOptions& options, std::int64_t batch_tokens = 2048, const TokenCallback& on_token = {},
                    const LossProgressFunction& progress = {});

}  // namespace ftlib::inline FTLIB_ABI
