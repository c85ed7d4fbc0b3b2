// SPDX-License-Identifier: Apache-2.0
// What PCRE2 says when it refuses: a sentence, and whether it was for want of memory.
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>
#include <string>

namespace ftlib::inline FTLIB_ABI {

inline std::string pcre2_text(int code) {
  PCRE2_UCHAR text[256];
  return pcre2_get_error_message(code, text, sizeof text) < 0 ? "unknown error" : reinterpret_cast<const char*>(text);
}

/// Throws std::bad_alloc where that is what a compilation's or a match's code means.
inline void check_pcre2_memory(int code) {
  if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
}

template <class T>
T* need_pcre2(T* made) {
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

}  // namespace ftlib
