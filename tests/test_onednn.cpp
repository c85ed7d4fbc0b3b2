// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "ftlib/ops/matmul.h"
#include "gemm_data.h"
#include "kernels/backends.h"

extern "C" void omp_set_num_threads(int);
extern "C" int omp_get_max_threads();

using namespace ftlib;
using namespace ftlib::test;

TEST_CASE("oneDNN multiplies what is dense and unscaled, and leaves the host's OpenMP setting alone") {
  const KernelTable* onednn = &kernels::onednn_backend();
  CHECK((onednn->linear == nullptr && onednn->linear_backward == nullptr));
  const int before = omp_get_max_threads();
  omp_set_num_threads(3);
  const Matrix a = Matrix::random(300, 40, DType::f32, 1), b = Matrix::random(40, 30, DType::f32, 2);
  Matrix c(300, 30, DType::f32);
  CHECK(onednn->matmul({a.view(), b.view(), c.view()}) == Status::ok);
  CHECK(omp_get_max_threads() == 3);
  omp_set_num_threads(before);
  MatmulArgs scaled{a.view(), b.view(), c.view()};
  scaled.alpha = 2;
  CHECK(onednn->matmul(scaled) == Status::unsupported);
}
