// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_pretokenize.h"

#include <algorithm>
#include <array>

#include "ftlib/data/tokenizer.h"

namespace ftlib::inline FTLIB_ABI {
namespace tokenizer {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigitPattern = R"(\p{N})";

namespace {

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr NamedPreTokenizer kNamed[] = {
    {"gpt-2", false, kGpt2Pattern, false, false},
    {"phi-2", false, kGpt2Pattern, false, false},
    {"smollm", true, kGpt2Pattern, false, false},
    {"starcoder", true, kGpt2Pattern, false, false},
    {"refact", true, kGpt2Pattern, false, false},
    {"llama-bpe", false, kLlama3Pattern, true, true},
    {"llama3", false, kLlama3Pattern, true, true},
    {"llama-v3", false, kLlama3Pattern, true, true},
    {"qwen2", false, kQwen2Pattern, false, false},
    {"deepseek-r1-qwen", false, kQwen2Pattern, false, false},
    {"megrez", false, kQwen2Pattern, false, false},
};

/// Each matches at every character or looks at one character only, and none scans a run twice from two starts.
constexpr std::string_view kLinear[] = {kGpt2Pattern, kLlama3Pattern, kQwen2Pattern, kDigitPattern};

constexpr auto kNames = [] {
  std::array<std::string_view, std::size(kNamed)> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kNamed[i].name;
  return names;
}();

}  // namespace

void PreTokenizer::add(std::string_view pattern, std::string_view what) {
  const bool linear = std::ranges::find(kLinear, pattern) != std::end(kLinear);
  patterns_.emplace_back(translate_pattern(pattern, what), linear ? Pattern::Cost::linear : Pattern::Cost::counted, what);
}

const NamedPreTokenizer* find_pre_tokenizer(std::string_view name) noexcept {
  const auto* found = std::ranges::find(kNamed, name, &NamedPreTokenizer::name);
  return found == std::end(kNamed) ? nullptr : found;
}

}  // namespace tokenizer

std::span<const std::string_view> gguf_pre_tokenizers() noexcept { return tokenizer::kNames; }

}  // namespace ftlib
