// SPDX-License-Identifier: Apache-2.0
// The training loop as a value: one optimiser step at a time, its whole state as bytes, nothing on disk.
// train/run.h puts it into an output folder with checkpoints, journal and the best adapter.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ftlib/data/loader.h"
#include "ftlib/io/json.h"
#include "ftlib/model/causal_lm.h"
#include "ftlib/optim/adamw.h"
#include "ftlib/optim/schedule.h"

namespace ftlib::inline FTLIB_ABI {

enum class Optimizer : std::int32_t { adamw = 0, adamw8bit };
enum class OnNonFinite : std::int32_t { stop = 0, skip };

/// Everything that decides the bits of a run, with the names of the command line.
struct TrainOptions {
  LoaderOptions loader;
  std::int64_t epochs = 1;
  std::int64_t steps = 0;  ///< > 0: exactly this many, wrapping epochs
  Optimizer optimizer = Optimizer::adamw;
  AdamWOptions adamw;
  Schedule schedule = Schedule::cosine;
  double warmup = 0.05;  ///< < 1: a share of all steps, else steps
  double clip = 1.0;     ///< global norm; 0: no clipping
  OnNonFinite on_nonfinite = OnNonFinite::stop;
};

/// Every option by its name, for the run record and its digest.
Json train_options_json(const TrainOptions& options);
Json lora_config_json(const LoraConfig& config);

struct StepReport {
  std::int64_t step = 0;   ///< from 1
  std::int64_t epoch = 0;  ///< from 0
  double loss = 0;         ///< weighted mean over this step's supervised tokens, before its update
  double grad_norm = 0;    ///< before the clip
  double lr = 0;
  std::int64_t tokens = 0, supervised_tokens = 0;
  double seconds = 0;
  double flops = 0;      ///< that the step needed (model/flops.h)
  bool skipped = false;  ///< not finite, under OnNonFinite::skip
};

/// Trains the adapter in place. Not thread-safe, but any number of trainers may run in threads of their own.
/// Bit-identical for any thread count and across save and restore.
class Trainer {
 public:
  /// All arguments but options and keep must outlive the trainer. `also_fits`: the pass holds a segment of so many tokens
  /// even if no example is as long, so that it can be lent to evaluate_loss.
  /// Throws Error{invalid_argument} on options that cannot work.
  Trainer(const CausalLM& model, LoraAdapter& adapter, std::span<const Example> examples, const TrainOptions& options,
          const std::vector<Keep>& keep = {}, std::int64_t also_fits = 0);

  Pass& pass() noexcept { return pass_; }

  std::int64_t total_steps() const noexcept { return total_steps_; }
  std::int64_t step_count() const noexcept { return step_; }  ///< steps done
  bool done() const noexcept { return step_ >= total_steps_; }
  /// Whether the step just done was the last of its epoch.
  bool at_epoch_end() const noexcept { return epoch_step_ == 0 && step_ > 0; }
  std::int64_t epoch() const noexcept { return epoch_; }

  /// One optimiser step. Throws Error{non_finite} naming the layer under OnNonFinite::stop, Error{cancelled} before a
  /// micro-batch once `stop` is set (parameters and state are as before the step after both), and as the ops do.
  StepReport step(const std::atomic<bool>* stop = nullptr);

  /// Weighted mean loss over all supervised tokens of the steps so far.
  double train_loss() const noexcept { return weight_sum_ > 0 ? nll_sum_ / weight_sum_ : 0; }

  /// The state beyond the adapter's parameters: moments, position, sums. restore() throws Error{mismatch} where it
  /// belongs to another run.
  std::span<const std::byte> optimizer_state() const;  ///< valid until the next step
  Json position() const;
  void restore(std::span<const std::byte> optimizer_state, const Json& position);

  /// Bytes of the optimiser's state.
  static std::int64_t state_bytes(const LoraAdapter& adapter, const TrainOptions& options) noexcept;

  /// Bytes of everything a trainer allocates beyond model and adapter.
  static std::int64_t planned_bytes(const CausalLM& model, const LoraAdapter& adapter, const TrainOptions& options,
                                    std::int64_t max_tokens, std::int64_t max_positions, const std::vector<Keep>& keep);

 private:
  struct Parameter {
    std::span<float> value;
    std::span<const float> gradient;
    std::size_t module;
    bool is_a;
  };

  void plan_parameters();
  void plan_states();
  void plan_steps();
  std::span<const Batch> next_batches();
  double accumulate(std::span<const Batch> batches, double weight_sum, const std::atomic<bool>* stop);
  std::string non_finite_text(double loss) const;
  void check_update() const;
  void update(double lr, double factor);
  void advance();

  const CausalLM& model_;
  LoraAdapter& adapter_;
  TrainOptions options_;
  Loader loader_;
  Buffer gradients_, states_;
  std::vector<Parameter> parameters_;
  std::vector<std::span<const float>> all_gradients_;
  std::vector<AdamWTensor> tensors_;
  std::vector<AdamW8bitTensor> quantized_tensors_;
  Pass pass_;
  std::vector<float> nll_;
  std::int64_t total_steps_ = 0, warmup_steps_ = 0;
  std::int64_t step_ = 0, epoch_ = 0, epoch_step_ = 0;
  std::int64_t applied_steps_ = 0;  ///< steps that changed the parameters: AdamW's bias correction counts these
  double nll_sum_ = 0, weight_sum_ = 0;
};

}  // namespace ftlib
