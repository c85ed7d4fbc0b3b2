// SPDX-License-Identifier: Apache-2.0
// Where the tests find real models. A missing one fails the test that needs it.
#pragma once
#include <cstdlib>
#include <string>

/// `name` below the folder FTLIB_TEST_MODELS, by default ~/.cache/ftlib, where `./run test` puts it.
inline std::string test_model(const std::string& name) {
  const char* folder = std::getenv("FTLIB_TEST_MODELS");
  const char* home = std::getenv("HOME");
  return (folder != nullptr ? std::string(folder) : std::string(home != nullptr ? home : "") + "/.cache/ftlib") + "/" + name;
}
