// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// Runs `rounds` rounds of independent multiply-adds in registers; returns the operations done. `sink` keeps them alive.
double avx512_burst_bf16(std::int64_t rounds, float* sink) noexcept;
double avx512_burst_f32(std::int64_t rounds, float* sink) noexcept;
double avx2_burst_f32(std::int64_t rounds, float* sink) noexcept;

}  // namespace kernels
}  // namespace ftlib
