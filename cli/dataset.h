// SPDX-License-Identifier: Apache-2.0
// The options that turn records into tokens, shared by tune and eval.
#pragma once
#include <optional>
#include <string>

#include "cli.h"
#include "ftlib/data/chat_template.h"
#include "ftlib/data/dataset.h"
#include "ftlib/data/tokenizer.h"

namespace ftlib::cli {

struct DataOptions {
  std::int64_t max_length = 1024;
  bool truncate = false;
  std::string supervise = "all", template_file, date;

  void add_to(CLI::App& command);
  EncodeOptions encode() const;
};

/// What a model brings for reading records.
struct ModelData {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;

  ModelData(const std::string& model, const DataOptions& options);
};

Dataset load_dataset(const std::string& path, const ModelData& model, const DataOptions& options,
                     std::int64_t limit = 0);

/// "train.jsonl: 500 records, 68,796 tokens, 5,303 supervised; 3 over 1024 tokens left out" on standard error.
void report_dataset(const std::string& path, const Dataset& dataset, std::int64_t max_length);

}  // namespace ftlib::cli
