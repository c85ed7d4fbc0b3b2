// SPDX-License-Identifier: Apache-2.0
// What the subcommands share: each adds itself to the parser and names the function that main calls.
#pragma once
#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ftlib/core/parallel.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/io/json.h"
#include "ftlib/model/adapter.h"
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
  /// The frozen weights, whose vocabulary must hold the tokenizer's.
  CausalLM load(const ModelFiles& files, const Tokenizer& tokenizer) const;
};

void add_threads_option(CLI::App& command, int& threads);

/// More threads than four a CPU spend their time waiting for each other: then as many as there are CPUs, said so.
void apply_threads(int asked);

/// Checks of arguments. CLI11's own let NaN and wrapped numbers pass and print limits of 300 digits.
CLI::Validator at_least(double low);  ///< a finite number
CLI::Validator above(double low);     ///< a finite number
CLI::Validator whole(std::int64_t low, std::int64_t high = INT64_MAX);
CLI::Validator path_to_write();
CLI::Validator date();

/// Bytes of "2GiB", "700MiB", "1.5GB". Throws Error{invalid_argument}.
std::int64_t parse_bytes(const std::string& text);

/// Says on standard error that an adapter was trained on another base, or on another form of this one.
void warn_of_other_base(const std::string& adapter, const AdapterOrigin& origin, const ModelFiles& files,
                        const BaseFormat& base);

/// SIGINT and SIGTERM set this flag once interruption is asked for; a second signal ends the process as usual.
std::atomic<bool>& interrupted();
void catch_interrupts();

/// Lines of standard input, each of at most 16 MiB. Throws Error{io_error} where it cannot be read (it is closed, or a
/// folder), Error{invalid_file, LIMIT} for a longer line.
class InputLines {
 public:
  bool next(std::string& line);                    ///< false at the end
  std::int64_t number() const { return number_; }  ///< of the line that next() gave, from 1
  std::string what() const { return concat("stdin:", number_); }

 private:
  std::string buffer_;
  std::size_t begin_ = 0;
  std::int64_t number_ = 0;
  bool ended_ = false;
};

/// Bytes to standard output, flushed. Throws Error{io_error} where they cannot be written.
void print_bytes(std::string_view bytes);

/// One line to standard output, flushed. Throws Error{io_error} where it cannot be written (a full disk, a closed
/// pipe).
void print_line(std::string_view line);
void print_json(const Json& json);

}  // namespace ftlib::cli
