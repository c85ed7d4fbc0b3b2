// SPDX-License-Identifier: Apache-2.0
// A file of records as examples ready for packing, with the counts that a user has to see.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ftlib/data/supervision.h"

namespace ftlib::inline FTLIB_ABI {

struct DatasetOptions {
  EncodeOptions encode;
  std::int64_t max_length = 1024;  ///< tokens of a record
  bool truncate = false;           ///< cut longer ones; else they are left out, and counted
  std::int64_t limit = 0;          ///< > 0: the first so many records only
};

struct Dataset {
  std::vector<Example> examples;  ///< in the file's order; Example::index is the place among all records
  std::vector<Record> records;    ///< of those examples
  std::string digest;             ///< SHA-256 of the file; with `limit` of the whole file too
  FileFingerprint fingerprint;    ///< of the file, to see later that nobody changed it
  std::int64_t read = 0;          ///< records in the file (or the limit)
  std::int64_t left_out = 0;      ///< longer than max_length
  std::int64_t truncated = 0;
  std::int64_t tokens = 0, supervised_tokens = 0;
};

/// Adds a record that was read and its tokens at the end, and counts it. Returns whether it stayed: one over max_length
/// is left out or cut. Its index becomes the number of records read before.
bool append_example(Dataset& dataset, Record record, Example example, const DatasetOptions& options);

/// Throws as read_records and encode_record; Error{invalid_file, SCHEMA} where no record is left.
Dataset load_dataset(const std::string& path, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                     const DatasetOptions& options);

}  // namespace ftlib
