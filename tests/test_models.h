// SPDX-License-Identifier: Apache-2.0
// Where the tests find real models. A missing one fails the test that needs it.
#pragma once
#include <cstdlib>
#include <string>

/// `name` below the folder FTLIB_TEST_MODELS, by default ftlib of the user's cache, where `./run test` puts it.
inline std::string test_model(const std::string& name) {
  const auto variable = [](const char* called) {
    const char* value = std::getenv(called);
    return std::string(value != nullptr ? value : "");
  };
  std::string folder = variable("FTLIB_TEST_MODELS"), cache = variable("XDG_CACHE_HOME");
  if (cache.empty()) cache = variable("HOME") + "/.cache";
  if (folder.empty()) folder = cache + "/ftlib";
  return folder + "/" + name;
}
