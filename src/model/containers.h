// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/io/file.h"
#include "ftlib/model/weights.h"

namespace ftlib::inline FTLIB_ABI {

std::unique_ptr<ModelFiles> open_gguf_model(const std::string& path);
std::unique_ptr<ModelFiles> open_gguf_model(InputFile file, std::string digest);
std::unique_ptr<ModelFiles> open_huggingface_model(const std::string& path);

/// Whether a linear of these files has a bias.
bool has_bias(const ModelFiles& files, std::int64_t layer, LinearKind kind);

/// SHA-256 of a file, remembered for this process by (device, inode, size, time of change).
std::string cached_file_digest(const std::string& path);

/// Moves rows of a q or k projection between GGUF's order (pairs interleaved) and Hugging Face's (halves split).
/// `row_bytes` of each of the out = heads * head_dim rows.
void rows_from_gguf_order(const void* from, void* to, std::int64_t heads, std::int64_t head_dim, std::int64_t row_bytes);
void rows_to_gguf_order(const void* from, void* to, std::int64_t heads, std::int64_t head_dim, std::int64_t row_bytes);

/// Heads of a tensor or module, by its Hugging Face name, whose rows GGUF interleaves: those of q and k; else 0.
std::int64_t rotary_heads(const ModelConfig& model, std::string_view name);

/// "blk.3.attn_q.weight" <-> "model.layers.3.self_attn.q_proj.weight"; empty where there is no counterpart.
std::string huggingface_name(std::string_view gguf_name);
std::string gguf_name(std::string_view huggingface_name);

}  // namespace ftlib
