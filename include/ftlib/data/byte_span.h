// SPDX-License-Identifier: Apache-2.0
// A range of bytes of some text: of a token, of a message within a rendering, of what is trained.
#pragma once
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// Half-open range of bytes of a text.
struct ByteSpan {
  std::int64_t begin = 0, end = 0;
  bool operator==(const ByteSpan&) const = default;
};

}  // namespace ftlib
