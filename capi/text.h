// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "ftlib/data/record.h"

namespace ftlib::capi {

/// Parallel arrays of roles and contents, at least one. Throws Error{invalid_argument} for NULL in any place.
std::vector<Message> messages_of(const char* const* roles, const char* const* contents, std::size_t count);

}  // namespace ftlib::capi
