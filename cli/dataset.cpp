// SPDX-License-Identifier: Apache-2.0
#include "dataset.h"

#include "ftlib/io/file.h"
#include "progress.h"

namespace ftlib::cli {

void DataOptions::add_to(CLI::App& command) {
  command.add_option("--max-length", max_length, "tokens of a record; longer ones are left out and counted")
      ->check(CLI::Range(2, 1 << 24))
      ->capture_default_str();
  command.add_flag("--truncate", truncate, "cut longer records instead");
  command.add_option("--supervise", supervise, "which assistant turns are trained")
      ->check(CLI::IsMember({"all", "last"}))
      ->capture_default_str();
  command.add_option("--template", template_file, "chat template (Jinja) in place of the model's own")
      ->type_name("FILE");
  command.add_option("--date", date, "what the template's strftime_now sees: YYYY-MM-DD")->check(cli::date());
}

EncodeOptions DataOptions::encode() const { return {supervise == "last" ? Supervise::last : Supervise::all, date}; }

ModelData::ModelData(const std::string& model, const DataOptions& options) : tokenizer(Tokenizer::load(model)) {
  if (!options.template_file.empty())
    chat_template.emplace(read_file(options.template_file, 1 << 20), tokenizer.bos_token(), tokenizer.eos_token(),
                          options.template_file);
  else
    chat_template = chat_template_of(tokenizer);
}

Dataset load_dataset(const std::string& path, const ModelData& model, const DataOptions& options, std::int64_t limit) {
  return ftlib::load_dataset(path, model.tokenizer, model.chat_template ? &*model.chat_template : nullptr,
                             {options.encode(), options.max_length, options.truncate, limit});
}

void report_dataset(const std::string& path, const Dataset& dataset, std::int64_t max_length) {
  std::string text = concat(path, ": ", grouped(static_cast<std::int64_t>(dataset.examples.size())), " records, ",
                            grouped(dataset.tokens), " tokens, ", grouped(dataset.supervised_tokens), " supervised");
  if (dataset.left_out > 0) text += concat("; ", dataset.left_out, " of more than ", max_length, " tokens left out");
  if (dataset.truncated > 0) text += concat("; ", dataset.truncated, " cut to ", max_length, " tokens");
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace ftlib::cli
