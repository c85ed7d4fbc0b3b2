// SPDX-License-Identifier: Apache-2.0
// matmul and linear of the backends that only the compiled library has, as their tables name them.
#pragma once
#include "ftlib/ops/gemm.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

Status avx2_matmul(const MatmulArgs& args) noexcept;
Status avx2_linear(const LinearArgs& args) noexcept;
Status avx2_linear_backward(const LinearBackwardArgs& args) noexcept;

Status avx512_matmul(const MatmulArgs& args) noexcept;
Status avx512_linear(const LinearArgs& args) noexcept;
Status avx512_linear_backward(const LinearBackwardArgs& args) noexcept;

/// Defined in the files that are compiled for their instruction set: code there may use nothing that other files share,
/// since the linker keeps one copy of an inline function for all CPUs.
bool avx512_fill_bf16(const detail::PanelJob& job) noexcept;
bool avx512_fill_f32(const detail::PanelJob& job) noexcept;
bool avx512_dot_bf16(const detail::DotJob& job) noexcept;
bool avx512_dot_f32(const detail::DotJob& job) noexcept;
void avx512_tile_bf16(const detail::TileJob& job) noexcept;
void avx512_tile_f32(const detail::TileJob& job) noexcept;
bool avx2_fill_bf16(const detail::PanelJob& job) noexcept;
bool avx2_fill_f32(const detail::PanelJob& job) noexcept;
void avx2_tile(const detail::TileJob& job) noexcept;

}  // namespace kernels
}  // namespace ftlib
