// SPDX-License-Identifier: Apache-2.0
// The settings of another trainer as options of `ftlib tune`: every key by one table (migrate_keys.cpp), which
// docs/migrate.md shows to people; a test holds the two together.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace ftlib::cli {

enum class Verdict { same, renamed, different, refused };
std::string_view verdict_name(Verdict verdict) noexcept;

/// One row of the table, as docs/migrate.md shows it.
struct MigratedKeys {
  std::string_view table;  ///< "PEFT", "TRL", ...: the heading
  std::vector<std::string_view> keys;
  Verdict verdict;
  std::string_view here;    ///< Markdown: the option, or why not
  std::string_view absent;  ///< JSON of what that trainer does where the key is absent; empty: nothing to say
};
std::vector<MigratedKeys> migrated_keys();

struct MigratedOption {
  std::string name, value;  ///< "--lr", "2e-05"; a flag's value is "true"
  bool flag = false;
};

struct Migration {
  std::string source;                   ///< "TRL SFTConfig"
  std::vector<MigratedOption> options;  ///< what the file says and, for absent keys, what its trainer would do
  std::vector<std::string> notes;       ///< what the user has to give otherwise, and what differs
};

/// Reads a file of PEFT, TRL, transformers, Unsloth or axolotl; which one, its keys tell.
/// Throws as read_config_file(), and Error{invalid_argument} with file, line and key for a key that is not in the table
/// (naming the nearest), a value of another type, and what ftlib does not do.
Migration migrate(const std::string& path);

/// "--rank 8 --target-regex '.*_proj'": as one would write it in a shell.
std::string command_line(const std::vector<MigratedOption>& options);

}  // namespace ftlib::cli
