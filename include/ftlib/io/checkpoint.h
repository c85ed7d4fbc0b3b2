// SPDX-License-Identifier: Apache-2.0
// Checkpoints that survive kill -9, a full disk and bit rot. `folder/step-N/` holds the parts and `manifest.json`,
// which has each part's length and XXH3-128 and a digest of itself. Order of a save: everything is written under the
// name `step-N.tmp-PID-NUMBER`, each file brought to the disk, the folder brought to the disk, all read back and
// compared, renamed to `step-N`, the parent brought to the disk. Only then does the call return, and only then are old
// ones pruned.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {

/// A named piece of a checkpoint; the name (1 to 64 of [A-Za-z0-9._-], not beginning with a dot) is its file's name.
struct CheckpointPart {
  std::string name;
  std::span<const std::byte> data;
};

struct Checkpoint {
  std::int64_t step = 0;
  std::string library;                                     ///< the version of ftlib that wrote it
  Json meta;                                               ///< as the caller gave it
  std::vector<std::pair<std::string, std::string>> parts;  ///< name and bytes, in the order of the save

  /// Throws Error{invalid_file, MISMATCH} that names the missing part.
  const std::string& part(std::string_view name) const;
};

/// Saves `parts` and `meta` as `folder/step-N` and then keeps the newest `keep` (>= 1) checkpoints, this one always. A
/// checkpoint of the same step is replaced, leftovers of killed savers are removed. `meta` is the caller's: position,
/// options, digests of base and data. Throws Error{io_error, IO} (with the bytes needed and free when the disk is
/// full): then nothing of the new one is left and older ones are untouched, unless the failure was the very last, of
/// the parent folder, when the new one is whole but may not outlive a power cut. Error{busy} while another process
/// saves here, Error{invalid_argument}. A failure to prune is no error: the next save tries again.
void save_checkpoint(const std::string& folder, std::int64_t step, std::span<const CheckpointPart> parts,
                     const Json& meta, int keep);

/// Reads `folder/step-N` and checks every byte of it. Throws Error{invalid_file, MISMATCH | VERSION | SCHEMA | ...}
/// that names the part, Error{not_found, IO} where one is missing. Symbolic links are refused. Writes nothing.
Checkpoint load_checkpoint(const std::string& folder, std::int64_t step);

struct SkippedCheckpoint {
  std::string name;  ///< "step-12"
  std::string why;
};
struct CheckpointSearch {
  std::optional<Checkpoint> checkpoint;    ///< empty: there is no valid one
  std::vector<SkippedCheckpoint> skipped;  ///< newer ones that are damaged, newest first: show them to the user
};

/// Walks from the newest checkpoint back to the first valid one. No folder is no checkpoint. Throws Error{invalid_file,
/// VERSION} when it meets one of a newer format: that one is sound, and going on from an older one would lose it.
CheckpointSearch newest_valid_checkpoint(const std::string& folder);

/// The steps that have a checkpoint, valid or not, newest first.
std::vector<std::int64_t> checkpoint_steps(const std::string& folder);

}  // namespace ftlib
