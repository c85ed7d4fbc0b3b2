// SPDX-License-Identifier: Apache-2.0
// Gold records.
#pragma once
#include <string>
#include "ftlib/config.h"
namespace ftlib::inline FTLIB_ABI {
struct Message {
  std::string role, content;
  bool operator==(const Message&) const = default;
};
}  // namespace ftlib
