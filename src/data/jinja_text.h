// SPDX-License-Identifier: Apache-2.0
// Python's view of a string over UTF-8 bytes: lengths, indices and case by code point. All input is valid UTF-8.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI::jinja {

/// A piece of a text: bytes begin to end.
struct Piece {
  std::size_t begin = 0, end = 0;
  bool operator==(const Piece&) const = default;
};

bool valid_utf8(std::string_view text) noexcept;
std::int64_t count_points(std::string_view text) noexcept;
std::size_t point_bytes(unsigned char lead) noexcept;  ///< of the code point that begins with this byte
char32_t point_at(std::string_view text, std::size_t byte) noexcept;
void append_point(char32_t point, std::string& out);
std::size_t byte_offset(std::string_view text, std::int64_t point) noexcept;  ///< of a code point's index, clamped

bool is_space(char32_t point) noexcept;       ///< str.isspace, and \s of re
bool is_line_break(char32_t point) noexcept;  ///< what str.splitlines breaks at
bool is_printable(char32_t point);            ///< str.isprintable

/// Where `needle` first begins at or after `from`, or last; npos where it does not. Linear in the text for any needle.
std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from = 0) noexcept;
std::size_t find_last_bytes(std::string_view text, std::string_view needle);

/// str.strip: without `chars` white space, else any code point of `chars`.
Piece strip(std::string_view text, const std::string_view* chars, bool left, bool right) noexcept;
/// str.split and str.rsplit; without `separator` runs of white space. `limit` < 0: no limit.
std::vector<Piece> split(std::string_view text, const std::string_view* separator, std::int64_t limit);
std::vector<Piece> rsplit(std::string_view text, const std::string_view* separator, std::int64_t limit);
std::vector<Piece> split_lines(std::string_view text, bool keep_ends);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);
std::string swap_case(std::string_view text);

enum class Property { alpha, alnum, decimal, digit, numeric, space, lower, upper, ascii, printable };
/// str.isalpha and its like: some text, and all of it.
bool has_property(std::string_view text, Property property);

}  // namespace ftlib::jinja
