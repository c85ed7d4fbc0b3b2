// SPDX-License-Identifier: Apache-2.0
// What the subcommands share: each adds itself to the parser and names the function that main calls.
#pragma once
#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ftlib/io/json.h"
#include "ftlib/model/causal_lm.h"

namespace ftlib::cli {

enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2, kGate = 3, kInterrupted = 130 };

/// Set by the subcommand that the user chose; returns the exit code.
using Action = std::function<int()>;

void add_info(CLI::App& app, Action& action);
void add_tokenize(CLI::App& app, Action& action);
void add_template(CLI::App& app, Action& action);
void add_tune(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_merge(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_quantize(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);

/// --model --base --block-size --double-quant --compute --threads, with one meaning everywhere.
struct ModelOptions {
  std::string model;
  std::string base = "native";
  std::int32_t block_size = 64;
  bool double_quant = false;
  std::string compute = "auto";
  int threads = 0;

  void add_to(CLI::App& command);
  BaseFormat base_format() const;
  std::optional<DType> compute_dtype() const;
  void apply_threads() const;
};

/// SIGINT and SIGTERM set this flag once interruption is asked for; a second signal ends the process as usual.
std::atomic<bool>& interrupted();
void catch_interrupts();

/// One line to standard output, flushed. Throws Error{io_error} where it cannot be written (a full disk, a closed
/// pipe).
void print_line(std::string_view line);
void print_json(const Json& json);

}  // namespace ftlib::cli
