// SPDX-License-Identifier: Apache-2.0
// Held-out loss, example by example, in packed batches.
#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ftlib/model/causal_lm.h"

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

/// Packs `examples` into batches of at most max(batch_tokens, the longest) tokens and runs them forward. An example's nll
/// does not depend on its neighbours. `pass` may be null; a training pass that fits may be lent to save its memory.
LossReport evaluate_loss(const CausalLM& model, const LoraAdapter* adapter, std::span<const Example> examples,
                         std::int64_t batch_tokens = 2048, Pass* pass = nullptr);

}  // namespace ftlib
