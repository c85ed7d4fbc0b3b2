// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/kernels/convert.h"
#include "ftlib/ops/kernels/cross_entropy.h"
#include "ftlib/ops/kernels/dropout.h"
#include "ftlib/ops/kernels/embedding.h"
#include "ftlib/ops/kernels/rms_norm.h"
#include "ftlib/ops/kernels/rope.h"
#include "ftlib/ops/kernels/swiglu.h"
#include "kernels/attention_kernels.h"
#include "kernels/avx512_vector.h"
#include "kernels/backends.h"
#include "kernels/gemm_kernels.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {
namespace {

using V = Avx512Vector;

constexpr KernelTable kTable{
    .name = "avx512bf16",
    .available = cpu_has_avx512bf16,
    .matmul = avx512_matmul,
    .linear = avx512_linear,
    .linear_backward = avx512_linear_backward,
    .attention = avx512_attention,
    .attention_backward = avx512_attention_backward,
    .rms_norm = rms_norm<V>,
    .rms_norm_backward = rms_norm_backward<V>,
    .rope = rope<V>,
    .swiglu = swiglu<V>,
    .swiglu_backward = swiglu_backward<V>,
    .embedding = embedding<V>,
    .cross_entropy = cross_entropy<V>,
    .dropout = dropout<V>,
    .convert = convert<V>,
    .nf4_quantize = avx512_nf4_quantize,
    .nf4_dequantize = avx512_nf4_dequantize,
};

}  // namespace

const KernelTable& avx512bf16_backend() noexcept { return kTable; }

}  // namespace kernels
}  // namespace ftlib
