// SPDX-License-Identifier: Apache-2.0
// From a trained model to bitsandbytes' NF4, on disk. One tensor is in memory at a time, whatever the model's size.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

struct Nf4Options {
  std::int32_t block_size = 64;  ///< 32, 64, ..., 4096
  bool double_quant = false;
};

/// Told before each tensor is read; bytes are those of the tensors as read, each counted once a pass.
struct QuantizeProgress {
  std::string_view tensor;
  std::int64_t done_bytes, total_bytes;
};
using QuantizeProgressFunction = std::function<void(const QuantizeProgress&)>;

struct QuantizeReport {
  std::int64_t quantized = 0, copied = 0;  ///< tensors
  std::int64_t bytes = 0;                  ///< of tensor data written
};

/// Whether a tensor of this name becomes NF4: a module's ".weight", the module not being an embedding or the head,
/// which is decided by its own name: embed_tokens, embed_positions, wte, wpe, tok_embeddings, token_embd,
/// word_embeddings, position_embeddings, token_type_embeddings, shared, embed_in, embed_out, lm_head, output, score.
bool is_nf4_candidate(std::string_view tensor_name) noexcept;

/// Every candidate of two axes in F32, BF16 or F16 becomes NF4, every other tensor is copied as it is, and so is
/// `__metadata__`. `out` appears whole or not at all; it may be `in`.
/// Throws Error{invalid_argument} for a block size that does not exist, Error{unsupported} where `in` is 4-bit already,
/// Error{non_finite} naming tensor and element, and as SafetensorsFile and write_safetensors do.
QuantizeReport quantize_file(const std::string& in, const std::string& out, const Nf4Options& options,
                             const QuantizeProgressFunction& progress = {});

/// MODEL (a .gguf file or a Hugging Face folder) as a folder that transformers loads: model.safetensors,
/// config.json with `quantization_config`, and the tokenizer's files. Linears become NF4; embeddings, head and norms
/// keep their values: those of a folder are copied as they are, those of a GGUF become F32 unless they are F16 or BF16
/// already. Of a GGUF, names, the order of q and k rows and the tokenizer become Hugging Face's. The config is written
/// last, so an interrupted folder is no model. `out` may exist, and its files are replaced; it must not be MODEL, nor
/// hold shards of another. Throws as quantize_file and ModelFiles::open do, and Error{invalid_argument} for such an
/// `out`.
QuantizeReport quantize_model(const std::string& model, const std::string& out, const Nf4Options& options,
                              const QuantizeProgressFunction& progress = {});

}  // namespace ftlib::inline FTLIB_ABI
