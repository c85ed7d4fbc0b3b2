// SPDX-License-Identifier: Apache-2.0
// attention of the backends that only the compiled library has, as their tables name them.
#pragma once
#include "ftlib/ops/attention.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

Status avx2_attention(const AttentionArgs& args) noexcept;
Status avx2_attention_backward(const AttentionBackwardArgs& args) noexcept;

Status avx512_attention(const AttentionArgs& args) noexcept;
Status avx512_attention_backward(const AttentionBackwardArgs& args) noexcept;

}  // namespace kernels
}  // namespace ftlib
