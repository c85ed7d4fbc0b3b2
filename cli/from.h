// SPDX-License-Identifier: Apache-2.0
// Files of other trainers in place of options on the command line.
#pragma once
#include <string>
#include <vector>

#include "cli.h"

namespace ftlib::cli {

/// Gives `command`, which is parsed, the options that the files mean, as if they had been written before those that are
/// there: what the command line says, or excludes, stays as it is. Says on standard error what each file came to.
/// Throws as migrate(), and Error{invalid_argument} where an option does not take a value or two files set one option.
void apply_config_files(CLI::App& command, const std::vector<std::string>& files);

}  // namespace ftlib::cli
