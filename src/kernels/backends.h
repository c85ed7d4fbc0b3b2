// SPDX-License-Identifier: Apache-2.0
// The backends that only the compiled library has.
#pragma once
#include "ftlib/ops/backend.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

bool cpu_has_avx2() noexcept;        ///< AVX2 and FMA (with F16C), and an operating system that saves their registers
bool cpu_has_avx512bf16() noexcept;  ///< AVX-512 F, BW, VL, DQ, VBMI and BF16 likewise

const KernelTable& avx2_backend() noexcept;
const KernelTable& avx512bf16_backend() noexcept;
const KernelTable& onednn_backend() noexcept;
Status avx512_nf4_quantize(const Nf4QuantizeArgs& args) noexcept;
Status avx512_nf4_dequantize(const Nf4DequantizeArgs& args) noexcept;

}  // namespace kernels
}  // namespace ftlib
