// SPDX-License-Identifier: Apache-2.0
#include "ftlib/train/resume.h"

#include <cstring>

namespace ftlib::inline FTLIB_ABI {
namespace {

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }
std::span<const std::byte> as_bytes(const Buffer& buffer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.bytes())};
}

/// Puts the parameters back unless the restore is kept.
class ReplacedParameters {
 public:
  ReplacedParameters(Buffer& parameters, std::span<const std::byte> by) : parameters_(parameters), before_(parameters.bytes()) {
    std::memcpy(before_.data(), parameters.data(), by.size());
    std::memcpy(parameters.data(), by.data(), by.size());
  }
  ~ReplacedParameters() {
    if (!kept_) std::memcpy(parameters_.data(), before_.data(), static_cast<std::size_t>(before_.bytes()));
  }
  void keep() noexcept { kept_ = true; }

 private:
  Buffer& parameters_;
  Buffer before_;
  bool kept_ = false;
};

}  // namespace

void save_training(const std::string& folder, const LoraAdapter& adapter, const Trainer& trainer,
                   const Validation& validation, const Json& run, int keep) {
  std::vector<CheckpointPart> parts{{"adapter", as_bytes(adapter.parameters)}, {"optimizer", trainer.optimizer_state()}};
  if (validation.has_best()) parts.push_back({"best_adapter", validation.best_parameters()});
  Json meta = Json::object();
  meta["run"] = run;
  meta["position"] = trainer.position();
  validation.describe(meta);
  save_checkpoint(folder, trainer.step_count(), parts, meta, keep);
}

void restore_training(const Checkpoint& checkpoint, LoraAdapter& adapter, Trainer& trainer, Validation& validation) {
  const std::string& parameters = checkpoint.part("adapter");
  FT_CHECK(static_cast<std::int64_t>(parameters.size()) == adapter.parameters.bytes(), mismatch,
           "[train] the checkpoint's adapter has ", parameters.size(), " bytes, this run's ", adapter.parameters.bytes());
  const bool has_best = !checkpoint.meta.at("best", "checkpoint").is_null();
  const auto best = has_best ? as_bytes(checkpoint.part("best_adapter")) : std::span<const std::byte>();
  Validation restored = validation.restored(checkpoint.meta, best, adapter);
  ReplacedParameters replaced(adapter.parameters, as_bytes(parameters));
  trainer.restore(as_bytes(checkpoint.part("optimizer")), checkpoint.meta.at("position", "checkpoint"));
  replaced.keep();
  validation = std::move(restored);
}

}  // namespace ftlib::inline FTLIB_ABI
