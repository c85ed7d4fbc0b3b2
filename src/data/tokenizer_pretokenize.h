// SPDX-License-Identifier: Apache-2.0
// The chain of patterns that cuts text into words.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer_pattern.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

class PreTokenizer {
 public:
  /// Another step: every piece so far is cut into the matches of `pattern` (Oniguruma's syntax) and what lies between.
  void add(std::string_view pattern, std::string_view what);

  /// Calls `emit(begin, end)` for each word of `text`, which is valid UTF-8, in order; the words cover the text.
  template <class Emit>
  void run(std::string_view text, MatchScratch& scratch, const Emit& emit) const {
    cut(0, text, 0, scratch, emit);
  }

  const std::vector<Pattern>& patterns() const noexcept { return patterns_; }

 private:
  template <class Emit>
  void cut(std::size_t step, std::string_view text, std::size_t at, MatchScratch& scratch, const Emit& emit) const {
    if (step == patterns_.size()) return emit(at, at + text.size());
    const auto pass = [&](std::size_t begin, std::size_t end) {
      if (begin < end) cut(step + 1, text.substr(begin, end - begin), at + begin, scratch, emit);
    };
    std::size_t done = 0;
    for (Match match; done < text.size() && patterns_[step].find(text, done, scratch, match); done = match.end) {
      pass(done, match.begin);
      pass(match.begin, match.end);
    }
    pass(done, text.size());
  }

  std::vector<Pattern> patterns_;
};

/// What a value of `tokenizer.ggml.pre` means.
struct NamedPreTokenizer {
  std::string_view name;
  bool digits_first;         ///< single digits are words of their own before the pattern runs
  std::string_view pattern;  ///< in Oniguruma's syntax
  bool ignore_merges;        ///< a word that is a token is taken as it is
  bool adds_bos;             ///< unless the file says otherwise
};
const NamedPreTokenizer* find_pre_tokenizer(std::string_view name) noexcept;

/// GPT-2's pattern, which ByteLevel with use_regex means; and the pattern of a single digit.
extern const std::string_view kGpt2Pattern, kDigitPattern;

}  // namespace ftlib
