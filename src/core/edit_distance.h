// SPDX-License-Identifier: Apache-2.0
// Which known name was meant: for messages that refuse an unknown one.
#pragma once
#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// Levenshtein's distance, one row at a time. Time and memory as the lengths' product and the second length: bound what
/// a file gives.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace ftlib::inline FTLIB_ABI
