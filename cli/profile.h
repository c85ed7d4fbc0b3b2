// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "ftlib/core/profile.h"
#include "ftlib/core/tensor.h"

namespace ftlib::cli {

/// What --profile prints and writes: a table of the ops (JSON lines on request), fractions of the peak for `compute`, the
/// bytes moved for each of `tokens` tokens, and a Chrome trace at `path`.
void report_profile(const Profile& profile, DType compute, std::int64_t tokens, bool json, const std::string& path);

}  // namespace ftlib::cli
