// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_added.h"

#include <algorithm>

#include "data/tokenizer_utf8.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

void AddedTokens::add(std::string content, std::int32_t id, AddedFlags flags) {
  any_plain_ |= !flags.special;
  entries_.push_back({std::move(content), id, flags});
}

void AddedTokens::finish() {
  std::ranges::sort(entries_, {}, &Entry::content);
  for (const Entry& entry : entries_) {
    bool& start = starts_[static_cast<unsigned char>(entry.content.front())];
    if (!start) first_bytes_ += entry.content.front();
    start = true;
  }
}

std::size_t AddedTokens::next(std::string_view text, std::size_t from) const noexcept {
  if (first_bytes_.size() == 1) return std::min(text.find(first_bytes_.front(), from), text.size());
  while (from < text.size() && !starts_[static_cast<unsigned char>(text[from])]) ++from;
  return from;
}

/// Narrows the sorted entries byte by byte; the last one that ended on the way is the longest.
const AddedTokens::Entry* AddedTokens::longest_at(std::string_view text) const noexcept {
  const Entry* found = nullptr;
  auto low = entries_.begin(), high = entries_.end();
  for (std::size_t depth = 0; low != high; ++depth) {
    if (low->content.size() == depth) found = &*low++;
    if (depth == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[depth]);
    const auto at = [depth](const Entry& entry) { return static_cast<unsigned char>(entry.content[depth]); };
    low = std::ranges::lower_bound(low, high, byte, {}, at);
    high = std::ranges::upper_bound(low, high, byte, {}, at);
  }
  return found;
}

std::size_t AddedTokens::strip_left(std::string_view text, std::size_t begin) noexcept {
  for (std::size_t end = begin; begin > 0;) {
    do --begin;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80);
    char32_t code = 0;
    if (decode_utf8(text.substr(begin, end - begin), code) != end - begin || !is_white_space(code)) return end;
    end = begin;
  }
  return begin;
}

std::size_t AddedTokens::strip_right(std::string_view text, std::size_t end) noexcept {
  char32_t code = 0;
  while (const std::size_t length = decode_utf8(text.substr(end), code)) {
    if (!is_white_space(code)) break;
    end += length;
  }
  return end;
}

}  // namespace ftlib::inline FTLIB_ABI::tokenizer
