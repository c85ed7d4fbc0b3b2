// SPDX-License-Identifier: Apache-2.0
// Fixtures of tests/golden, written by tools/golden from the real peers.
#pragma once
#include <fstream>
#include <iterator>
#include <string>

#include "ftlib/io/json.h"

inline std::string golden_path(const std::string& name) { return FTLIB_TESTS_DIR "/golden/" + name; }

inline ftlib::Json golden_json(const std::string& name) {
  std::ifstream file(golden_path(name), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return ftlib::parse_json(text, golden_path(name));
}
