// SPDX-License-Identifier: Apache-2.0
// AdamW with decoupled weight decay, f32 or block-wise 8-bit states, and the global-norm clip.
// Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2; Dettmers et al., "8-bit Optimizers via
// Block-wise Quantization", 2022, section 2.
#pragma once
#include <cstdint>
#include <span>

#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// In double, as torch keeps them: 1 - beta2 of a float beta2 is off by 1e-5.
struct AdamWOptions {
  double lr = 2e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};

/// One parameter tensor with its gradient and f32 states, all [n], f32.
struct AdamWTensor {
  float* parameter;       ///< read and written
  const float* gradient;  ///< multiplied by gradient_scale before use
  float* exp_avg;         ///< first moment, read and written
  float* exp_avg_sq;      ///< second moment, read and written
  std::int64_t n;
};

/// One step, numbered from 1, in torch.optim.AdamW's order of operations:
///   p *= 1 - lr * weight_decay;  m += (g - m) * (1 - beta1);  v = v * beta2 + g * g * (1 - beta2)
///   p -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
/// Factors of the whole step are made in double and rounded once. Throws Error{invalid_argument} on step < 1.
/// Thread-safe for disjoint tensors; every result depends on its own element only.
void adamw_step(std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale = 1);

/// The same with states in 8 bits: blocks of 256 elements, absmax f32 a block, codes into dynamic_map (signed for the
/// first moment, unsigned for the second). The step is made with the unrounded moments, which are then rounded to the
/// exact nearest code; 0 stays an exact 0. States start as zeros in codes and absmax. The caller keeps tensors under
/// 4,096 elements in f32, as bitsandbytes does.
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

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/optim/adamw-inl.h"
#endif
