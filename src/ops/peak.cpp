// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/peak.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <vector>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/backend.h"
#include "kernels/backends.h"
#include "kernels/peak.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

using Burst = double (*)(std::int64_t, float*) noexcept;

/// Any CPU: sixteen chains that the compiler vectorises as the baseline allows.
double portable_burst(std::int64_t rounds, float* sink) noexcept {
  constexpr int kChains = 16;
  float chains[kChains] = {};
  for (std::int64_t i = 0; i < rounds; ++i)
    for (float& chain : chains) chain = chain * 0.5f + 0.25f;
  *sink = 0;
  for (const float chain : chains) *sink += chain;
  return static_cast<double>(rounds) * kChains * 2;
}

/// Of the instruction set that ops run on: a forced backend has its own ceiling.
Burst burst_for(DType compute) {
  const auto forced = [backend = active_backends().front()->name](std::string_view name) { return backend == name; };
  if (kernels::cpu_has_avx512bf16() && !forced("avx2") && !forced("portable"))
    return compute == DType::bf16 ? kernels::avx512_burst_bf16 : kernels::avx512_burst_f32;
  return kernels::cpu_has_avx2() && !forced("portable") ? kernels::avx2_burst_f32 : portable_burst;
}

double measure(Burst burst) {
  constexpr std::int64_t kRounds = 200'000;
  constexpr int kBursts = 15;
  const int count = threads();
  std::vector<double> rates, done(static_cast<std::size_t>(count));
  std::vector<float> sinks(static_cast<std::size_t>(count) * 16);
  for (int i = 0; i < kBursts; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    parallel_for(count, [&](std::int64_t t) {
      const auto index = static_cast<std::size_t>(t);
      done[index] = burst(kRounds, &sinks[index * 16]);
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    double sum = 0;
    for (const double operations : done) sum += operations;
    rates.push_back(sum / seconds);
  }
  std::nth_element(rates.begin(), rates.begin() + kBursts / 2, rates.end());
  return rates[kBursts / 2];
}

void check_compute(DType compute) {
  FT_CHECK(compute == DType::f32 || compute == DType::bf16, invalid_argument,
           "[peak] compute must be f32 or bf16, got ", dtype_name(compute));
}

}  // namespace

double peak_flops(DType compute) {
  check_compute(compute);
  static std::mutex mutex;
  static auto* known = new std::map<std::pair<Burst, int>, double>;
  const std::lock_guard lock(mutex);
  const Burst burst = burst_for(compute);
  double& rate = (*known)[{burst, threads()}];
  if (rate == 0) rate = measure(burst);
  return rate;
}

double peak_flops_now(DType compute) {
  check_compute(compute);
  return measure(burst_for(compute));
}

}  // namespace ftlib::inline FTLIB_ABI
