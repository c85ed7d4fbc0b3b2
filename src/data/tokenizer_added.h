// SPDX-License-Identifier: Apache-2.0
// Added tokens: words of the vocabulary that are cut out of the text before anything else happens to it.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

/// The flags as Hugging Face's AddedToken names them.
struct AddedFlags {
  bool special = false;     ///< a control token: found only on request
  bool lstrip = false;      ///< takes the white space before it
  bool rstrip = false;      ///< takes the white space after it
  bool normalized = false;  ///< looked for after normalisation instead of before
};

/// Finds a set of literal texts, leftmost and longest first, without overlap.
class AddedTokens {
 public:
  void add(std::string content, std::int32_t id, AddedFlags flags);
  void finish();  ///< once, after the last add

  /// Calls `on_text(begin, end)` for plain pieces, which are never empty, and `on_token(id, begin, end)`, in order.
  /// Without `special` the special tokens are plain text, and so is any shorter token inside them.
  template <class OnText, class OnToken>
  void split(std::string_view text, bool special, const OnText& on_text, const OnToken& on_token) const {
    std::size_t done = 0;
    if (special || any_plain_) {
      for (std::size_t at = next(text, 0); at < text.size();) {
        const Entry* entry = longest_at(text.substr(at));
        if (entry == nullptr) {
          at = next(text, at + 1);
          continue;
        }
        std::size_t begin = at, end = at + entry->content.size();
        at = next(text, end);
        if (entry->flags.special && !special) continue;
        if (entry->flags.lstrip) begin = strip_left(text, begin);
        if (entry->flags.rstrip) end = strip_right(text, end);
        begin = begin < done ? done : begin;
        if (done < begin) on_text(done, begin);
        on_token(entry->id, begin, end);
        done = end;
      }
    }
    if (done < text.size()) on_text(done, text.size());
  }

 private:
  struct Entry {
    std::string content;
    std::int32_t id;
    AddedFlags flags;
  };
  std::size_t next(std::string_view text, std::size_t from) const noexcept;
  const Entry* longest_at(std::string_view text) const noexcept;
  static std::size_t strip_left(std::string_view text, std::size_t begin) noexcept;
  static std::size_t strip_right(std::string_view text, std::size_t end) noexcept;

  std::vector<Entry> entries_;  // sorted by content
  std::array<bool, 256> starts_{};
  std::string first_bytes_;
  bool any_plain_ = false;
};

}  // namespace ftlib
