// SPDX-License-Identifier: Apache-2.0
#include "data/regex.h"

#include "data/pcre2_error.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::uint32_t kHeapLimitKib = 64 << 10;
constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_INVALID_UTF;

PCRE2_SPTR bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

Regex::Regex(std::string_view pattern, std::uint32_t steps) : pattern_(pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(bytes(pattern_), pattern_.size(), kOptions, &error, &offset, nullptr);
  if (code == nullptr) check_pcre2_memory(error);
  FT_CHECK(code != nullptr, invalid_argument, "[regex] ", excerpt(pattern_), ": at byte ", offset, ": ", pcre2_text(error));
  code_.reset(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  pcre2_match_context* limits = need_pcre2(pcre2_match_context_create(nullptr));
  limits_.reset(limits, [](void* p) { pcre2_match_context_free(static_cast<pcre2_match_context*>(p)); });
  pcre2_set_match_limit(limits, steps);
  pcre2_set_heap_limit(limits, kHeapLimitKib);
}

std::optional<std::pair<std::size_t, std::size_t>> Regex::find(std::string_view text, std::size_t offset) const {
  return match(text, offset, 0);
}

bool Regex::matches(std::string_view text) const {
  return match(text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED).has_value();
}

std::optional<std::pair<std::size_t, std::size_t>> Regex::match(std::string_view text, std::size_t offset,
                                                                std::uint32_t options) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      need_pcre2(pcre2_match_data_create_from_pattern(code, nullptr)), pcre2_match_data_free);
  const int found = pcre2_match(code, bytes(text), text.size(), offset, options, data.get(),
                                static_cast<pcre2_match_context*>(limits_.get()));
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  check_pcre2_memory(found);
  FT_CHECK(found >= 0, unsupported, "[regex] ", excerpt(pattern_), ": ", pcre2_text(found), " on \"", excerpt(text),
           "\"; a pattern without nested repetition needs fewer steps");
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
  return std::pair<std::size_t, std::size_t>(range[0], range[1]);
}

}  // namespace ftlib
