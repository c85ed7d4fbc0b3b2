// SPDX-License-Identifier: Apache-2.0
// Floating-point operations that a batch needs (2 a multiply-add), whatever the memory plan computes twice: forward, input
// gradients, adapters both ways, causal attention, the head for supervised rows only; no gradient of frozen weights.
#pragma once
#include <cstdint>
#include <span>

#include "ftlib/data/batch.h"
#include "ftlib/model/lora.h"

namespace ftlib::inline FTLIB_ABI {

struct Work {
  std::int64_t tokens = 0, supervised_tokens = 0;
  double attention_pairs = 0;  ///< sum over segments of n (n + 1) / 2

  void add_segment(std::int64_t length, std::int64_t supervised) noexcept {
    tokens += length, supervised_tokens += supervised;
    attention_pairs += static_cast<double>(length) * static_cast<double>(length + 1) / 2;
  }
};

Work work_of(const Batch& batch) noexcept;

/// `adapter` may be null.
double forward_flops(const ModelConfig& config, const LoraAdapter* adapter, const Work& work) noexcept;
double training_flops(const ModelConfig& config, const LoraAdapter& adapter, const Work& work) noexcept;

}  // namespace ftlib
