// SPDX-License-Identifier: Apache-2.0
// The whole state of a training run as a checkpoint, and back: the run goes on with the bits of one that never stopped.
#pragma once
#include <string>

#include "ftlib/io/checkpoint.h"
#include "ftlib/train/validation.h"

namespace ftlib::inline FTLIB_ABI {

/// Saves `folder/step-N` (io/checkpoint.h) and keeps the newest `keep`. `run` names the options and files that decide the
/// bits; it comes back as meta.run of the checkpoint, for the caller to compare. Throws as save_checkpoint.
void save_training(const std::string& folder, const LoraAdapter& adapter, const Trainer& trainer,
                   const Validation& validation, const Json& run, int keep);

/// Throws Error{mismatch} where the state is of another shape, Error{invalid_file} where it is none. All three are then as
/// before.
void restore_training(const Checkpoint& checkpoint, LoraAdapter& adapter, Trainer& trainer, Validation& validation);

}  // namespace ftlib
