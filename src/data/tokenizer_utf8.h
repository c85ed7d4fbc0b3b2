// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 defines it, code point by code point and in maximal valid or invalid runs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

/// Length in bytes of the code point that `text` begins with, and the code point; 0 where no valid one begins.
inline std::size_t decode_utf8(std::string_view text, char32_t& code) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](std::size_t i) { return i < text.size() && (at(i) & 0xc0) == 0x80; };
  if (text.empty()) return 0;
  const char32_t lead = at(0);
  if (lead < 0x80) return code = lead, 1;
  if (lead < 0xc2) return 0;
  if (!tail(1)) return 0;
  code = (lead & 0x1f) << 6 | (at(1) & 0x3f);
  if (lead < 0xe0) return 2;
  if (!tail(2)) return 0;
  code = (lead & 0x0f) << 12 | (at(1) & 0x3fu) << 6 | (at(2) & 0x3f);
  if (lead < 0xf0) return code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 3 : 0;
  if (!tail(3)) return 0;
  code = (lead & 0x07) << 18 | (at(1) & 0x3fu) << 12 | (at(2) & 0x3fu) << 6 | (at(3) & 0x3f);
  return lead < 0xf5 && code >= 0x10000 && code <= 0x10ffff ? 4 : 0;
}

/// Bytes of the longest valid prefix.
inline std::size_t valid_prefix(std::string_view text) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t i = 0;
  char32_t code = 0;
  while (i < text.size()) {
    if (std::uint64_t eight = 0; i + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + i, 8);
      if ((eight & kHighBits) == 0) {
        i += 8;
        continue;
      }
    }
    const std::size_t length = decode_utf8(text.substr(i), code);
    if (length == 0) break;
    i += length;
  }
  return i;
}

/// Bytes before the first valid code point.
inline std::size_t invalid_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  char32_t code = 0;
  while (i < text.size() && decode_utf8(text.substr(i), code) == 0) ++i;
  return i;
}

inline void append_utf8(char32_t code, std::string& out) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  const auto tail = [&](int shift) { put(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) return put(0xc0 | code >> 6), tail(0);
  if (code < 0x10000) return put(0xe0 | code >> 12), tail(6), tail(0);
  put(0xf0 | code >> 18), tail(12), tail(6), tail(0);
}

/// The White_Space property; it has not changed since Unicode 6.3.
constexpr bool is_white_space(char32_t code) noexcept {
  return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

}  // namespace ftlib
