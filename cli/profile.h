// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "ftlib/core/profile.h"
#include "ftlib/core/tensor.h"

namespace ftlib::cli {

/// What --profile prints and writes: a table of the ops (JSON lines on request), fractions of the peak for `compute`, and
/// a Chrome trace at `path`.
void report_profile(const Profile& profile, DType compute, bool json, const std::string& path);

}  // namespace ftlib::cli
