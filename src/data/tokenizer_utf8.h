// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 defines it, code point by code point and in maximal valid or invalid runs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "io/utf8.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

/// Length in bytes of the code point that `text` begins with, and the code point; 0 where no valid one begins.
inline std::size_t decode_utf8(std::string_view text, char32_t& code) noexcept {
  constexpr unsigned kLeadBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  const std::size_t length = utf8_length(text, 0);
  if (length == 0) return 0;
  code = static_cast<unsigned char>(text[0]) & kLeadBits[length];
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  return length;
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
