// SPDX-License-Identifier: Apache-2.0
#include "ftlib/train/validation.h"

#include <algorithm>
#include <cstring>

namespace ftlib::inline FTLIB_ABI {

bool due_every(std::int64_t steps, const Trainer& trainer) noexcept {
  if (trainer.done()) return true;
  return steps > 0 ? trainer.step_count() % steps == 0 : trainer.at_epoch_end();
}

std::int64_t Validation::longest() const noexcept {
  std::int64_t length = 0;
  for (const Example& example : examples_) length = std::max(length, example.length());
  return length;
}

bool Validation::due(const Trainer& trainer) const noexcept {
  return !examples_.empty() && trainer.step_count() > validated_step_ && due_every(options_.every, trainer);
}

std::optional<LossReport> Validation::run(const CausalLM& model, const LoraAdapter& adapter, Trainer& trainer,
                                          const std::atomic<bool>* stop,
                                          const std::function<void(const LossReport&)>& on_loss) {
  struct StopAsked {};
  LossReport report;
  try {
    report = evaluate_loss(model, &adapter, examples_, trainer.pass().max_tokens(), &trainer.pass(),
                           [&](std::int64_t, std::int64_t) {
                             if (stop && stop->load()) throw StopAsked{};
                           });
  } catch (const StopAsked&) {
    return {};
  }
  if (on_loss) on_loss(report);
  validated_step_ = trainer.step_count();
  latest_loss_ = report.loss;
  if (report.loss < best_loss_) {
    if (!has_best()) best_ = Buffer(adapter.parameters.bytes());
    std::memcpy(best_.data(), adapter.parameters.data(), static_cast<std::size_t>(best_.bytes()));
    best_loss_ = report.loss, best_step_ = trainer.step_count(), worse_ = 0;
  } else {
    ++worse_;
  }
  return report;
}

std::span<const std::byte> Validation::best_parameters() const noexcept {
  return {best_.data(), static_cast<std::size_t>(best_.bytes())};
}

void Validation::copy_best(LoraAdapter& adapter) const noexcept {
  if (has_best()) std::memcpy(adapter.parameters.data(), best_.data(), static_cast<std::size_t>(best_.bytes()));
}

void Validation::describe(Json& meta) const {
  meta["validated_step"] = validated_step_;
  meta["best"] = Json();
  if (!has_best()) return;
  Json& best = meta["best"];
  best["loss"] = best_loss_, best["step"] = best_step_, best["worse"] = worse_;
}

Validation Validation::restored(const Json& meta, std::span<const std::byte> best_parameters,
                                const LoraAdapter& adapter) const {
  const auto bytes = static_cast<std::int64_t>(best_parameters.size());
  FT_CHECK(bytes == 0 || bytes == adapter.parameters.bytes(), mismatch, "[train] the best adapter of the checkpoint has ",
           bytes, " bytes, this run's ", adapter.parameters.bytes());
  Validation state(examples_, options_);
  state.validated_step_ = meta.at("validated_step", "checkpoint").as_integer("validated_step");
  if (bytes == 0) return state;
  const Json& best = meta.at("best", "checkpoint");
  state.best_loss_ = best.at("loss", "checkpoint").as_number("loss");
  state.best_step_ = best.at("step", "checkpoint").as_integer("step");
  state.worse_ = best.at("worse", "checkpoint").as_integer("worse");
  state.best_ = Buffer(bytes);
  std::memcpy(state.best_.data(), best_parameters.data(), best_parameters.size());
  return state;
}

}  // namespace ftlib::inline FTLIB_ABI
