// SPDX-License-Identifier: Apache-2.0
// What the metrics need of PCRE2 beyond patterns: Unicode's simple lower case.
#pragma once
#include <string>
#include <string_view>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI::pcre {

/// `text` in lower case, letter by letter; invalid bytes become U+FFFD.
std::string lower(std::string_view text);

}  // namespace ftlib::inline FTLIB_ABI::pcre
