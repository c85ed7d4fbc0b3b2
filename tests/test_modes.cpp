// SPDX-License-Identifier: Apache-2.0
#include "header_mode.h"

#include "ftlib/ops/rms_norm.h"
#include "oracle.h"

using namespace ftlib;
using oracle::Values;

TEST_CASE("the header-only and the compiled library work in one program, each with its own backends") {
  CHECK(header_mode::backends() == std::vector<std::string>{"portable", "ref"});
  CHECK(backends().size() > 2);
  Values x = Values::random(DType::f32, 5 * 33, 1), weight = Values::filled(DType::f32, 33, 1);
  std::vector<float> theirs(5 * 33);
  std::memcpy(theirs.data(), x.data(), theirs.size() * sizeof(float));
  theirs = header_mode::rms_norm(theirs, 33);
  force_backend("ref");  // of this mode only
  rms_norm({x.matrix(33), weight.vector(), 1e-5f, x.matrix(33), {}});
  CHECK(backend_used("rms_norm") == "ref");
  force_backend("");
  CHECK(oracle::relative_error(x.doubles(), oracle::Doubles(theirs.begin(), theirs.end())) < 1e-6);
}
