// SPDX-License-Identifier: Apache-2.0
// What the metrics need of PCRE2: compiled UTF patterns with limits, searching and Unicode's simple lower case.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI::pcre {

/// Compiled with UTF and UCP; invalid UTF-8 in a subject matches nothing. Thread-safe.
class Regex {
 public:
  /// Throws Error{invalid_argument} with the offset of the mistake.
  explicit Regex(std::string_view pattern);

  /// [begin, end) of the first match at or after `offset`. Throws Error{unsupported} beyond the limits.
  std::optional<std::pair<std::size_t, std::size_t>> find(std::string_view text, std::size_t offset = 0) const;

 private:
  std::string pattern_;
  std::shared_ptr<void> code_, limits_;
};

/// `text` in lower case, letter by letter; invalid bytes become U+FFFD.
std::string lower(std::string_view text);

}  // namespace ftlib::inline FTLIB_ABI::pcre
