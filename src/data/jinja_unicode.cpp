// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_unicode.h"

#include <algorithm>
#include <memory>
#include <span>

#include "data/pcre2_error.h"
#include "data/unicode_tables.h"
#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

/// One code point against one property; compiled once, matched from any thread.
class Matcher {
 public:
  explicit Matcher(const char* pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                              PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &offset, nullptr));
    if (code_ == nullptr) check_pcre2_memory(error);
    FT_CHECK(code_ != nullptr, internal, "[template] PCRE2 refuses ", pattern, " at ", offset);
  }
  bool operator()(char32_t point) const {
    std::string text;
    append_point(point, text);
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
        need_pcre2(pcre2_match_data_create(1, nullptr)), pcre2_match_data_free);
    const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, match.get(),
                                  nullptr);
    check_pcre2_memory(found);
    return found >= 0;
  }

 private:
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code_{nullptr, pcre2_code_free};
};

const CaseRun* find_run(std::span<const CaseRun> runs, char32_t point) {
  const auto after = std::ranges::upper_bound(runs, static_cast<std::uint32_t>(point), {}, &CaseRun::first);
  if (after == runs.begin()) return nullptr;
  const CaseRun& run = *(after - 1);
  return point <= run.last && (point - run.first) % run.stride == 0 ? &run : nullptr;
}

bool append_special(std::span<const CaseSpecial> specials, char32_t point, std::string& out) {
  const auto found = std::ranges::lower_bound(specials, static_cast<std::uint32_t>(point), {}, &CaseSpecial::point);
  if (found == specials.end() || found->point != point) return false;
  out += found->image;
  return true;
}

bool append_run(std::span<const CaseRun> runs, char32_t point, std::string& out) {
  const CaseRun* run = find_run(runs, point);
  if (run == nullptr) return false;
  append_point(static_cast<char32_t>(static_cast<std::int64_t>(point) + run->delta), out);
  return true;
}

bool is_case_ignorable(char32_t point) {
  static const Matcher matcher("\\p{Case_Ignorable}");
  return matcher(point);
}

constexpr char32_t kSigma = 0x3A3, kSmallSigma = 0x3C3, kFinalSigma = 0x3C2;

// Unicode's Final_Sigma: a cased letter before, none after, case-ignorable ones between skipped.
bool is_final_sigma(std::string_view text, std::size_t byte) {
  std::size_t at = byte;
  bool before = false;
  while (at > 0) {
    do --at;
    while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    const char32_t point = point_at(text, at);
    if (is_case_ignorable(point)) continue;
    before = is_cased(point);
    break;
  }
  for (at = byte + 2; before && at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at]))) {
    const char32_t point = point_at(text, at);
    if (!is_case_ignorable(point)) return !is_cased(point);
  }
  return before;
}

}  // namespace

void append_upper(char32_t point, std::string& out) {
  if (append_special(kUpperSpecials, point, out) || append_run(kUpperRuns, point, out)) return;
  append_point(point, out);
}

void append_title(char32_t point, std::string& out) {
  if (append_special(kTitleSpecials, point, out) || append_run(kTitleRuns, point, out)) return;
  append_upper(point, out);
}

void append_lower(std::string_view text, std::size_t byte, std::string& out) {
  const char32_t point = point_at(text, byte);
  if (point == kSigma) return append_point(is_final_sigma(text, byte) ? kFinalSigma : kSmallSigma, out);
  if (append_special(kLowerSpecials, point, out) || append_run(kLowerRuns, point, out)) return;
  append_point(point, out);
}

bool is_upper(char32_t point) {
  static const Matcher matcher("\\p{Uppercase}");
  return point < 0x80 ? point >= 'A' && point <= 'Z' : matcher(point);
}

bool is_lower(char32_t point) {
  static const Matcher matcher("\\p{Lowercase}");
  return point < 0x80 ? point >= 'a' && point <= 'z' : matcher(point);
}

bool is_title(char32_t point) {
  static const Matcher matcher("\\p{Lt}");
  return point >= 0x80 && matcher(point);
}

bool is_cased(char32_t point) { return is_upper(point) || is_lower(point) || is_title(point); }

bool is_printable(char32_t point) {
  static const Matcher hidden("[\\p{C}\\p{Z}]");
  return point < 0x80 ? point >= 0x20 && point < 0x7F : !hidden(point);
}

bool point_has(char32_t point, Property property) {
  static const Matcher letter("\\p{L}"), decimal("\\p{Nd}"), number("\\p{N}");
  // Digits that are no decimals: superscripts and subscripts.
  static const Matcher digit("[\\p{Nd}\\x{B2}\\x{B3}\\x{B9}\\x{2070}\\x{2074}-\\x{2079}\\x{2080}-\\x{2089}]");
  switch (property) {
    case Property::alpha: return letter(point);
    case Property::alnum: return letter(point) || number(point);
    case Property::decimal: return decimal(point);
    case Property::digit: return digit(point);
    case Property::numeric: return number(point);
    case Property::space: return is_space(point);
    case Property::ascii: return point < 0x80;
    case Property::printable: return is_printable(point);
    case Property::lower:
    case Property::upper: break;
  }
  return property == Property::lower ? is_lower(point) : is_upper(point);
}

}  // namespace ftlib::jinja
