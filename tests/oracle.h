// SPDX-License-Identifier: Apache-2.0
// What op tests share: values in any dtype beside their doubles, one tolerance per dtype, central differences, and the
// loop over backends, dtypes and thread counts.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/core/tensor.h"
#include "ftlib/ops/backend.h"

namespace oracle {

using Doubles = std::vector<double>;

/// Largest error allowed, relative to the largest magnitude of the wanted values.
inline double tolerance(ftlib::DType dtype) { return dtype == ftlib::DType::bf16 ? 2e-2 : 1e-5; }

/// A flat array in a storage type; `doubles()` are the very values that the op sees.
class Values {
 public:
  Values() = default;
  Values(ftlib::DType dtype, const Doubles& from)
      : dtype_(dtype), count_(from.size()), bytes_(from.size() * static_cast<std::size_t>(ftlib::dtype_bytes(dtype))) {
    for (std::size_t i = 0; i < count_; ++i) {
      const auto value = static_cast<float>(from[i]);
      const ftlib::bf16 half = ftlib::to_bf16(value);
      if (dtype == ftlib::DType::bf16) std::memcpy(&bytes_[i * sizeof half], &half, sizeof half);
      else std::memcpy(&bytes_[i * sizeof value], &value, sizeof value);
    }
  }
  static Values random(ftlib::DType dtype, std::int64_t count, std::uint64_t key, double scale = 1) {
    ftlib::Random random(key);
    Doubles from(static_cast<std::size_t>(count));
    for (double& value : from) value = scale * random.normal();
    return Values(dtype, from);
  }
  static Values filled(ftlib::DType dtype, std::int64_t count, double value = std::nan("")) {
    return Values(dtype, Doubles(static_cast<std::size_t>(count), value));
  }

  Doubles doubles() const {
    Doubles out(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      if (dtype_ == ftlib::DType::bf16) {
        ftlib::bf16 half;
        std::memcpy(&half, &bytes_[i * sizeof half], sizeof half);
        out[i] = ftlib::to_float(half);
      } else {
        float value;
        std::memcpy(&value, &bytes_[i * sizeof value], sizeof value);
        out[i] = value;
      }
    }
    return out;
  }

  void* data() { return bytes_.data(); }
  ftlib::DType dtype() const { return dtype_; }
  const std::vector<unsigned char>& bytes() const { return bytes_; }
  /// [count] or, with columns, [count / columns, columns].
  ftlib::TensorView vector() { return ftlib::vector_view(data(), static_cast<std::int64_t>(count_), dtype_); }
  ftlib::TensorView matrix(std::int64_t columns) {
    return ftlib::matrix_view(data(), static_cast<std::int64_t>(count_) / columns, columns, dtype_);
  }
  /// [T, heads, dim], contiguous.
  ftlib::TensorView heads(std::int64_t heads, std::int64_t dim) {
    return {data(), {static_cast<std::int64_t>(count_) / (heads * dim), heads, dim, 1}, {heads * dim, dim, 1, 0}, 3,
            dtype_, ftlib::Device::cpu};
  }

 private:
  ftlib::DType dtype_ = ftlib::DType::f32;
  std::size_t count_ = 0;
  std::vector<unsigned char> bytes_;
};

inline double largest(const Doubles& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

/// Largest |got - want| over the largest |want|; infinity where one is NaN or missing.
inline double relative_error(const Doubles& got, const Doubles& want) {
  if (got.size() != want.size()) return INFINITY;
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(got[i] - want[i]);
    if (!(difference <= worst)) worst = std::isnan(difference) ? INFINITY : difference;
  }
  const double scale = largest(want);
  return scale > 0 ? worst / scale : worst;
}

/// d loss / d x by central differences; loss() must read `x`.
template <class Loss>
Doubles central_differences(Doubles& x, Loss&& loss, double h = 1e-5) {
  Doubles gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    x[i] = kept + h;
    const double above = loss();
    x[i] = kept - h;
    gradient[i] = (above - loss()) / (2 * h);
    x[i] = kept;
  }
  return gradient;
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Calls body(backend) with each available backend forced in turn, then none.
template <class Body>
void for_each_backend(Body&& body) {
  for (const ftlib::KernelTable* backend : ftlib::backends()) {
    if (!backend->available()) continue;
    ftlib::force_backend(backend->name);
    body(*backend);
  }
  ftlib::force_backend("");
}

/// An op with fixed inputs: run() fills and returns its outputs, want() are the same from the reference in double.
struct Outputs {
  std::vector<Values> values;
};

/// Value, support and bits: on every backend, run(dtype) equals want(dtype) within the dtype's tolerance, the forced
/// backend is the one that ran where it offers the op, and 1, 2 and 3 threads give the same bytes.
template <class Entry, class Run, class Want>
void check_op(const char* op, Entry entry, Run&& run, Want&& want) {
  for (const ftlib::DType dtype : {ftlib::DType::f32, ftlib::DType::bf16}) {
    const std::vector<Doubles> wanted = want(dtype);
    for_each_backend([&](const ftlib::KernelTable& backend) {
      const int before = ftlib::threads();
      std::vector<Values> first;
      for (const int threads : {1, 2, 3}) {
        ftlib::set_threads(threads);
        std::vector<Values> got = run(dtype);
        CHECK_MESSAGE(ftlib::backend_used(op) == (backend.*entry ? backend.name : "ref"), op, " forced to ",
                      backend.name);
        if (threads == 1) first = std::move(got);
        else
          for (std::size_t i = 0; i < first.size(); ++i)
            CHECK_MESSAGE(got[i].bytes() == first[i].bytes(), op, " output ", i, " on ", backend.name, " with ", threads,
                          " threads");
      }
      ftlib::set_threads(before);
      REQUIRE(first.size() == wanted.size());
      for (std::size_t i = 0; i < first.size(); ++i) {
        const double error = relative_error(first[i].doubles(), wanted[i]);
        CHECK_MESSAGE(error <= tolerance(first[i].dtype()), op, " output ", i, " on ", backend.name, " in ",
                      ftlib::dtype_name(dtype), ": relative error ", error);
      }
    });
  }
}

}  // namespace oracle
