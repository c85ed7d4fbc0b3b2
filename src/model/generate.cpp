// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/generate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "ftlib/core/random.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kPrefillTokens = 2048;   // tokens of prompts in one pass
constexpr std::int64_t kWorthSharing = 16;      // tokens of a common prefix

void check(const GenerateOptions& o) {
  FT_CHECK(o.max_tokens >= 1, invalid_argument, "[generate] max_tokens must be at least 1, got ", o.max_tokens);
  FT_CHECK(o.temperature >= 0 && std::isfinite(o.temperature), invalid_argument,
           "[generate] temperature must be finite and >= 0, got ", o.temperature);
  FT_CHECK(o.top_k >= 0, invalid_argument, "[generate] top_k must be >= 0, got ", o.top_k);
  FT_CHECK(o.top_p > 0 && o.top_p <= 1, invalid_argument, "[generate] top_p must lie in (0, 1], got ", o.top_p);
  FT_CHECK(o.max_batch >= 1, invalid_argument, "[generate] max_batch must be at least 1, got ", o.max_batch);
}

/// Tokens that all prompts begin with; at least one token of each prompt stays outside, since it makes the first logits,
/// and so does every token that has to predict a supervised one.
std::int64_t common_prefix(std::span<const std::vector<std::int32_t>> prompts, std::span<const Example* const> texts) {
  if (prompts.size() < 2) return 0;
  std::size_t length = prompts[0].size() - 1;
  for (const auto& prompt : prompts) {
    length = std::min(length, prompt.size() - 1);
    const auto differs = std::mismatch(prompts[0].begin(), prompts[0].begin() + static_cast<std::ptrdiff_t>(length),
                                       prompt.begin());
    length = static_cast<std::size_t>(differs.first - prompts[0].begin());
  }
  for (const Example* text : texts) {
    if (text == nullptr) continue;
    const auto first = std::ranges::find(text->supervised, 1) - text->supervised.begin();
    length = std::min(length, static_cast<std::size_t>(std::max<std::ptrdiff_t>(first - 1, 0)));
  }
  return static_cast<std::int64_t>(length) >= kWorthSharing ? static_cast<std::int64_t>(length) : 0;
}

/// One prompt in flight and its rows of the cache.
struct Sequence {
  std::size_t prompt = 0;
  std::int64_t length = 0;  ///< rows of the cache that are filled
  std::int32_t next = -1;   ///< the token to feed
  bool active = false;
};

class Generation {
 public:
  Generation(const CausalLM& model, const LoraAdapter* adapter, std::span<const std::vector<std::int32_t>> prompts,
             const GenerateOptions& options, const TokenCallback& on_token, std::span<const Example* const> texts)
      : model_(model),
        options_(options),
        prompts_(prompts),
        on_token_(on_token),
        texts_(texts),
        shared_(common_prefix(prompts, texts)),
        capacity_(std::max(longest(prompts) + options.max_tokens, longest_fed())),
        slots_(static_cast<std::size_t>(std::min<std::int64_t>(options.max_batch, static_cast<std::int64_t>(prompts.size())))),
        pass_(model, adapter, pass_options()),
        cache_(model, shared_ + static_cast<std::int64_t>(slots_.size()) * capacity_) {}

  std::vector<Generated> run() {
    results_.resize(prompts_.size());
    for (std::size_t i = 0; i < prompts_.size(); ++i)
      results_[i].prompt_tokens = static_cast<std::int64_t>(prompts_[i].size());
    fill_prefix();
    while (!cancelled_ && (next_prompt_ < prompts_.size() || any_active())) {
      admit();
      if (!cancelled_ && any_active()) decode();
    }
    return std::move(results_);
  }

 private:
  static std::int64_t longest(std::span<const std::vector<std::int32_t>> prompts) {
    std::size_t length = 0;
    for (const auto& prompt : prompts) length = std::max(length, prompt.size());
    return static_cast<std::int64_t>(length);
  }
  const Example* text(std::size_t prompt) const { return texts_.empty() ? nullptr : texts_[prompt]; }
  /// What the first pass of a prompt is fed: the prompt, or a text that begins with it.
  std::span<const std::int32_t> fed(std::size_t prompt) const {
    return text(prompt) ? text(prompt)->tokens : prompts_[prompt];
  }
  std::int64_t longest_fed() const {
    std::size_t length = 0;
    for (std::size_t i = 0; i < prompts_.size(); ++i) length = std::max(length, fed(i).size());
    return static_cast<std::int64_t>(length);
  }
  PassOptions pass_options() const {
    PassOptions o;
    const auto slots = static_cast<std::int64_t>(slots_.size());
    o.max_tokens = std::max({std::min(kPrefillTokens, longest_fed() * slots), longest_fed(), slots});
    o.max_positions = capacity_;
    return o;
  }
  bool any_active() const { return std::ranges::any_of(slots_, &Sequence::active); }
  std::int64_t base(std::size_t slot) const { return shared_ + static_cast<std::int64_t>(slot) * capacity_; }

  /// Adds tokens of one sequence to the batch; their keys go to its rows. The logits of token `wanted` of them are taken.
  void append(std::int64_t first_row, std::int64_t position, std::span<const std::int32_t> tokens, std::size_t wanted) {
    if (batch_.segment_offsets.empty()) batch_.segment_offsets.push_back(0);
    placement_.logit_rows.push_back(static_cast<std::int32_t>(batch_.tokens.size() + wanted));
    for (const std::int32_t token : tokens) {
      batch_.tokens.push_back(token);
      batch_.positions.push_back(static_cast<std::int32_t>(position));
      placement_.rows.push_back(static_cast<std::int32_t>(first_row + position));
      batch_.row_keys.push_back(0);
      batch_.labels.push_back(kIgnoreLabel);
      batch_.weights.push_back(1);
      ++position;
    }
    batch_.segment_offsets.push_back(static_cast<std::int32_t>(batch_.tokens.size()));
    placement_.kv_begin.push_back(static_cast<std::int32_t>(first_row));
    placement_.kv_length.push_back(static_cast<std::int32_t>(position));
  }
  /// The tokens of the text beyond `first` that are supervised become labels of the batch's last rows.
  void label(const Example& example, std::int64_t first) {
    const std::size_t rows = batch_.labels.size() - (example.tokens.size() - static_cast<std::size_t>(first));
    for (auto t = static_cast<std::size_t>(first) + 1; t < example.tokens.size(); ++t)
      if (example.supervised[t]) batch_.labels[rows + t - 1 - static_cast<std::size_t>(first)] = example.tokens[t];
  }
  void run_pass() {
    pass_.forward_cached(batch_, placement_, cache_, logits_, nll_);
    batch_ = {}, placement_ = {};
  }

  void fill_prefix() {
    if (shared_ == 0) return;
    append(0, 0, std::span(prompts_[0]).first(static_cast<std::size_t>(shared_)), 0);
    run_pass();
  }
  void copy_prefix(std::size_t slot) {
    if (shared_ == 0) return;
    for (const auto* part : {&cache_.k, &cache_.v})
      for (const TensorView& layer : *part) {
        const std::int64_t row_bytes = layer.stride[0] * dtype_bytes(layer.dtype);
        for (std::int64_t head = 0; head < layer.shape[1]; ++head) {
          char* rows = static_cast<char*>(layer.data) + head * layer.stride[1] * dtype_bytes(layer.dtype);
          std::memcpy(rows + base(slot) * row_bytes, rows, static_cast<std::size_t>(shared_ * row_bytes));
        }
      }
  }

  /// Free slots take the next prompts, as many as one pass holds.
  void admit() {
    std::vector<std::size_t> admitted;
    std::int64_t room = pass_options().max_tokens;
    for (std::size_t slot = 0; slot < slots_.size() && next_prompt_ < prompts_.size(); ++slot) {
      if (slots_[slot].active) continue;
      const auto tokens = fed(next_prompt_).subspan(static_cast<std::size_t>(shared_));
      if (static_cast<std::int64_t>(tokens.size()) > room) break;
      room -= static_cast<std::int64_t>(tokens.size());
      copy_prefix(slot);
      const std::size_t length = prompts_[next_prompt_].size();
      append(base(slot), shared_, tokens, length - static_cast<std::size_t>(shared_) - 1);
      if (text(next_prompt_)) label(*text(next_prompt_), shared_);
      slots_[slot] = {next_prompt_++, static_cast<std::int64_t>(length), -1, true};
      admitted.push_back(slot);
    }
    if (admitted.empty()) return;
    run_pass();
    take_nll(admitted);
    take_tokens(admitted);
  }
  void take_nll(const std::vector<std::size_t>& slots) {
    auto row = nll_.begin();
    for (const std::size_t slot : slots) {
      const Example* example = text(slots_[slot].prompt);
      for (std::int64_t left = example ? example->supervised_tokens() : 0; left > 0; --left)
        results_[slots_[slot].prompt].nll += double{*row++};
    }
  }

  void decode() {
    std::vector<std::size_t> active;
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      Sequence& sequence = slots_[slot];
      if (!sequence.active) continue;
      append(base(slot), sequence.length++, std::span(&sequence.next, 1), 0);
      active.push_back(slot);
    }
    run_pass();
    take_tokens(active);
  }

  void take_tokens(const std::vector<std::size_t>& slots) {
    const auto vocab = static_cast<std::size_t>(model_.config().vocab_size);
    for (std::size_t i = 0; i < slots.size() && !cancelled_; ++i) {
      Sequence& sequence = slots_[slots[i]];
      Generated& result = results_[sequence.prompt];
      sequence.next = sample_token(std::span(logits_).subspan(i * vocab, vocab), options_, sequence.prompt,
                                   result.tokens.size());
      result.stopped = std::ranges::count(options_.stop, sequence.next) > 0;
      if (!result.stopped) {
        result.tokens.push_back(sequence.next);
        cancelled_ = on_token_ && !on_token_(sequence.prompt, sequence.next);
      }
      sequence.active = !result.stopped && static_cast<std::int64_t>(result.tokens.size()) < options_.max_tokens;
    }
  }

  const CausalLM& model_;
  const GenerateOptions& options_;
  std::span<const std::vector<std::int32_t>> prompts_;
  const TokenCallback& on_token_;
  std::span<const Example* const> texts_;
  std::int64_t shared_, capacity_;
  std::vector<Sequence> slots_;
  Pass pass_;
  KvCache cache_;
  Batch batch_;
  CachePlacement placement_;
  std::vector<float> logits_, nll_;
  std::vector<Generated> results_;
  std::size_t next_prompt_ = 0;
  bool cancelled_ = false;
};

/// The first of the largest; -1 where a logit is NaN or infinite. Sixteen lanes, for compilers to vectorise.
std::int32_t argmax(std::span<const float> logits) {
  constexpr std::size_t kLanes = 16;
  float most[kLanes], zero[kLanes] = {};
  std::fill(most, most + kLanes, -std::numeric_limits<float>::infinity());
  const std::size_t whole = logits.size() / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t k = 0; k < kLanes; ++k) {
      const float x = logits[i + k];
      most[k] = x > most[k] ? x : most[k];
      zero[k] += x * 0;
    }
  for (std::size_t i = whole; i < logits.size(); ++i) most[0] = std::max(most[0], logits[i]), zero[0] += logits[i] * 0;
  if (std::ranges::any_of(zero, [](float z) { return z != 0; })) return -1;
  return static_cast<std::int32_t>(std::ranges::find(logits, *std::ranges::max_element(most)) - logits.begin());
}

/// The index whose share of the sum holds `point` in [0, 1).
std::int32_t draw(std::span<const double> weights, double point) {
  double left = point * std::accumulate(weights.begin(), weights.end(), 0.0);
  std::size_t i = 0;
  while (i + 1 < weights.size() && (left -= weights[i]) >= 0) ++i;
  return static_cast<std::int32_t>(i);
}

/// What top_k and then top_p leave, likeliest first. Sorts as much as it needs: a nucleus is a small part of the vocabulary.
std::vector<std::int32_t> likeliest(const std::vector<double>& weights, const GenerateOptions& options) {
  std::vector<std::int32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  const auto weight = [&](std::int32_t i) { return weights[static_cast<std::size_t>(i)]; };
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    return weight(a) > weight(b) || (weight(a) == weight(b) && a < b);
  };
  const auto most = options.top_k > 0 ? std::min(order.size(), static_cast<std::size_t>(options.top_k)) : order.size();
  std::size_t sorted = options.top_k > 0 ? most : std::min<std::size_t>(most, 64);
  const auto sort = [&] { std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(sorted), order.end(), likelier); };
  sort();
  double total = 0, kept = 0;
  if (options.top_k > 0)
    for (std::size_t i = 0; i < most; ++i) total += weight(order[i]);
  else
    total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::size_t count = 0;
  for (; count < most && (count == 0 || kept < options.top_p * total); ++count) {
    if (count == sorted) sorted = std::min(most, sorted * 8), sort();
    kept += weight(order[count]);
  }
  order.resize(count);
  return order;
}

}  // namespace

std::int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, std::uint64_t prompt,
                          std::uint64_t position) {
  const std::int32_t best = argmax(logits);
  FT_CHECK(best >= 0, non_finite, "[generate] the logits are not finite; the model or the adapter is damaged");
  if (options.temperature == 0) return best;
  const double top = logits[static_cast<std::size_t>(best)];
  Random random(options.seed, (prompt << 32) | position);
  const double point = static_cast<double>(random.next_u64() >> 11) * 0x1p-53;
  std::vector<double> weights(logits.size());
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::exp((logits[i] - top) / options.temperature);
  if (options.top_k == 0 && options.top_p == 1) return draw(weights, point);
  const std::vector<std::int32_t> order = likeliest(weights, options);
  std::vector<double> kept;
  for (const std::int32_t i : order) kept.push_back(weights[static_cast<std::size_t>(i)]);
  return order[static_cast<std::size_t>(draw(kept, point))];
}

std::vector<Generated> generate(const CausalLM& model, const LoraAdapter* adapter,
                                std::span<const std::vector<std::int32_t>> prompts, const GenerateOptions& options,
                                const TokenCallback& on_token, std::span<const Example* const> texts) {
  check(options);
  FT_CHECK(texts.empty() || texts.size() == prompts.size(), invalid_argument, "[generate] ", prompts.size(), " prompts and ",
           texts.size(), " texts");
  if (prompts.empty()) return {};
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    FT_CHECK(!prompts[i].empty(), invalid_argument, "[generate] prompt ", i, " is empty");
    const std::int64_t needed = static_cast<std::int64_t>(prompts[i].size()) + options.max_tokens;
    FT_CHECK(needed <= model.config().max_position_embeddings, invalid_argument, "[generate] prompt ", i, " of ",
             prompts[i].size(), " tokens and ", options.max_tokens, " new ones need ", needed,
             " positions, the model has ", model.config().max_position_embeddings, "; ask for fewer new tokens");
    FT_CHECK(texts.empty() || texts[i] == nullptr || texts[i]->begins_with(prompts[i]), invalid_argument, "[generate] text ",
             i, " does not begin with its prompt");
  }
  return Generation(model, adapter, prompts, options, on_token, texts).run();
}

std::vector<std::int32_t> stop_tokens(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> stop;
  if (tokenizer.eos_id()) stop.push_back(*tokenizer.eos_id());
  for (const char* text : {"<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>"})
    if (const auto id = tokenizer.token_id(text); id && tokenizer.is_special(*id)) stop.push_back(*id);
  return stop;
}

}  // namespace ftlib
