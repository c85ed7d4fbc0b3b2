// SPDX-License-Identifier: Apache-2.0
#include "ftlib/eval/metrics.h"

#include <utf8proc.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "data/regex.h"
#include "data/tokenizer_utf8.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kKelvin = "\xE2\x84\xAA", kDottedI = "\xC4\xB0";

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t begin = text.find_first_not_of(kSpace);
  return begin == text.npos ? std::string_view() : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// Lower case, letter by letter; invalid bytes become U+FFFD.
std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    char32_t letter = 0;
    const std::size_t length = tokenizer::decode_utf8(text.substr(at), letter);
    if (length == 0) letter = 0xfffd;
    utf8proc_uint8_t small[4];
    const utf8proc_ssize_t written = utf8proc_encode_char(utf8proc_tolower(static_cast<utf8proc_int32_t>(letter)), small);
    out.append(reinterpret_cast<const char*>(small), static_cast<std::size_t>(written));
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

bool is_ascii_punctuation(char c) noexcept {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

std::vector<std::string> squad_words(std::string_view text) {
  static const auto* const gap = new Regex(R"((?:[\s\x{1C}-\x{1F}]|\b(?:a|an|the)\b)+)");
  std::string clean = lower(text);
  std::erase_if(clean, is_ascii_punctuation);
  std::vector<std::string> words;
  std::size_t begin = 0;
  while (begin < clean.size()) {
    const auto [end, next] = gap->find(clean, begin).value_or(std::pair(clean.size(), clean.size()));
    if (end > begin) words.push_back(clean.substr(begin, end - begin));
    begin = next;
  }
  return words;
}

/// Two letters beyond ASCII have a lower case within it: the Kelvin sign is k, the dotted capital I is i and an accent.
std::vector<std::string> rouge_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) word += c;
    else if (c >= 'A' && c <= 'Z') word += static_cast<char>(c - 'A' + 'a');
    else if (text.substr(i, 3) == kKelvin) word += 'k', i += 2;
    else if (text.substr(i, 2) == kDottedI) word += 'i', flush(), ++i;
    else flush();
  }
  flush();
  return words;
}

/// Length of the longest common subsequence, 64 rows of the table at a time.
/// Hyyroe, "Bit-parallel LCS-length computation revisited", 2004.
std::int64_t lcs(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::unordered_map<std::string_view, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < a.size(); ++i) places[a[i]].push_back(i);
  const std::size_t words = (a.size() + 63) / 64;
  std::vector<std::uint64_t> row(words, ~std::uint64_t{0}), mask(words);
  for (const std::string& word : b) {
    const auto found = places.find(word);
    if (found == places.end()) continue;
    for (const std::size_t i : found->second) mask[i / 64] |= std::uint64_t{1} << (i % 64);
    std::uint64_t carry = 0;
    for (std::size_t w = 0; w < words; ++w) {
      const std::uint64_t match = row[w] & mask[w], with_carry = row[w] + carry, sum = with_carry + match;
      carry = static_cast<std::uint64_t>(with_carry < carry) | static_cast<std::uint64_t>(sum < match);
      row[w] = sum | (row[w] & ~mask[w]);
    }
    for (const std::size_t i : found->second) mask[i / 64] = 0;
  }
  std::int64_t length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) length += (row[i / 64] >> (i % 64) & 1) == 0;
  return length;
}

double f_measure(std::int64_t common, std::size_t output, std::size_t reference) noexcept {
  if (common == 0) return 0;
  const double precision = static_cast<double>(common) / static_cast<double>(output);
  const double recall = static_cast<double>(common) / static_cast<double>(reference);
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

double exact_match(std::string_view output, std::string_view reference) noexcept {
  return trim(output) == trim(reference) ? 1 : 0;
}

double token_f1(std::string_view output, std::string_view reference) {
  const auto out = squad_words(output), ref = squad_words(reference);
  if (out.empty() || ref.empty()) return out.empty() && ref.empty() ? 1 : 0;
  std::map<std::string_view, std::int64_t> open;
  for (const std::string& word : ref) ++open[word];
  std::int64_t common = 0;
  for (const std::string& word : out) {
    const auto found = open.find(word);
    if (found != open.end() && found->second-- > 0) ++common;
  }
  return f_measure(common, out.size(), ref.size());
}

double rouge_l(std::string_view output, std::string_view reference) {
  const auto out = rouge_words(output), ref = rouge_words(reference);
  return f_measure(lcs(ref, out), out.size(), ref.size());
}

Metric::Metric(std::string_view name) : name_(name) {
  if (name == "exact") compare_ = [](std::string_view a, std::string_view b) { return exact_match(a, b); };
  else if (name == "f1") compare_ = token_f1;
  else if (name == "rouge-l") compare_ = rouge_l;
  else if (name.starts_with("regex=")) pattern_ = std::make_shared<const Regex>(name.substr(6));
  else FT_CHECK(false, invalid_argument, "[metrics] want exact, f1, rouge-l or regex=PATTERN, got ", excerpt(name));
}

double Metric::score(std::string_view output, std::string_view reference) const {
  if (pattern_) return pattern_->find(output) ? 1 : 0;
  return compare_(output, reference);
}

std::vector<Metric> parse_metrics(std::string_view list) {
  std::vector<Metric> metrics;
  for (;;) {
    const std::size_t comma = list.starts_with("regex=") ? list.npos : list.find(',');
    const std::string_view name = list.substr(0, comma);
    const bool known = std::ranges::any_of(metrics, [&](const Metric& m) { return m.name() == name; });
    FT_CHECK(!known, invalid_argument, "[metrics] ", excerpt(name), " is named twice");
    metrics.emplace_back(name);
    if (comma == list.npos) return metrics;
    list.remove_prefix(comma + 1);
  }
}

double mean(std::span<const double> values) noexcept {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

}  // namespace ftlib
