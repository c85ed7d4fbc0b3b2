// SPDX-License-Identifier: Apache-2.0
// What migrate.cpp, its converters and its tables share.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config_file.h"
#include "migrate.h"

namespace ftlib::cli::migration {

struct Row;
class Resolution;

/// Adds the options that `value` of `key` means, or refuses it.
using Convert = void (*)(Resolution& r, const Row& row, std::string_view key, const Json& value);

struct Row {
  std::string_view keys;  ///< one; or several, with a space between them
  Verdict verdict;
  std::string_view here;
  Convert convert;
  std::string_view absent = "";
  std::string_view accepts = "";  ///< JSON array: what only() lets pass besides what is unset
};

struct Table {
  std::string_view name;
  std::span<const Row> rows;
};
Table peft_table();
Table trl_table();           ///< SFTConfig
Table trl_program_table();   ///< `trl sft`: ScriptArguments and ModelConfig
Table transformers_table();  ///< TrainingArguments
Table unsloth_table();
Table axolotl_table();

/// The tables of one kind of file; of rows for the same key the first decides.
struct Kind {
  std::string_view name;
  std::vector<Table> tables;

  /// The row of a key or of a pattern of keys ("datasets[].path"); null: none.
  const Row* find(std::string_view key) const;
};

/// Of a file of PEFT, and of `peft_config` within one of TRL.
const Kind& peft_kind();

std::vector<std::string_view> keys_of(const Row& row);
/// null, false, 0, "", [] and {}: as if the key were not there.
bool is_unset(const Json& value);
/// The option between the first two backticks of `here`.
std::string option_of(const Row& row);

/// One object of a file on its way to options.
class Resolution {
 public:
  /// `prefix` comes before the keys in messages: "" or "peft_config.".
  Resolution(const ConfigFile& file, const Json& object, const Kind& kind, std::string prefix, Migration& out)
      : file_(file), object_(object), kind_(kind), prefix_(std::move(prefix)), out_(out) {}

  /// Every key of the object by its row, every absent key by what the source does then.
  void run();
  /// The same for an object within this one, by another table.
  void nested(std::string_view key, const Json& object, const Kind& kind);

  const Json* given(std::string_view key) const;  ///< of this key itself; null where absent or null
  bool is_null(std::string_view key) const;       ///< written as null
  /// By the row of `key`, with its other spellings: what is given, else what the source does; null where neither.
  Json value(std::string_view key) const;
  bool is_axolotl() const { return kind_.name == "axolotl"; }

  std::int64_t whole(std::string_view key, const Json& value, std::int64_t low = INT64_MIN) const;
  double number(std::string_view key, const Json& value) const;
  bool boolean(std::string_view key, const Json& value) const;
  const std::string& text(std::string_view key, const Json& value) const;
  std::vector<std::string> texts(std::string_view key, const Json& value) const;

  void option(std::string_view name, std::string value) {
    out_.options.push_back({std::string(name), std::move(value)});
  }
  void flag(std::string_view name) { out_.options.push_back({std::string(name), "true", true}); }
  void note(std::string text) { out_.notes.push_back(std::move(text)); }
  [[noreturn]] void fail(std::string_view key, std::string_view text) const;
  /// "KEY: VALUE is refused: why".
  [[noreturn]] void refuse(const Row& row, std::string_view key, const Json& value) const;

 private:
  struct Field {
    std::string path, pattern;  ///< "datasets[0].path", "datasets[].path"
    const Json* value;
    const Row* row = nullptr;  ///< once it is known
  };
  std::vector<Field> fields() const;
  bool looks_inside(std::string_view key) const;
  void add_items(std::vector<Field>& fields, const std::string& list, const Json& items) const;
  const Row* known(const Field& field) const;
  void convert(const Row& row, const std::vector<Field>& fields);

  const ConfigFile& file_;
  const Json& object_;
  const Kind& kind_;
  std::string prefix_;
  Migration& out_;
};

// The converters. Those that make one option take its name from the row.
void whole(Resolution&, const Row&, std::string_view, const Json&);
void number(Resolution&, const Row&, std::string_view, const Json&);
void flag(Resolution&, const Row&, std::string_view, const Json&);
void ignored(Resolution&, const Row&, std::string_view, const Json&);    ///< any value: it changes nothing here
void elsewhere(Resolution&, const Row&, std::string_view, const Json&);  ///< the converter of another key reads it
void only(Resolution&, const Row&, std::string_view, const Json&);       ///< unset, or a value that the row accepts
void named(Resolution&, const Row&, std::string_view, const Json&);      ///< a note: the user has to give it otherwise

void target(Resolution&, const Row&, std::string_view, const Json&);
void target_linear(Resolution&, const Row&, std::string_view, const Json&);
void rank_pattern(Resolution&, const Row&, std::string_view, const Json&);
void init_adapter(Resolution&, const Row&, std::string_view, const Json&);
void peft_config(Resolution&, const Row&, std::string_view, const Json&);
void use_peft(Resolution&, const Row&, std::string_view, const Json&);
void adapter_kind(Resolution&, const Row&, std::string_view, const Json&);
void required(Resolution&, const Row&, std::string_view, const Json&);  ///< a number that the source has no default for
void nf4(Resolution&, const Row&, std::string_view, const Json&);
void nf4_of_trl(Resolution&, const Row&, std::string_view, const Json&);

void batch(Resolution&, const Row&, std::string_view, const Json&);
void packing(Resolution&, const Row&, std::string_view, const Json&);
void accumulate(Resolution&, const Row&, std::string_view, const Json&);
void max_length(Resolution&, const Row&, std::string_view, const Json&);
void sequence_len(Resolution&, const Row&, std::string_view, const Json&);
void epochs(Resolution&, const Row&, std::string_view, const Json&);
void max_steps(Resolution&, const Row&, std::string_view, const Json&);
void learning_rate(Resolution&, const Row&, std::string_view, const Json&);
void schedule(Resolution&, const Row&, std::string_view, const Json&);
void warmup(Resolution&, const Row&, std::string_view, const Json&);
void optimizer(Resolution&, const Row&, std::string_view, const Json&);
void betas(Resolution&, const Row&, std::string_view, const Json&);
void compute(Resolution&, const Row&, std::string_view, const Json&);
void order(Resolution&, const Row&, std::string_view, const Json&);
void curriculum(Resolution&, const Row&, std::string_view, const Json&);
void shuffle_dataset(Resolution&, const Row&, std::string_view, const Json&);
void seed_or_random_state(Resolution&, const Row&, std::string_view, const Json&);
void chat_template(Resolution&, const Row&, std::string_view, const Json&);
void assistant_only(Resolution&, const Row&, std::string_view, const Json&);
void only_true(Resolution&, const Row&, std::string_view, const Json&);
void evaluation(Resolution&, const Row&, std::string_view, const Json&);
void saving(Resolution&, const Row&, std::string_view, const Json&);
void interval(Resolution&, const Row&, std::string_view, const Json&);
void early_stopping(Resolution&, const Row&, std::string_view, const Json&);
void special_tokens(Resolution&, const Row&, std::string_view, const Json&);

}  // namespace ftlib::cli::migration
