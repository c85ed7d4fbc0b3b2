// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/dataset.h"

#include <algorithm>

#include "ftlib/core/parallel.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// Encodes all records in parallel; the first error in the file's order is the one that is thrown.
std::vector<Example> encode_all(const std::string& path, const std::vector<Record>& records, const Tokenizer& tokenizer,
                                const ChatTemplate* chat_template, const EncodeOptions& options) {
  std::vector<Example> examples(records.size());
  std::vector<std::exception_ptr> errors(records.size());
  parallel_for(static_cast<std::int64_t>(records.size()), [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    try {
      examples[index] =
          encode_record(records[index], tokenizer, chat_template, options, concat(path, ":", records[index].line));
    } catch (...) {
      errors[index] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  return examples;
}

/// Whether the example may stay; cuts it where that is asked for.
bool fit(Example& example, const DatasetOptions& options, Dataset& dataset) {
  if (example.length() <= options.max_length) return true;
  if (options.truncate) {
    example.tokens.resize(static_cast<std::size_t>(options.max_length));
    example.supervised.resize(static_cast<std::size_t>(options.max_length));
    if (example.supervised_tokens() > 0) return ++dataset.truncated > 0;
  }
  ++dataset.left_out;
  return false;
}

}  // namespace

bool append_example(Dataset& dataset, Record record, Example example, const DatasetOptions& options) {
  example.index = dataset.read++;
  if (!fit(example, options, dataset)) return false;
  dataset.tokens += example.length();
  dataset.supervised_tokens += example.supervised_tokens();
  dataset.examples.push_back(std::move(example));
  dataset.records.push_back(std::move(record));
  return true;
}

Dataset load_dataset(const std::string& path, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                     const DatasetOptions& options) {
  FT_CHECK(options.max_length >= 2, invalid_argument, "[dataset] max_length must be at least 2, got ",
           options.max_length);
  RecordFile file = read_records(path);
  if (options.limit > 0 && file.records.size() > static_cast<std::size_t>(options.limit))
    file.records.resize(static_cast<std::size_t>(options.limit));
  std::vector<Example> examples = encode_all(path, file.records, tokenizer, chat_template, options.encode);
  Dataset dataset;
  dataset.digest = std::move(file.digest);
  dataset.fingerprint = std::move(file.fingerprint);
  for (std::size_t i = 0; i < examples.size(); ++i)
    append_example(dataset, std::move(file.records[i]), std::move(examples[i]), options);
  FT_CHECK_FILE(!dataset.examples.empty(), schema, path, ": all ", dataset.read, " records are longer than ",
                options.max_length, " tokens",
                options.truncate ? " and keep nothing to learn from when cut; raise --max-length"
                                 : "; raise --max-length or use --truncate");
  const bool weighted =
      std::ranges::any_of(dataset.examples, [](const Example& example) { return example.weight > 0; });
  FT_CHECK_FILE(weighted, schema, path, ": every record has weight 0: there is nothing to learn from");
  return dataset;
}

}  // namespace ftlib
