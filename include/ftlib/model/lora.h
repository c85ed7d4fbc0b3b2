// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters: which linears get one, of what rank and scale, and how they begin.
// Hu et al., "LoRA", 2021; Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/model/config.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::int64_t kLargestRank = 16384;

/// PEFT's LoraConfig, the fields that are supported, with PEFT's names.
///
/// A pattern's key is a regular expression for the end of a module's name, after a dot or from its beginning
/// (`(.*\.)?(KEY)$`); the first key that matches decides. Regular expressions are PCRE2's, bounded to 100,000 steps.
struct LoraConfig {
  std::int64_t r = 16;
  double lora_alpha = 32;
  double lora_dropout = 0;
  bool use_rslora = false;
  std::vector<std::string> target_modules{"all-linear"};  ///< names: exact or ".suffix"; or the one word all-linear
  std::string target_regex;                               ///< full match; used when not empty
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
};

/// One adapted linear: y += scale * B (A x).
struct LoraModule {
  std::string name;  ///< "model.layers.0.self_attn.q_proj"
  std::int64_t layer = 0;
  LinearKind kind = LinearKind::q_proj;
  std::int64_t out = 0, in = 0, r = 0;
  double alpha = 0;
  float scale = 1;         ///< alpha / r, or alpha / sqrt(r) with use_rslora
  float* a = nullptr;      ///< [r, in] f32, in the adapter's parameters
  float* b = nullptr;      ///< [out, r] f32
};

/// The trainable parameters in one block: module after module, A then B, each 64-byte aligned. Move-only.
struct LoraAdapter {
  LoraConfig config;
  std::vector<LoraModule> modules;  ///< in the order of the computation: by layer, then kind
  Buffer parameters;
  std::int64_t parameter_count = 0;  ///< without alignment gaps

  const LoraModule* find(std::int64_t layer, LinearKind kind) const noexcept;
};

/// The modules that `config` selects, zero-filled. Throws Error{invalid_argument} where a name, regex or pattern
/// matches nothing (near names are listed), r (1 to kLargestRank), alpha (1e-30 to 1e30 in magnitude) or dropout (0 to
/// below 1) is out of range, or the head or the embedding is asked for; Error{unsupported} where a regex needs too many
/// steps.
LoraAdapter make_lora_adapter(const ModelConfig& model, const LoraConfig& config);

/// An adapter of its own with the same numbers.
LoraAdapter copy_of(const LoraAdapter& adapter);

/// PEFT's default: A uniform in +-1/sqrt(in) (kaiming_uniform with a = sqrt(5)), B zero. Decided by seed and names alone.
void initialize(LoraAdapter& adapter, std::uint64_t seed);

}  // namespace ftlib
