// SPDX-License-Identifier: Apache-2.0
// The manifest of a checkpoint: JSON that begins with the digest of all that follows it, so that it can be checked
// before it is parsed: {"xxh3":"<32 digits>","format":...}.
#pragma once
#include "ftlib/io/checkpoint.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::string_view kCheckpointManifest = "manifest.json", kCheckpointFormat = "ftlib-checkpoint";
inline constexpr std::int64_t kCheckpointVersion = 1;

bool checkpoint_part_name_fits(std::string_view name) noexcept;
std::string checkpoint_manifest(std::int64_t step, std::span<const CheckpointPart> parts, const Json& meta);

/// Reads and checks the folder of one checkpoint, whatever its own name; throws as load_checkpoint.
Checkpoint read_checkpoint(const std::string& path, std::int64_t step);

}  // namespace ftlib
