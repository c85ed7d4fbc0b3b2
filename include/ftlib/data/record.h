// SPDX-License-Identifier: Apache-2.0
// Gold records: one JSON object a line, in one of three shapes, read strictly and with the place of every error.
//
//   {"messages": [{"role": R, "content": C}, ...]}             a conversation
//   {"prompt": P, "completion": C}                             two strings, or two lists of messages
//   {"text": T}                                                plain text
//
// Each may also have "id" (a string, or a whole number taken as its digits), "group" (a string) and "weight" (a finite
// number >= 0). Any other key is an error that names it, so that nothing in a file is silently ignored. Which roles
// exist and in which order they may come is the template's business (data/chat_template.h).
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/core/error.h"
#include "ftlib/io/fingerprint.h"

namespace ftlib::inline FTLIB_ABI {

struct Message {
  std::string role, content;  ///< UTF-8
  bool operator==(const Message&) const = default;
};

struct Record {
  enum class Kind : std::int32_t { messages = 0, completion, text };

  Kind kind = Kind::text;
  std::string id;     ///< by default the line, in decimal
  std::string group;  ///< empty: none given
  double weight = 1;  ///< 0 to the largest float
  std::int64_t line = 0;               ///< in its file, from 1; 0: from no file
  std::vector<Message> messages;       ///< kind messages: a conversation, or prompt and completion one after the other
  std::size_t prompt_messages = 0;     ///< how many of them are the prompt of a pair of lists; 0 for a conversation
  std::string prompt, completion;      ///< kind completion
  std::string text;                    ///< kind text
};

/// Reads a file of records from its begin to its end, holding one line at a time. Move-only; one thread at a time.
///
/// The file is UTF-8, with or without a byte order mark, lines end with LF or CRLF, blank ones are skipped. Throws
/// Error{not_found | io_error, IO} for what is no readable regular file and Error{invalid_file, reason} with
/// `path:line:column`, columns in code points from 1:
///   MAGIC    gzip, zip, zstd, xz, bzip2, Parquet, Arrow and pickle, by their first bytes
///   UTF8     UTF-16, a NUL byte, invalid UTF-8, a lone surrogate
///   JSON     bad syntax; TRUNC a line that ends too early
///   LIMIT    a line of more than 16 MiB, nesting deeper than 16
///   SCHEMA   another shape, an unknown key, an empty list of messages, no record at all; DUP a key twice
///   RANGE    a number that does not fit
///   CHANGED  the file became shorter, grew or was replaced while it was read
class RecordReader {
 public:
  explicit RecordReader(const std::string& path);
  RecordReader(RecordReader&&) noexcept;
  RecordReader& operator=(RecordReader&&) noexcept;
  ~RecordReader();

  /// The next record; nothing after the last one.
  std::optional<Record> next();

  std::int64_t count() const noexcept;  ///< records so far
  /// SHA-256 of the file's bytes, once next() has returned nothing; empty before.
  const std::string& digest() const noexcept;
  const FileFingerprint& fingerprint() const noexcept;  ///< of what was read so far

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct RecordFile {
  std::vector<Record> records;
  std::string digest;  ///< SHA-256 of the file's bytes, 64 hex digits
  FileFingerprint fingerprint;
};

/// The whole file at once.
RecordFile read_records(const std::string& path);

/// One record, or one list of messages (not empty), from one line of JSON. `name` and `line` begin errors as above.
Record parse_record(std::string_view json, std::string_view name, std::int64_t line);
std::vector<Message> parse_messages(std::string_view json, std::string_view name, std::int64_t line);

}  // namespace ftlib
