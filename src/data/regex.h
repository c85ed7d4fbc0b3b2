// SPDX-License-Identifier: Apache-2.0
// A pattern that a user or a file wrote: PCRE2 with limits on steps and memory, so that none can hang or exhaust a host.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// Compiled with UTF and UCP; invalid UTF-8 in a subject matches nothing. Thread-safe.
class Regex {
 public:
  /// Throws Error{invalid_argument} with the offset of the mistake. `steps` bounds one match (pcre2_set_match_limit).
  explicit Regex(std::string_view pattern, std::uint32_t steps = 10'000'000);

  /// [begin, end) of the first match at or after `offset`. Throws Error{unsupported} beyond the limits.
  std::optional<std::pair<std::size_t, std::size_t>> find(std::string_view text, std::size_t offset = 0) const;

  /// Whether the whole text matches, as Python's re.fullmatch. Throws as find().
  bool matches(std::string_view text) const;

 private:
  std::optional<std::pair<std::size_t, std::size_t>> match(std::string_view text, std::size_t offset,
                                                           std::uint32_t options) const;
  std::string pattern_;
  std::shared_ptr<void> code_, limits_;
};

}  // namespace ftlib
