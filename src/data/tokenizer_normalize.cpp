// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_normalize.h"

#include <utf8proc.h>

#include <algorithm>

#include "data/tokenizer_utf8.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

constexpr auto kCompose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
constexpr char32_t kFirstMark = 0x300;  // code points below never join what stands before them

const utf8proc_property_t& property(char32_t code) noexcept {
  return *utf8proc_get_property(static_cast<std::int32_t>(code));
}

/// Whether the code point may reorder or compose with what stands before it: marks, and the jamo that go on a syllable
/// (not U+11A7, which utf8proc 2.8 would swallow).
bool joins_left(char32_t code) noexcept {
  if (code < kFirstMark) return false;
  if ((code >= 0x1161 && code <= 0x1175) || (code >= 0x11a8 && code <= 0x11c2)) return true;
  const auto category = property(code).category;
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

bool decomposes(char32_t code) noexcept { return property(code).decomp_seqindex != UINT16_MAX; }

/// Where the next code point from U+0300 up begins, or the one before it, which it may join; the size when there is none.
std::size_t next_candidate(std::string_view text, std::size_t begin) noexcept {
  constexpr unsigned char kLeadOfFirstMark = 0xcc;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t at = begin;
  while (at < text.size() && byte(at) < kLeadOfFirstMark) ++at;
  if (at == text.size() || at == begin) return at;
  if (byte(at - 1) < 0x80) return at - 1;
  return at - begin >= 2 && byte(at - 2) >= 0xc2 ? at - 2 : at;
}

/// Canonical order by sorting, since utf8proc's own reordering is quadratic in a run of marks.
void reorder(std::vector<std::int32_t>& codes) {
  const auto mark_class = [](std::int32_t code) { return utf8proc_get_property(code)->combining_class; };
  for (auto first = codes.begin(); first != codes.end();) {
    const auto last = std::find_if(first, codes.end(), [&](std::int32_t code) { return mark_class(code) == 0; });
    std::stable_sort(first, last, [&](std::int32_t a, std::int32_t b) { return mark_class(a) < mark_class(b); });
    first = last == codes.end() ? last : last + 1;
  }
}

void decompose(std::string_view text, std::vector<std::int32_t>& codes) {
  constexpr int kLongest = 32;  // the longest canonical decomposition has four code points
  std::int32_t parts[kLongest];
  char32_t code = 0;
  for (std::size_t length; !text.empty(); text.remove_prefix(length)) {
    length = decode_utf8(text, code);
    const auto count = utf8proc_decompose_char(static_cast<std::int32_t>(code), parts, kLongest, kCompose, nullptr);
    FT_CHECK(count >= 0 && count <= kLongest, internal, "[tokenizer] utf8proc cannot decompose a code point");
    codes.insert(codes.end(), parts, parts + count);
  }
}

}  // namespace

std::string_view Nfc::apply(std::string_view text) {
  text_.clear();
  changes_.clear();
  copied_ = 0;
  for (std::size_t end = 0, begin; (begin = next_candidate(text, end)) < text.size();) {
    char32_t code = 0;
    std::size_t length = decode_utf8(text.substr(begin), code);
    end = begin + std::max<std::size_t>(length, 1);
    bool joined = false;
    for (char32_t next = 0; length != 0; end += length) {
      length = decode_utf8(text.substr(end), next);
      if (length == 0 || !joins_left(next)) break;
      joined = true;
    }
    if (joined || decomposes(code)) replace(text, begin, end);
  }
  if (changes_.empty()) return text;
  text_.append(text.substr(copied_));
  return text_;
}

void Nfc::replace(std::string_view text, std::size_t begin, std::size_t end) {
  const std::string_view before = text.substr(begin, end - begin);
  codes_.clear();
  decompose(before, codes_);
  reorder(codes_);
  const auto count = utf8proc_normalize_utf32(codes_.data(), static_cast<std::ptrdiff_t>(codes_.size()), kCompose);
  FT_CHECK(count >= 0, internal, "[tokenizer] utf8proc cannot compose a sequence");
  codes_.resize(static_cast<std::size_t>(count));
  composed_.clear();
  for (const std::int32_t code : codes_) append_utf8(static_cast<char32_t>(code), composed_);
  if (composed_ == before) return;
  text_.append(text.substr(copied_, begin - copied_));
  const auto start = static_cast<std::int64_t>(text_.size());
  text_.append(composed_);
  changes_.push_back({{start, static_cast<std::int64_t>(text_.size())},
                      {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)}});
  copied_ = end;
}

const Nfc::Change* Nfc::last_change_at(std::int64_t offset) const noexcept {
  const auto after = std::upper_bound(changes_.begin(), changes_.end(), offset,
                                      [](std::int64_t at, const Change& c) { return at < c.normalised.begin; });
  return after == changes_.begin() ? nullptr : &*(after - 1);
}

ByteSpan Nfc::source(ByteSpan normalised) const noexcept {
  const auto shift = [](const Change& c) { return c.source.end - c.normalised.end; };
  const Change* first = last_change_at(normalised.begin);
  const Change* last = last_change_at(normalised.end - 1);
  ByteSpan span = normalised;
  if (first != nullptr)
    span.begin = normalised.begin < first->normalised.end ? first->source.begin : normalised.begin + shift(*first);
  if (last != nullptr)
    span.end = normalised.end <= last->normalised.end ? last->source.end : normalised.end + shift(*last);
  return span;
}

}  // namespace ftlib
