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
  /// Gives a budget of steps to all searches in a text of `bytes`, until the next call.
  void begin(std::size_t bytes) noexcept;

 private:
  friend class Pattern;
  struct Budget {
    std::int64_t steps = 0;
    std::size_t position = 0;
  };
  Budget budget_;
  std::shared_ptr<void> stack_, context_, data_;
};

/// Half-open range of bytes of the searched text.
struct Match {
  std::size_t begin = 0, end = 0;
};

/// A compiled pattern that never matches nothing. Immutable: any number of threads, each with its own scratch.
class Pattern {
 public:
  /// `linear` patterns are known to search any text in linear time; the steps of all others are counted.
  enum class Cost { linear, counted };

  /// `source` is PCRE2's syntax. Throws Error{invalid_file, UNSUPPORTED} beginning with `what`.
  Pattern(std::string source, Cost cost, std::string_view what);

  /// The first match of valid UTF-8 `text` at or after `from`; false when there is none.
  /// Throws Error{unsupported, LIMIT} when the budget is spent, or 10 million backtracking steps on one match.
  bool find(std::string_view text, std::size_t from, MatchScratch& scratch, Match& match) const;

  const std::string& source() const noexcept { return source_; }

 private:
  std::string source_;
  std::shared_ptr<const void> code_;
  bool compiled_to_machine_code_ = false;
};

}  // namespace ftlib
