// SPDX-License-Identifier: Apache-2.0
#include "eval/pcre.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>

namespace ftlib::inline FTLIB_ABI::pcre {
namespace {

PCRE2_SPTR bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string message(int code) {
  PCRE2_UCHAR text[256] = "unknown error";
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

template <class T>
T* need(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

/// Bytes of the first code point, 0 where it is not well formed: Unicode, table 3-7.
std::size_t code_point_bytes(std::string_view text) {
  const auto between = [&](std::size_t i, unsigned low, unsigned high) {
    const unsigned byte = i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    return byte >= low && byte <= high;
  };
  const auto tails = [&](std::size_t begin, std::size_t end) {
    while (begin < end && between(begin, 0x80, 0xBF)) ++begin;
    return begin == end;
  };
  const unsigned first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return tails(1, 2) ? 2 : 0;
  if (first < 0xC2 || first > 0xF4) return 0;
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  const std::size_t length = first < 0xF0 ? 3 : 4;
  return between(1, low, high) && tails(2, length) ? length : 0;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t good = code_point_bytes(text);
    out += good ? text.substr(0, good) : "\xEF\xBF\xBD";
    text.remove_prefix(good ? good : 1);
  }
  return out;
}

/// Reachable for ever and never freed: nothing of the library runs in static destructors.
const pcre2_code* whole_text() {
  static const pcre2_code* const code = [] {
    int error = 0;
    PCRE2_SIZE offset = 0;
    return need(pcre2_compile(bytes(".+"), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL, &error, &offset,
                              nullptr));
  }();
  return code;
}

}  // namespace

std::string lower(std::string_view text) {
  const std::string subject = valid_utf8(text);
  if (subject.empty()) return subject;
  std::string out(subject.size() + subject.size() / 2 + 1, '\0');  // U+023A grows from 2 bytes to 3: the worst there is
  PCRE2_SIZE length = out.size();
  const int done = pcre2_substitute(whole_text(), bytes(subject), subject.size(), 0,
                                    PCRE2_SUBSTITUTE_EXTENDED | PCRE2_NO_UTF_CHECK, nullptr, nullptr, bytes("\\L$0"),
                                    PCRE2_ZERO_TERMINATED, reinterpret_cast<PCRE2_UCHAR*>(out.data()), &length);
  FT_CHECK(done >= 0, internal, "[lower] ", message(done));
  out.resize(length);
  return out;
}

}  // namespace ftlib::inline FTLIB_ABI::pcre
