// SPDX-License-Identifier: Apache-2.0
#include "from.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "migrate.h"

namespace ftlib::cli {
namespace {

class FileOptions {
 public:
  explicit FileOptions(CLI::App& command) : command_(command) {
    for (const CLI::Option* option : command.get_options())
      if (option->count() > 0) written_.insert(option);
  }

  void apply(const std::string& path) {
    const Migration migration = migrate(path);
    std::vector<MigratedOption> taken, overruled, waiting;
    for (const MigratedOption& option : migration.options) {
      CLI::Option* const target = command_.get_option(option.name);
      if (is_overruled(target))
        overruled.push_back(option);
      else if (needs_more(target))
        waiting.push_back(option);
      else
        give(target, path, option), taken.push_back(option);
    }
    run(path);
    std::string line = concat("from ", path, " (", migration.source, "): ", command_line(taken));
    if (!overruled.empty()) line += concat("; the command line decides instead of ", command_line(overruled));
    if (!waiting.empty()) line += concat("; without --valid left out: ", command_line(waiting));
    std::fprintf(stderr, "%s\n", line.c_str());
    for (const std::string& note : migration.notes) std::fprintf(stderr, "from %s: %s\n", path.c_str(), note.c_str());
  }

 private:
  bool is_overruled(const CLI::Option* option) const {
    const std::set<CLI::Option*> excluded = option->get_excludes();
    return written_.contains(option) ||
           std::ranges::any_of(excluded, [&](const CLI::Option* other) { return written_.contains(other); });
  }
  static bool needs_more(const CLI::Option* option) {
    const std::set<CLI::Option*> needed = option->get_needs();
    return std::ranges::any_of(needed, [](const CLI::Option* other) { return other->count() == 0; });
  }

  void give(CLI::Option* option, const std::string& path, const MigratedOption& value) {
    for (const auto& [other, file] : set_by_) {
      const bool same = other == option || option->get_excludes().contains(other);
      FT_CHECK(!same || file == path, invalid_argument, path, " says ", value.name, ", and so does ", file,
               "; give --from one of them");
    }
    set_by_.emplace(option, path);
    option->add_result(value.value);
  }

  /// What the parser does with an option that it has read: check, convert, store.
  void run(const std::string& path) const {
    for (const auto& [option, file] : set_by_) {
      if (file != path) continue;
      try {
        option->run_callback();
      } catch (const CLI::ParseError& error) {
        throw Error(Status::invalid_argument, concat(path, ": ", error.what()));
      }
    }
  }

  CLI::App& command_;
  std::set<const CLI::Option*> written_;
  std::map<CLI::Option*, std::string> set_by_;
};

}  // namespace

void apply_config_files(CLI::App& command, const std::vector<std::string>& files) {
  FileOptions options(command);
  for (const std::string& path : files) options.apply(path);
}

}  // namespace ftlib::cli
