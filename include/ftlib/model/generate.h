// SPDX-License-Identifier: Apache-2.0
// Token generation with a key/value cache: greedy or sampled, many prompts at once, a prefix that all prompts share is
// computed once.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ftlib/data/tokenizer.h"
#include "ftlib/model/causal_lm.h"

namespace ftlib::inline FTLIB_ABI {

struct GenerateOptions {
  std::int64_t max_tokens = 128;  ///< new tokens a prompt
  double temperature = 0;         ///< 0: greedy, the lowest id on a tie
  std::int64_t top_k = 0;         ///< keep the k likeliest; 0: all
  double top_p = 1;               ///< keep the smallest set whose probability reaches top_p
  std::uint64_t seed = 0;         ///< sampling is a pure function of (seed, prompt number, position)
  std::vector<std::int32_t> stop; ///< a prompt ends with the first of these, which is not part of its tokens
  std::int64_t max_batch = 32;    ///< prompts in flight
};

struct Generated {
  std::vector<std::int32_t> tokens;  ///< without the stop token
  bool stopped = false;              ///< by a stop token, not by max_tokens
  std::int64_t prompt_tokens = 0;
  double nll = 0;  ///< nats, of the supervised tokens of the prompt's text
};

/// Called on the caller's thread with each new token; false ends the generation of all prompts.
using TokenCallback = std::function<bool(std::size_t prompt, std::int32_t token)>;

/// One result a prompt, in order. `adapter` may be null (the base answers). Tokens of a prompt do not depend on the other
/// prompts. Throws Error{invalid_argument} on an empty prompt, one that does not fit the model's positions together with
/// max_tokens, or options out of range; Error{non_finite} where logits are not finite.
///
/// `texts` is empty, or has for each prompt null or an example that begins with the prompt: one pass over it gives the keys
/// of the prompt and the nll of the example, in the bits of evaluate_loss. The answer does not see the text.
std::vector<Generated> generate(const CausalLM& model, const LoraAdapter* adapter,
                                std::span<const std::vector<std::int32_t>> prompts, const GenerateOptions& options,
                                const TokenCallback& on_token = {}, std::span<const Example* const> texts = {});

/// Tokens that end an answer: the end token, and the end-of-turn tokens that the vocabulary has.
std::vector<std::int32_t> stop_tokens(const Tokenizer& tokenizer);

/// One token from logits [V] under the options; a pure function of its arguments.
std::int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, std::uint64_t prompt,
                          std::uint64_t position);

}  // namespace ftlib
