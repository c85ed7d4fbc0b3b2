// SPDX-License-Identifier: Apache-2.0
// Single code points: case mappings by Python's own table, properties by PCRE2's.
#pragma once
#include "data/jinja_text.h"

namespace ftlib::inline FTLIB_ABI::jinja {

void append_upper(char32_t point, std::string& out);
void append_title(char32_t point, std::string& out);
/// Of the code point at `byte`; the final sigma depends on its neighbours.
void append_lower(std::string_view text, std::size_t byte, std::string& out);

bool is_upper(char32_t point);
bool is_lower(char32_t point);
bool is_title(char32_t point);
bool is_cased(char32_t point);
bool point_has(char32_t point, Property property);

}  // namespace ftlib::jinja
