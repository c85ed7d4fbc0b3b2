// SPDX-License-Identifier: Apache-2.0
// NFC (Unicode Standard Annex #15) with a way back from normalised bytes to the bytes they came from.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/data/tokenizer.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

class Nfc {
 public:
  /// Normalises `text`, of any bytes; invalid UTF-8 passes unchanged. The result is valid until the next call or until
  /// `text` ends: text that is normal already is not copied.
  std::string_view apply(std::string_view text);

  /// The bytes of the text last applied that the non-empty range `normalised` came from.
  ByteSpan source(ByteSpan normalised) const noexcept;

 private:
  struct Change {
    ByteSpan normalised, source;
  };
  void replace(std::string_view text, std::size_t begin, std::size_t end);
  const Change* last_change_at(std::int64_t offset) const noexcept;

  std::string text_, composed_;
  std::size_t copied_ = 0;  // bytes of the source that text_ accounts for
  std::vector<Change> changes_;
  std::vector<std::int32_t> codes_;
};

}  // namespace ftlib
