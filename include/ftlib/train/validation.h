// SPDX-License-Identifier: Apache-2.0
// Held-out loss along a run: when it is due, which adapter was the best, when more steps are of no use.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>

#include "ftlib/eval/evaluate.h"
#include "ftlib/train/trainer.h"

namespace ftlib::inline FTLIB_ABI {

struct ValidationOptions {
  std::int64_t every = 0;     ///< steps; 0: at the end of each epoch
  std::int64_t patience = 0;  ///< so many validations without improvement end a run; 0: none do
};

/// Whether something that happens every so many steps (0: at the end of each epoch) comes now. It always does at the end.
bool due_every(std::int64_t steps, const Trainer& trainer) noexcept;

/// Without examples nothing is ever due. Not thread-safe.
class Validation {
 public:
  Validation(std::span<const Example> examples, const ValidationOptions& options)
      : examples_(examples), options_(options) {}

  /// The longest example: what a trainer's pass has to hold as well.
  std::int64_t longest() const noexcept;

  /// Once for each step.
  bool due(const Trainer& trainer) const noexcept;

  /// Measures the adapter in the trainer's own memory, and keeps it where it is the best so far. Nothing, and still due,
  /// once `stop` is set. Throws what `on_loss` throws; then it is still due as well.
  std::optional<LossReport> run(const CausalLM& model, const LoraAdapter& adapter, Trainer& trainer,
                                const std::atomic<bool>* stop = nullptr,
                                const std::function<void(const LossReport&)>& on_loss = {});

  bool out_of_patience() const noexcept { return options_.patience > 0 && worse_ >= options_.patience; }
  double latest_loss() const noexcept { return latest_loss_; }  ///< NaN: none yet
  bool has_best() const noexcept { return best_.bytes() > 0; }
  double best_loss() const noexcept { return best_loss_; }  ///< infinity: none yet
  std::int64_t best_step() const noexcept { return best_step_; }
  std::span<const std::byte> best_parameters() const noexcept;

  /// The best adapter's parameters into `adapter`; nothing where there is none.
  void copy_best(LoraAdapter& adapter) const noexcept;

  /// The state beyond the best parameters, as members of `meta`.
  void describe(Json& meta) const;
  /// The same validation in the state that describe() told of; no parameters: there was no best one. Throws
  /// Error{mismatch} where they are of another size than `adapter`'s.
  Validation restored(const Json& meta, std::span<const std::byte> best_parameters, const LoraAdapter& adapter) const;

 private:
  std::span<const Example> examples_;
  ValidationOptions options_;
  Buffer best_;
  double latest_loss_ = std::numeric_limits<double>::quiet_NaN();
  double best_loss_ = std::numeric_limits<double>::infinity();
  std::int64_t best_step_ = 0, worse_ = 0, validated_step_ = 0;
};

}  // namespace ftlib
