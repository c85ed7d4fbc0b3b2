// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <numeric>

#include "ftlib/ops/nf4.h"
#include "ftlib/optim/adamw.h"
#include "ftlib/optim/schedule.h"
#include "golden/optim.h"
#include "golden_inputs.h"
#include "oracle.h"

using namespace ftlib;
using oracle::Doubles;
using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

namespace {

constexpr AdamWOptions kOptions{.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1};

/// tools/golden/optim.py's inputs: parameters are step 0.
Floats golden_parameter(int n) {
  Random random(3, 0);
  Floats values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(golden::unit(random.next_u32()));
  return values;
}
Floats golden_gradient(int n, int step) {
  Random random(3, static_cast<std::uint64_t>(step));
  Floats values(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    const double value = golden::unit(random.next_u32()) * std::ldexp(1.0, i % 12 - 8);
    values[static_cast<std::size_t>(i)] = i % 37 == 0 ? 0 : static_cast<float>(value);
  }
  return values;
}

template <std::size_t N>
Doubles doubles(const float (&values)[N]) { return Doubles(values, values + N); }
Doubles doubles(const Floats& values) { return Doubles(values.begin(), values.end()); }

Bytes from_hex(std::string_view text) {
  Bytes bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(std::stoi(std::string(text.substr(2 * i, 2)), nullptr, 16));
  return bytes;
}

/// One tensor with all its states, of either kind.
struct State {
  Floats parameter, exp_avg, exp_avg_sq;
  Bytes codes, codes_sq;
  Floats absmax, absmax_sq;

  explicit State(Floats from) : parameter(std::move(from)), exp_avg(parameter.size()), exp_avg_sq(parameter.size()),
        codes(parameter.size()), codes_sq(parameter.size()), absmax((parameter.size() + 255) / 256), absmax_sq(absmax) {}
  AdamWTensor plain(const Floats& gradient) {
    return {parameter.data(), gradient.data(), exp_avg.data(), exp_avg_sq.data(), static_cast<std::int64_t>(parameter.size())};
  }
  AdamW8bitTensor quantized(const Floats& gradient) {
    return {parameter.data(), gradient.data(), codes.data(), codes_sq.data(), absmax.data(), absmax_sq.data(),
            static_cast<std::int64_t>(parameter.size())};
  }
};

Doubles decoded(const Bytes& codes, const float* absmax, bool is_signed) {
  Doubles values(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i)
    values[i] = static_cast<double>(dynamic_map(is_signed)[codes[i]]) * static_cast<double>(absmax[i / 256]);
  return values;
}

/// Elements that differ by more than bitsandbytes' own test allows between its 8-bit states and torch's.
int outliers(const Doubles& got, const Doubles& want) {
  int count = 0;
  for (std::size_t i = 0; i < got.size(); ++i) count += std::abs(got[i] - want[i]) > 1e-3 + 3e-3 * std::abs(want[i]);
  return count;
}

}  // namespace

TEST_CASE("adamw_step equals torch.optim.AdamW over 20 steps with weight decay") {
  State s(golden_parameter(golden::kAdamWCount));
  for (int step = 1; step <= golden::kAdamWSteps; ++step) {
    Floats gradient = golden_gradient(golden::kAdamWCount, step);
    for (float& value : gradient) value *= 4;  // exact, undone by the gradient scale
    const AdamWTensor tensors[] = {s.plain(gradient)};
    adamw_step(tensors, kOptions, step, 0.25f);
  }
  CHECK(oracle::relative_error(doubles(s.parameter), doubles(golden::kAdamWParameter)) < 3e-7);
  CHECK(oracle::relative_error(doubles(s.exp_avg), doubles(golden::kAdamWExpAvg)) < 3e-7);
  CHECK(oracle::relative_error(doubles(s.exp_avg_sq), doubles(golden::kAdamWExpAvgSq)) < 3e-7);
}

TEST_CASE("adamw_8bit_step goes on from bitsandbytes' states and lands on its next ones") {
  State s(Floats(golden::kParameterBefore, golden::kParameterBefore + golden::k8bitCount));
  s.codes = from_hex(golden::kCodes1Before), s.codes_sq = from_hex(golden::kCodes2Before);
  std::copy(std::begin(golden::kAbsmax1Before), std::end(golden::kAbsmax1Before), s.absmax.begin());
  std::copy(std::begin(golden::kAbsmax2Before), std::end(golden::kAbsmax2Before), s.absmax_sq.begin());
  const Floats gradient = golden_gradient(golden::k8bitCount, golden::k8bitStep);
  const AdamW8bitTensor tensors[] = {s.quantized(gradient)};
  adamw_8bit_step(tensors, kOptions, golden::k8bitStep);
  CHECK(oracle::relative_error(doubles(s.parameter), doubles(golden::kParameterAfter)) < 3e-7);
  CHECK(oracle::relative_error(doubles(s.absmax), doubles(golden::kAbsmax1After)) < 3e-7);
  CHECK(oracle::relative_error(doubles(s.absmax_sq), doubles(golden::kAbsmax2After)) < 3e-7);
  const Doubles m = decoded(s.codes, s.absmax.data(), true), v = decoded(s.codes_sq, s.absmax_sq.data(), false);
  CHECK(outliers(m, decoded(from_hex(golden::kCodes1After), golden::kAbsmax1After, true)) < 20);
  CHECK(outliers(v, decoded(from_hex(golden::kCodes2After), golden::kAbsmax2After, false)) < 20);
}

TEST_CASE("8-bit states follow f32 states over 20 steps, and what never moved stays where it was") {
  constexpr int kCount = 5000;
  State exact(golden_parameter(kCount)), coarse(golden_parameter(kCount));
  const Floats start = exact.parameter;
  AdamWOptions options = kOptions;
  options.weight_decay = 0;
  for (int step = 1; step <= 20; ++step) {
    Floats gradient = golden_gradient(kCount, step);
    for (std::size_t i = 0; i < kCount; ++i) gradient[i] *= std::ldexp(1.0f, static_cast<int>(8 - i % 12));
    const AdamWTensor plain[] = {exact.plain(gradient)};
    const AdamW8bitTensor quantized[] = {coarse.quantized(gradient)};
    adamw_step(plain, options, step);
    adamw_8bit_step(quantized, options, step);
  }
  double error = 0;
  int moved = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    moved += i % 37 == 0 && coarse.parameter[i] != start[i];
    error += std::abs(static_cast<double>(coarse.parameter[i]) - static_cast<double>(exact.parameter[i]));
  }
  CHECK(moved == 0);
  CHECK(error / kCount < 1e-3);  // a tenth of one of the 20 steps of 1e-2
}

TEST_CASE("the states hold the exact nearest code of every value") {
  // With beta1 = 0 the first moment is the gradient itself, with beta2 = 0 the second is its square.
  constexpr AdamWOptions kPlain{.lr = 0, .beta1 = 0, .beta2 = 0, .eps = 1, .weight_decay = 0};
  constexpr std::size_t kCount = 256 * 300;
  Floats gradient(kCount);
  Random random(9);
  const float* map = dynamic_map(true);
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::uint32_t code = random.next_u32() % 255;
    const float middle = (map[code] + map[code + 1]) / 2;
    const float around[] = {middle, std::nextafter(middle, -1.0f), std::nextafter(middle, 1.0f), map[code],
                            random.uniform() * 2 - 1, std::ldexp(random.uniform() - 0.5f, -20)};
    gradient[i] = i % 256 == 0 ? 1.0f : around[random.next_u32() % 6];
  }
  State s{Floats(kCount)};
  const AdamW8bitTensor tensors[] = {s.quantized(gradient)};
  adamw_8bit_step(tensors, kPlain, 1);
  int wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    wrong += s.codes[i] != nearest_code(dynamic_map(true), gradient[i]);
    wrong += s.codes_sq[i] != nearest_code(dynamic_map(false), gradient[i] * gradient[i]);
  }
  CHECK(wrong == 0);
}

TEST_CASE("an optimiser step has the same bits for any number of threads and any grouping of tensors") {
  constexpr int kCount = 40000;
  const Floats gradient = golden_gradient(kCount, 1);
  const auto run = [&](int count, bool apart) {
    set_threads(count);
    State plain(golden_parameter(kCount)), coarse(golden_parameter(kCount));
    for (int step = 1; step <= 3; ++step) {
      const AdamWTensor whole = plain.plain(gradient);
      AdamWTensor first = whole, second = whole;
      first.n = 777;
      second.parameter += 777, second.gradient += 777, second.exp_avg += 777, second.exp_avg_sq += 777, second.n -= 777;
      const AdamWTensor both[] = {first, second};
      adamw_step(apart ? std::span<const AdamWTensor>(both) : std::span<const AdamWTensor>(&whole, 1), kOptions, step);
      const AdamW8bitTensor quantized[] = {coarse.quantized(gradient)};
      adamw_8bit_step(quantized, kOptions, step);
    }
    return std::tuple(plain.parameter, plain.exp_avg_sq, coarse.parameter, coarse.codes, coarse.absmax_sq);
  };
  const int before = threads();
  const auto want = run(1, false);
  CHECK(run(2, false) == want);
  CHECK(run(3, true) == want);
  set_threads(before);
  const Floats none;
  const AdamWTensor empty[] = {{nullptr, nullptr, nullptr, nullptr, 0}};
  adamw_step(empty, kOptions, 1);
  adamw_step({}, kOptions, 1);
  CHECK_THROWS_WITH_AS(adamw_step(empty, kOptions, 0), "[adamw] steps are numbered from 1, got 0", Error);
}

TEST_CASE("the global norm is exact to double, equal for any number of threads, and keeps NaN and infinity") {
  Floats a(100003), b = {3, 4}, none;
  std::iota(a.begin(), a.end(), 0.0f);
  double want = 25;
  for (const float value : a) want += static_cast<double>(value) * static_cast<double>(value);
  const std::span<const float> all[] = {a, none, b};
  const int before = threads();
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    CHECK(global_norm(all) == doctest::Approx(std::sqrt(want)).epsilon(1e-14));
  }
  set_threads(before);
  CHECK(global_norm({}) == 0);
  b[1] = INFINITY;
  CHECK(std::isinf(global_norm(all)));
  a[70000] = NAN;
  CHECK(std::isnan(global_norm(all)));
}

TEST_CASE("the clip factor is torch's: never above 1, none where the bound is 0") {
  CHECK(clip_factor(0.5, 1) == 1);
  CHECK(clip_factor(4, 1) == static_cast<float>(1 / (4 + 1e-6)));
  CHECK(clip_factor(1e9, 0) == 1);
  CHECK(clip_factor(INFINITY, 1) == 0);
  CHECK(std::isnan(clip_factor(NAN, 1)));
}

TEST_CASE("schedules equal transformers'") {
  for (const golden::ScheduleGolden& g : golden::kSchedules) {
    CAPTURE(g.name);
    CAPTURE(g.step);
    CAPTURE(g.warmup);
    CAPTURE(g.total);
    CHECK(schedule_factor(schedule_by_name(g.name), g.step, g.warmup, g.total) ==
          doctest::Approx(g.factor).epsilon(1e-12).scale(1));
  }
  CHECK_THROWS_WITH_AS(schedule_by_name("step"), "[schedule] want constant, linear or cosine, got step", Error);
}
