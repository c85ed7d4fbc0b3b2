// SPDX-License-Identifier: Apache-2.0
// What header_mode.cpp computes with the bodies of the headers, in a program that links the compiled library.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace header_mode {

/// rms_norm of [rows, columns] with weight 1, and the backends that this mode has.
std::vector<float> rms_norm(std::vector<float> x, std::int64_t columns);
std::vector<std::string> backends();

}  // namespace header_mode
