// SPDX-License-Identifier: Apache-2.0
// The patterns of pre-tokenisers: written for Oniguruma (Ruby syntax), run by PCRE2.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

/// Rewrites a pattern of a tokenizer.json so that PCRE2 (UTF, UCP) reads it as Oniguruma does. Only what has one meaning
/// in both passes: literals, classes, \s \S \d \p{..}, ^ $, groups, (?i:..), lookahead, alternatives, quantifiers.
/// Throws Error{invalid_file, UNSUPPORTED}, beginning with `what`, that shows the construct and its byte.
std::string translate_pattern(std::string_view pattern, std::string_view what);

/// What one thread needs to match; of any number of patterns, one after the other.
class MatchScratch {
 public:
  MatchScratch();

 private:
  friend class Pattern;
  std::shared_ptr<void> stack_, context_, data_;
};

/// Half-open range of bytes of the searched text.
struct Match {
  std::size_t begin = 0, end = 0;
};

/// A compiled pattern that never matches nothing. Immutable: any number of threads, each with its own scratch.
class Pattern {
 public:
  /// `source` is PCRE2's syntax. Throws Error{invalid_file, UNSUPPORTED} beginning with `what`.
  Pattern(std::string source, std::string_view what);

  /// The first match of valid UTF-8 `text` at or after `from`; false when there is none.
  /// Throws Error{unsupported, LIMIT} when the match needs more steps than the budget of 10 million.
  bool find(std::string_view text, std::size_t from, MatchScratch& scratch, Match& match) const;

  const std::string& source() const noexcept { return source_; }

 private:
  std::string source_;
  std::shared_ptr<const void> code_;
  bool compiled_to_machine_code_ = false;
};

}  // namespace ftlib
