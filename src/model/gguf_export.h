// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "ftlib/io/gguf.h"
#include "ftlib/model/config.h"

namespace ftlib::inline FTLIB_ABI {

/// The `llama.*` fields that model_config_from_gguf() reads. Llama 3's rope scaling has none: it is a tensor.
std::vector<GgufField> gguf_model_fields(const ModelConfig& model);

/// rope_freqs.weight [E/2], the divisors of the rotary frequencies; empty where the model needs none.
std::vector<float> gguf_rope_factors(const ModelConfig& model);

}  // namespace ftlib
