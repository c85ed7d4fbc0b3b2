// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_text.h"

#include <algorithm>
#include <cstring>

#include "data/jinja_unicode.h"
#include "data/tokenizer_utf8.h"

namespace ftlib::inline FTLIB_ABI::jinja {

std::size_t point_bytes(unsigned char lead) noexcept {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

bool valid_utf8(std::string_view text) noexcept { return tokenizer::valid_prefix(text) == text.size(); }

std::int64_t count_points(std::string_view text) noexcept {
  return std::ranges::count_if(text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

char32_t point_at(std::string_view text, std::size_t byte) noexcept {
  const auto lead = static_cast<unsigned char>(text[byte]);
  const std::size_t size = point_bytes(lead);
  if (size == 1) return lead;
  char32_t point = lead & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) point = (point << 6) | (static_cast<unsigned char>(text[byte + i]) & 0x3F);
  return point;
}

void append_point(char32_t point, std::string& out) {
  const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((point >> shift) & 0x3F))); };
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (point >> 6)));
    tail(0);
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (point >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (point >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::size_t byte_offset(std::string_view text, std::int64_t point) noexcept {
  std::size_t at = 0;
  for (; point > 0 && at < text.size(); --point) at += point_bytes(static_cast<unsigned char>(text[at]));
  return at;
}

bool is_space(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_break(char32_t c) noexcept {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

namespace {

bool strips(char32_t point, const std::string_view* chars) noexcept {
  if (chars == nullptr) return is_space(point);
  for (std::size_t at = 0; at < chars->size(); at += point_bytes(static_cast<unsigned char>((*chars)[at])))
    if (point_at(*chars, at) == point) return true;
  return false;
}

std::size_t previous_point(std::string_view text, std::size_t end) noexcept {
  do --end;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

std::size_t skip(std::string_view text, std::size_t at, bool space) noexcept {
  while (at < text.size() && is_space(point_at(text, at)) == space)
    at += point_bytes(static_cast<unsigned char>(text[at]));
  return at;
}

std::vector<Piece> split_spaces(std::string_view text, std::int64_t limit) {
  std::vector<Piece> pieces;
  for (std::size_t at = skip(text, 0, true); at < text.size(); at = skip(text, at, true)) {
    if (limit >= 0 && static_cast<std::int64_t>(pieces.size()) == limit) {
      pieces.push_back({at, text.size()});
      break;
    }
    const std::size_t end = skip(text, at, false);
    pieces.push_back({at, end});
    at = end;
  }
  return pieces;
}

std::vector<Piece> rsplit_spaces(std::string_view text, std::int64_t limit) {
  std::vector<Piece> pieces;
  std::size_t end = strip(text, nullptr, false, true).end;
  while (end > 0) {
    if (limit >= 0 && static_cast<std::int64_t>(pieces.size()) == limit) {
      pieces.push_back({0, end});
      break;
    }
    std::size_t begin = end;
    while (begin > 0 && !is_space(point_at(text, previous_point(text, begin)))) begin = previous_point(text, begin);
    pieces.push_back({begin, end});
    end = strip(text.substr(0, begin), nullptr, false, true).end;
  }
  std::ranges::reverse(pieces);
  return pieces;
}

}  // namespace

Piece strip(std::string_view text, const std::string_view* chars, bool left, bool right) noexcept {
  Piece piece{0, text.size()};
  while (left && piece.begin < piece.end && strips(point_at(text, piece.begin), chars))
    piece.begin += point_bytes(static_cast<unsigned char>(text[piece.begin]));
  while (right && piece.end > piece.begin && strips(point_at(text, previous_point(text, piece.end)), chars))
    piece.end = previous_point(text, piece.end);
  return piece;
}

std::size_t find_bytes(std::string_view text, std::string_view needle, std::size_t from) noexcept {
  if (from > text.size()) return text.npos;
  const void* found = ::memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return found == nullptr ? text.npos : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t find_last_bytes(std::string_view text, std::string_view needle) {
  const std::string mirrored(text.rbegin(), text.rend()), wanted(needle.rbegin(), needle.rend());
  const std::size_t found = find_bytes(mirrored, wanted);
  return found == text.npos ? found : text.size() - found - needle.size();
}

std::vector<Piece> split(std::string_view text, const std::string_view* separator, std::int64_t limit) {
  if (separator == nullptr) return split_spaces(text, limit);
  std::vector<Piece> pieces;
  std::size_t at = 0;
  while (limit < 0 || static_cast<std::int64_t>(pieces.size()) < limit) {
    const std::size_t found = find_bytes(text, *separator, at);
    if (found == text.npos) break;
    pieces.push_back({at, found});
    at = found + separator->size();
  }
  pieces.push_back({at, text.size()});
  return pieces;
}

std::vector<Piece> rsplit(std::string_view text, const std::string_view* separator, std::int64_t limit) {
  if (separator == nullptr) return rsplit_spaces(text, limit);
  const std::string mirrored(text.rbegin(), text.rend()), wanted(separator->rbegin(), separator->rend());
  const std::string_view mirrored_separator = wanted;
  std::vector<Piece> pieces = split(mirrored, &mirrored_separator, limit);
  for (Piece& piece : pieces) piece = {text.size() - piece.end, text.size() - piece.begin};
  std::ranges::reverse(pieces);
  return pieces;
}

std::vector<Piece> split_lines(std::string_view text, bool keep_ends) {
  std::vector<Piece> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t next = at + point_bytes(static_cast<unsigned char>(text[at]));
    if (is_line_break(point_at(text, at))) {
      if (text.substr(at, 2) == "\r\n") ++next;
      lines.push_back({begin, keep_ends ? next : at});
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back({begin, text.size()});
  return lines;
}

std::string upper(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at])))
    append_upper(point_at(text, at), out);
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at])))
    append_lower(text, at, out);
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at])))
    at == 0 ? append_title(point_at(text, at), out) : append_lower(text, at, out);
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at]))) {
    inside ? append_lower(text, at, out) : append_title(point_at(text, at), out);
    inside = is_cased(point_at(text, at));
  }
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at]))) {
    const char32_t point = point_at(text, at);
    if (is_upper(point)) append_lower(text, at, out);
    else if (is_lower(point)) append_upper(point, out);
    else append_point(point, out);
  }
  return out;
}

bool has_property(std::string_view text, Property property) {
  if (property == Property::lower || property == Property::upper) {
    bool cased = false;
    for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at]))) {
      const char32_t point = point_at(text, at);
      const bool low = is_lower(point), up = is_upper(point) || is_title(point);
      if (property == Property::lower ? up : (low || is_title(point))) return false;
      cased = cased || low || up;
    }
    return cased;
  }
  if (text.empty()) return property == Property::ascii || property == Property::printable;
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at])))
    if (!point_has(point_at(text, at), property)) return false;
  return true;
}

}  // namespace ftlib::jinja
