// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "ftlib/ops/backend.h"
#include "ftlib/ops/rms_norm.h"

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

TEST_CASE("an op in a forked child is an error value, not the end of the process") {
  const int before = threads();
  set_threads(2);
  std::vector<float> x(200000, 1.0f), weight(100, 1.0f);
  RmsNormArgs args;
  args.x = args.y = matrix_view<void*>(x.data(), 2000, 100), args.weight = vector_view<const void*>(weight.data(), 100);
  rms_norm(args);
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      rms_norm(args);
    } catch (const Error& error) {
      code = error.status() == Status::unsupported ? 0 : 2;
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  set_threads(before);
}
