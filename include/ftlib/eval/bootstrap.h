// SPDX-License-Identifier: Apache-2.0
// How much one system differs from another on the same examples, and how sure that is.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

struct BootstrapOptions {
  std::int64_t resamples = 10000;
  double level = 0.95;
  std::uint64_t seed = 0;
  bool exponentiate = false;  ///< compare exp(average): perplexities instead of losses
};

/// An estimate with its percentile interval.
struct Interval {
  double estimate = 0, low = 0, high = 0;
};

/// How much `after` differs from `before` on the same examples: (sum after - sum before) / sum weights, with a
/// percentile-bootstrap interval over the examples.
///
/// before, after  [n]  per-example values (scores with weight 1) or sums (nats with weight = supervised tokens)
/// weights        [n]  > 0; empty: 1 each
/// groups         [n]  examples of one group are drawn together, since they are not independent; empty: each its own
///
/// The r-th resample is a pure function of (seed, r): the same bits for any number of threads. Resamples are sorted and
/// interpolated linearly. Throws Error{invalid_argument} on n = 0, unequal lengths, a weight <= 0, a value that is not
/// finite, resamples outside 1 to 10 million or a level outside (0, 1). Thread-safe.
/// Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
Interval paired_difference(std::span<const double> before, std::span<const double> after,
                           std::span<const double> weights = {}, std::span<const std::string> groups = {},
                           const BootstrapOptions& options = {});

}  // namespace ftlib
