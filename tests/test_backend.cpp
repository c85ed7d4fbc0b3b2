// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "ftlib/ops/backend.h"

using namespace ftlib;

TEST_CASE("backends are listed best first and the reference is last and always there") {
  REQUIRE(backends().size() >= 2);
  CHECK(backends().back()->name == "ref");
  CHECK(backends().back()->available());
  CHECK(active_backends().back()->name == "ref");
}

TEST_CASE("a forced backend leaves itself and the reference to run") {
  for (const KernelTable* backend : backends()) {
    if (!backend->available()) continue;
    force_backend(backend->name);
    REQUIRE(active_backends().size() == 2);
    CHECK(active_backends()[0] == backend);
    CHECK(active_backends()[1]->name == "ref");
  }
  force_backend("");
  CHECK(active_backends().size() >= 2);
}

TEST_CASE("an unknown backend is refused with the names of those present") {
  for (const char* name : {"cuda", "REF", "portable "}) {
    std::string message;
    try {
      force_backend(name);
    } catch (const Error& error) {
      CHECK(error.status() == Status::unsupported);
      message = error.what();
    }
    CHECK(message.find(concat("got ", name, ", want one of ")) != std::string::npos);
    CHECK(message.find("portable, ref") != std::string::npos);
  }
}
