// SPDX-License-Identifier: Apache-2.0
// A configuration that another trainer reads, as a value that remembers its lines: JSON where the text begins with { or
// [, else YAML. Hostile like every file: limits, no aliases, no duplicate keys, an error value for the rest.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "ftlib/io/json.h"

namespace ftlib::cli {

struct ConfigFile {
  std::string path;
  Json value;                                              ///< an object
  std::map<std::string, std::int64_t, std::less<>> lines;  ///< "seed", "datasets[0].path": line, from 1

  /// "path:line" of a key; of what holds it where its own line is not known; else the path alone.
  std::string where(std::string_view key) const;
};

/// Throws Error{not_found}, Error{io_error}; Error{invalid_argument} for a folder, a pickle and what else holds a
/// trainer's state, saying what moves over; Error{invalid_file} with the line for what is neither JSON nor YAML, has
/// more than 1 MiB (of YAML 64 KiB), 20,000 values or 32 levels, an alias, a key twice, or no object at the top.
ConfigFile read_config_file(const std::string& path);

/// What becomes of a trainer's checkpoint: the end of every message that refuses a part of one.
std::string_view what_moves_over();

}  // namespace ftlib::cli
