// SPDX-License-Identifier: Apache-2.0
#include <ftlib/data/loader.h>
#include <ftlib/ops/backend.h>
#include <ftlib/optim/adamw.h>

#include <cstdio>

#include "compiler.h"
#ifndef EIGEN_MPL2_ONLY
#error "ftlib::headers promises that no file of Eigen under another licence is compiled in"
#endif

int main() {
  float a[4] = {1, 2, 3, 4}, b[4] = {1, 0, 0, 1}, c[4] = {};
  ftlib::matmul({ftlib::matrix_view<const void*>(a, 2, 2), ftlib::matrix_view<const void*>(b, 2, 2),
                 ftlib::matrix_view<void*>(c, 2, 2)});
  std::puts(COMPILER);
  return c[3] == 4 ? 0 : 1;
}
