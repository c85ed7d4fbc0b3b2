// SPDX-License-Identifier: Apache-2.0
// Which modules a target or a pattern means, by PEFT's rules.
#pragma once
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/regex.h"
#include "ftlib/model/lora.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::string_view kAllLinear = "all-linear";
inline constexpr std::string_view kHead = "lm_head", kEmbedding = "model.embed_tokens";
inline constexpr std::uint32_t kTargetSteps = 100'000;
inline constexpr std::string_view kAlphaRange = "alpha must be 1e-30 to 1e30 in magnitude";

/// The linears of the decoder in the order of the computation; name, layer, kind, out and in are filled.
std::vector<LoraModule> all_linears(const ModelConfig& model);

/// A name as in target_modules: the whole module or the end of it, after a dot.
bool ends_in_name(std::string_view module, std::string_view name) noexcept;

/// A key of rank_pattern or alpha_pattern: matches `(.*\.)?(KEY)`.
class ModulePattern {
 public:
  explicit ModulePattern(std::string_view key);
  bool matches(std::string_view module) const;

 private:
  std::string key_;
  std::optional<Regex> regex_;  // absent where the key can only match itself
};

/// Scales of valid alphas are finite in f32 and not 0.
inline bool valid_alpha(double alpha) noexcept { return std::abs(alpha) >= 1e-30 && std::abs(alpha) <= 1e30; }

/// What the targets of a configuration select.
struct Selection {
  std::vector<char> selected;        ///< one flag per linear
  std::vector<std::string> nothing;  ///< names, or the regex, that select no linear
};
Selection select_targets(const std::vector<LoraModule>& linears, const LoraConfig& config);

/// Up to three names of `linears` that resemble `name`, as "; near names: a, b", or nothing.
std::string near_names(std::string_view name, const std::vector<LoraModule>& linears);

/// Sets rank, alpha and scale of every module and checks their ranges. Returns the keys of patterns that match no
/// module.
std::vector<std::string> resolve_ranks(std::vector<LoraModule>& modules, const LoraConfig& config);

/// One zero-filled block of memory for the modules' A and B.
void allocate_parameters(LoraAdapter& adapter);

}  // namespace ftlib
