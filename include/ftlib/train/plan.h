// SPDX-License-Identifier: Apache-2.0
// What a run will need, before it starts: which activations each layer keeps, bytes at the peak, steps and work.
#pragma once
#include <cstdint>
#include <vector>

#include "ftlib/model/flops.h"
#include "ftlib/train/trainer.h"

namespace ftlib::inline FTLIB_ABI {

struct MemoryPlan {
  std::vector<Keep> keep;               ///< one a layer
  std::int64_t resident_bytes = 0;      ///< of the process when the plan was made: program, model, tokenizer, records
  std::int64_t trainer_bytes = 0;       ///< what the trainer will add
  std::int64_t budget_bytes = 0;
  std::int64_t peak_bytes() const noexcept { return resident_bytes + trainer_bytes; }
  std::int64_t layers(Keep what) const noexcept;
};

/// The fastest plan within `budget_bytes` of peak resident memory; 0: within 80 % of what the machine has available now
/// beyond what the process holds. Layers give up gate and up first (plan B), then everything but their input (plan C).
/// Call when model and records are loaded. Throws Error{invalid_argument} where even plan C for all layers does not fit,
/// naming the minimum and what to lower.
MemoryPlan plan_memory(const CausalLM& model, const LoraAdapter& adapter, std::span<const Example> examples,
                       const TrainOptions& options, std::int64_t budget_bytes, std::int64_t also_fits = 0);

/// How long a run is, before it starts.
struct RunLength {
  std::int64_t steps = 0;
  Work work;
};
RunLength run_length(std::span<const Example> examples, const TrainOptions& options);

}  // namespace ftlib
