// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/kernels/attention_backward.h"
#include "kernels/attention_kernels.h"
#include "kernels/avx2_vector.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

Status avx2_attention(const AttentionArgs& args) noexcept { return attention<Avx2Vector>(args); }
Status avx2_attention_backward(const AttentionBackwardArgs& args) noexcept { return attention_backward<Avx2Vector>(args); }

}  // namespace kernels
}  // namespace ftlib
