// SPDX-License-Identifier: Apache-2.0
// A training run in an output folder: journal, checkpoints that survive kill -9, the best adapter, resume with the same
// bits. The folder afterwards: adapter_config.json, adapter_model.safetensors, adapter.gguf, ftlib.json, journal.jsonl,
// checkpoints/step-N/.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ftlib/io/fingerprint.h"
#include "ftlib/io/json.h"
#include "ftlib/model/adapter.h"
#include "ftlib/train/trainer.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::int64_t kRunFormat = 1;  ///< of ftlib.json; a newer one is refused by name

struct RunOptions {
  TrainOptions train;
  std::string out;                ///< folder; created
  bool resume = false;            ///< go on from the newest valid checkpoint; none: start at 0
  bool overwrite = false;         ///< replace a run that is there
  std::int64_t save_every = 0;    ///< steps; 0: at the end of each epoch
  std::int64_t valid_every = 0;   ///< steps; 0: at the end of each epoch
  std::int64_t patience = 0;      ///< stop after so many validations without improvement; 0: never
  int keep_checkpoints = 2;
  std::vector<Keep> keep;         ///< the memory plan
  AdapterOrigin origin;           ///< what the adapter's files say of its base
  Json digests;                   ///< base, data, valid, tokenizer, template: 64 hex digits or null
  std::vector<FileFingerprint> inputs;  ///< files that must not change while the run lasts
  Json options;                   ///< every resolved option that decides the bits, for the record; compared on resume
  Json machine;                   ///< threads, memory, plan: recorded, free to differ on resume
};

/// Called on the caller's thread with each event: "plan", "resume", "step", "eval", "checkpoint", "warning", "done"; the
/// members are those of the command line's JSON. What it throws ends the run as an error would, after a save.
using RunEvents = std::function<void(const Json& event)>;

struct RunResult {
  bool finished = false;        ///< false: stopped by `stop`, a checkpoint is saved
  bool early_stopped = false;   ///< by patience
  std::int64_t steps = 0;
  Json done;                    ///< the "done" event
  std::int64_t tokens = 0;      ///< that this call trained on
};

/// Trains `adapter` and writes the folder. With `valid`, the adapter of the lowest validation loss is what is written and
/// what `adapter` holds at the end, else the last. `stop` may be set from any thread or signal handler: the step in
/// progress ends, the state is saved.
///
/// A checkpoint that cannot be written is a "warning" event and tried again at the next; training goes on.
/// Throws Error{invalid_file, CHANGED} with path and byte, after a save, when one of `inputs` changed under the run;
/// Error{busy} while another process or thread trains into the folder; Error{invalid_argument} where the folder
/// holds a run and neither resume nor overwrite is given; Error{mismatch} with the differing options on resume; and as
/// Trainer does.
RunResult run_training(const CausalLM& model, LoraAdapter& adapter, std::span<const Example> train,
                       std::span<const Example> valid, const RunOptions& options, const RunEvents& on_event = {},
                       const std::atomic<bool>* stop = nullptr);

/// "--lr: 0.0002 then, 0.0004 now; ..." for every member that differs between two option objects; empty: none.
std::string options_difference(const Json& then, const Json& now);

}  // namespace ftlib
