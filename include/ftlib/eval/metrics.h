// SPDX-License-Identifier: Apache-2.0
// Scores of a generated text against a reference, each a share from 0 to 1.
// Text is UTF-8; bytes that are not are never an error: they count as U+FFFD.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// 1 where both texts are equal byte by byte once ASCII white space at their ends is removed, else 0: case and
/// punctuation count.
double exact_match(std::string_view output, std::string_view reference) noexcept;

/// Harmonic mean of precision and recall over the words that both texts share, each counted as often as both have it.
///
/// Words are what SQuAD's evaluation compares: lower case, ASCII punctuation deleted, the words a, an and the deleted,
/// split at white space. Two texts without any word score 1, one without words scores 0.
/// Lower case is Unicode's simple mapping. Rajpurkar et al., "SQuAD", 2016, section 6.1.
double token_f1(std::string_view output, std::string_view reference);

/// ROUGE-L's F-measure over lower-cased words `[a-z0-9]+`; 0 where either text has none.
///
/// Equal to rougeL of the rouge_score package without stemmer: 2pr / (p + r) with p and r the longest common
/// subsequence's share of the output and of the reference. Time is words x words / 64.
/// Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 3.1.
double rouge_l(std::string_view output, std::string_view reference);

class Regex;

/// One score by its name: "exact", "f1", "rouge-l" or "regex=PATTERN". Copyable; thread-safe.
///
/// The pattern is PCRE2's with Unicode classes. It scores 1 where it is found anywhere in the output (anchor it with \A
/// and \z; `$` is the very end), whatever the reference; bytes that are not UTF-8 match nothing. Matching is bounded by
/// 10 million steps and 64 MiB; beyond them score() throws Error{unsupported}.
class Metric {
 public:
  /// Throws Error{invalid_argument} for another name, listing those there are, or a wrong pattern.
  explicit Metric(std::string_view name);

  const std::string& name() const noexcept { return name_; }
  double score(std::string_view output, std::string_view reference) const;

 private:
  std::string name_;
  double (*compare_)(std::string_view, std::string_view) = nullptr;
  std::shared_ptr<const Regex> pattern_;
};

/// A comma-separated list of distinct names; a regex takes all that follows it, commas included, so it stands last.
/// Throws Error{invalid_argument} on an empty or repeated name.
std::vector<Metric> parse_metrics(std::string_view list);

/// Arithmetic mean, added up in order; 0 of nothing.
double mean(std::span<const double> values) noexcept;

}  // namespace ftlib
