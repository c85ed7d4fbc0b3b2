// SPDX-License-Identifier: Apache-2.0
// AdamW with decoupled weight decay, f32 or block-wise 8-bit states, and the global-norm clip.
// Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2; Dettmers et al., "8-bit Optimizers via
// Block-wise Quantization", 2022, section 2.
#pragma once
#include <cstdint>
#include <span>

#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

struct AdamWOptions {
  float lr = 2e-4f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0;
};

/// One parameter tensor with its gradient and f32 states, all [n], f32.
struct AdamWTensor {
  float* parameter;       ///< read and written
  const float* gradient;  ///< multiplied by gradient_scale before use
  float* exp_avg;         ///< first moment, read and written
  float* exp_avg_sq;      ///< second moment, read and written
  std::int64_t n;
};

/// One step, numbered from 1; torch.optim.AdamW's arithmetic: p -= lr * weight_decay * p, then
/// p -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps).
/// Thread-safe for disjoint tensors; every result depends on its own element only.
void adamw_step(std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale = 1);

/// The same with states in 8 bits: blocks of 256 elements, absmax f32 a block, codes into dynamic_map (signed for the
/// first moment, unsigned for the second), exact nearest and exact zero. The caller keeps tensors under 4,096 elements
/// in f32, as bitsandbytes does.
struct AdamW8bitTensor {
  float* parameter;
  const float* gradient;
  std::uint8_t *exp_avg, *exp_avg_sq;         ///< [n]
  float *exp_avg_absmax, *exp_avg_sq_absmax;  ///< [ceil(n / 256)]
  std::int64_t n;
};
void adamw_8bit_step(std::span<const AdamW8bitTensor> tensors, const AdamWOptions& options, std::int64_t step,
                     float gradient_scale = 1);

/// sqrt(sum of squares) over all tensors, summed in double in an order that depends on the sizes only.
/// NaN or infinity where a gradient has one.
double global_norm(std::span<const std::span<const float>> gradients);

/// torch.nn.utils.clip_grad_norm_'s factor: min(1, max_norm / (norm + 1e-6)); 1 where max_norm is 0.
float clip_factor(double norm, double max_norm) noexcept;

}  // namespace ftlib
