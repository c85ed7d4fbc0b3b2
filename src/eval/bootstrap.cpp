// SPDX-License-Identifier: Apache-2.0
#include "ftlib/eval/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// The sums of the examples that are drawn together.
struct Cluster {
  double before = 0, after = 0, weight = 0;
  Cluster& operator+=(const Cluster& other) noexcept {
    before += other.before, after += other.after, weight += other.weight;
    return *this;
  }
};

double difference(const Cluster& sum, bool exponentiate) noexcept {
  if (exponentiate) return std::exp(sum.after / sum.weight) - std::exp(sum.before / sum.weight);
  return (sum.after - sum.before) / sum.weight;
}

void check(std::span<const double> before, std::span<const double> after, std::span<const double> weights,
           std::span<const std::string> groups, const BootstrapOptions& options) {
  const std::size_t n = before.size();
  FT_CHECK(n > 0, invalid_argument, "[bootstrap] no examples");
  FT_CHECK(after.size() == n && (weights.empty() || weights.size() == n) && (groups.empty() || groups.size() == n),
           invalid_argument, "[bootstrap] lengths differ: before ", n, ", after ", after.size(), ", weights ",
           weights.size(), ", groups ", groups.size());
  FT_CHECK(options.resamples >= 1 && options.resamples <= 10'000'000, invalid_argument,
           "[bootstrap] resamples, got ", options.resamples, ", want 1 to 10000000");
  FT_CHECK(options.level > 0 && options.level < 1, invalid_argument, "[bootstrap] level, got ", options.level,
           ", want between 0 and 1");
  for (std::size_t i = 0; i < n; ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    FT_CHECK(std::isfinite(before[i]) && std::isfinite(after[i]), invalid_argument, "[bootstrap] example ", i,
             ": want finite values, got ", before[i], " and ", after[i]);
    FT_CHECK(weight > 0 && std::isfinite(weight), invalid_argument, "[bootstrap] example ", i,
             ": want a weight above 0, got ", weight);
  }
}

std::vector<Cluster> clusters(std::span<const double> before, std::span<const double> after,
                              std::span<const double> weights, std::span<const std::string> groups) {
  std::vector<Cluster> out;
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::size_t place = groups.empty() ? i : places.try_emplace(groups[i], out.size()).first->second;
    if (place == out.size()) out.emplace_back();
    out[place] += {before[i], after[i], weights.empty() ? 1 : weights[i]};
  }
  return out;
}

double percentile(const std::vector<double>& sorted, double share) noexcept {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - static_cast<double>(low));
}

}  // namespace

Interval paired_difference(std::span<const double> before, std::span<const double> after,
                           std::span<const double> weights, std::span<const std::string> groups,
                           const BootstrapOptions& options) {
  check(before, after, weights, groups, options);
  const std::vector<Cluster> units = clusters(before, after, weights, groups);
  std::vector<double> draws(static_cast<std::size_t>(options.resamples));
  parallel_ranges(options.resamples, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      Random random(options.seed, static_cast<std::uint64_t>(r));
      Cluster sum;
      for (std::size_t i = 0; i < units.size(); ++i) sum += units[random.below(units.size())];
      draws[static_cast<std::size_t>(r)] = difference(sum, options.exponentiate);
    }
  });
  std::ranges::sort(draws);
  Cluster all;
  for (const Cluster& unit : units) all += unit;
  const double tail = (1 - options.level) / 2;
  return {difference(all, options.exponentiate), percentile(draws, tail), percentile(draws, 1 - tail)};
}

}  // namespace ftlib
