// SPDX-License-Identifier: Apache-2.0
// How a journal's line ends: `,"crc":"xxxxxxxx"}` and a line feed.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::size_t kJournalLineBytes = std::size_t{16} << 20;
inline constexpr std::size_t kJournalTailBytes = sizeof(",\"crc\":\"xxxxxxxx\"}\n") - 1;

/// What ends the line that begins with `body`.
std::string journal_tail(std::string_view body);

}  // namespace ftlib
