// SPDX-License-Identifier: Apache-2.0
// Which records make which step: a pure function of lengths, options and epoch, so the position in a run is one integer
// and resume replays nothing.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ftlib/data/batch.h"

namespace ftlib::inline FTLIB_ABI {

enum class Order : std::int32_t { shuffle = 0, given };

/// Exactly one of batch_tokens and batch_examples is positive.
struct LoaderOptions {
  std::int64_t batch_tokens = 2048;   ///< bins of at most this many tokens
  std::int64_t batch_examples = 0;    ///< or bins of this many records
  std::int64_t accumulate = 1;        ///< bins a step
  Order order = Order::shuffle;
  std::uint64_t seed = 0;
};

/// The records of one epoch, in the order in which they are seen.
std::vector<std::int64_t> epoch_order(std::int64_t records, const LoaderOptions& options, std::int64_t epoch);

/// One epoch as bins of record indices; a step is `accumulate` neighbouring bins, the last step may be short.
///
/// batch_examples: the next N records of the epoch's order. batch_tokens: windows of 4,096 records of that order,
/// first-fit-decreasing, bins in seeded order; with Order::given next-fit in file order.
/// Throws Error{invalid_argument} where a record is longer than batch_tokens.
std::vector<std::vector<std::int64_t>> plan_epoch(std::span<const std::int64_t> lengths, const LoaderOptions& options,
                                                  std::int64_t epoch);

/// Walks the micro-batches of a run by position. Not thread-safe; the examples must outlive it.
class Loader {
 public:
  Loader(std::span<const Example> examples, const LoaderOptions& options);

  /// Optimiser steps of one epoch (it may differ between epochs, since packing follows the order).
  std::int64_t steps(std::int64_t epoch);
  /// The micro-batches of step `step` (from 0) of `epoch`, valid until the next call. Allocates only where an epoch begins.
  std::span<const Batch> step(std::int64_t epoch, std::int64_t step);

  /// The largest bin over one epoch, tokens: what the memory plan has to hold.
  std::int64_t max_batch_tokens();

 private:
  const std::vector<std::vector<std::int64_t>>& bins(std::int64_t epoch);

  std::span<const Example> examples_;
  LoaderOptions options_;
  std::vector<std::int64_t> lengths_;
  std::vector<std::vector<std::int64_t>> bins_;
  std::vector<Batch> batches_;
  std::int64_t planned_epoch_ = -1;
};

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/data/loader-inl.h"
#endif
