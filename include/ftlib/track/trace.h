// SPDX-License-Identifier: Apache-2.0
// Profiles for people and for tools.
#pragma once
#include <string>
#include <vector>

#include "ftlib/core/profile.h"

namespace ftlib::inline FTLIB_ABI {

/// Totals with the longest first, and last what no op accounts for ("outside ops").
std::vector<Profile::Total> sorted_totals(const Profile& profile);

/// The recorded calls in the Trace Event Format of Chrome, which chrome://tracing and Perfetto open: one complete event a
/// call, microseconds since the first, with flops, bytes and shape as arguments.
std::string chrome_trace(const Profile& profile);

}  // namespace ftlib
