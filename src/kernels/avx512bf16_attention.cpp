// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/kernels/attention_backward.h"
#include "kernels/attention_kernels.h"
#include "kernels/avx512_vector.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

Status avx512_attention(const AttentionArgs& args) noexcept {
  if (args.q.dtype == DType::bf16) return attention_with<Bf16Tile, bf16>(args);
  return attention_with<F32Tile<Avx512Vector>, float>(args);
}

Status avx512_attention_backward(const AttentionBackwardArgs& args) noexcept {
  if (args.q.dtype == DType::bf16) return attention_backward_with<Bf16Tile, bf16>(args);
  return attention_backward_with<F32Tile<Avx512Vector>, float>(args);
}

}  // namespace kernels
}  // namespace ftlib
