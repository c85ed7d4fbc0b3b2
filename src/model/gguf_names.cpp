// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "model/containers.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

using Names = std::pair<std::string_view, std::string_view>;  // GGUF, Hugging Face
constexpr Names kTopNames[] = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr Names kLayerNames[] = {{"attn_norm", "input_layernorm"},   {"attn_q", "self_attn.q_proj"},
                                 {"attn_k", "self_attn.k_proj"},     {"attn_v", "self_attn.v_proj"},
                                 {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
                                 {"ffn_gate", "mlp.gate_proj"},      {"ffn_up", "mlp.up_proj"},
                                 {"ffn_down", "mlp.down_proj"}};
constexpr std::string_view kGgufLayer = "blk.", kHuggingFaceLayer = "model.layers.";

struct Parts {
  std::string_view layer;   // digits, or empty
  std::string_view module;
  std::string_view suffix;  // "weight" or "bias"
};

bool all_digits(std::string_view text) {
  return !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == text.npos;
}

Parts split(std::string_view name, std::string_view layer_prefix) {
  Parts parts;
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos) return parts;
  parts.suffix = name.substr(dot + 1);
  parts.module = name.substr(0, dot);
  if (!parts.module.starts_with(layer_prefix)) return parts;
  const std::string_view rest = parts.module.substr(layer_prefix.size());
  const std::size_t end = rest.find('.');
  if (end == rest.npos || !all_digits(rest.substr(0, end))) return {};
  parts.layer = rest.substr(0, end), parts.module = rest.substr(end + 1);
  return parts;
}

void move_rows(const void* from, void* to, std::int64_t heads, std::int64_t head_dim, std::int64_t row_bytes,
               bool to_gguf) {
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t half = 0; half < 2; ++half)
      for (std::int64_t i = 0; i < head_dim / 2; ++i) {
        const std::int64_t split_row = head * head_dim + half * (head_dim / 2) + i;
        const std::int64_t pair_row = head * head_dim + 2 * i + half;
        const std::int64_t source = to_gguf ? split_row : pair_row, target = to_gguf ? pair_row : split_row;
        std::memcpy(static_cast<char*>(to) + target * row_bytes, static_cast<const char*>(from) + source * row_bytes,
                    static_cast<std::size_t>(row_bytes));
      }
}

}  // namespace

std::string huggingface_name(std::string_view name) {
  const Parts parts = split(name, kGgufLayer);
  if (parts.suffix != "weight" && parts.suffix != "bias") return {};
  for (const auto& [gguf, hf] : parts.layer.empty() ? std::span<const Names>(kTopNames) : std::span<const Names>(kLayerNames))
    if (parts.module == gguf)
      return parts.layer.empty() ? concat(hf, ".", parts.suffix)
                                 : concat(kHuggingFaceLayer, parts.layer, ".", hf, ".", parts.suffix);
  return {};
}

std::string gguf_name(std::string_view name) {
  const Parts parts = split(name, kHuggingFaceLayer);
  if (parts.suffix != "weight" && parts.suffix != "bias") return {};
  for (const auto& [gguf, hf] : parts.layer.empty() ? std::span<const Names>(kTopNames) : std::span<const Names>(kLayerNames))
    if (parts.module == hf)
      return parts.layer.empty() ? concat(gguf, ".", parts.suffix)
                                 : concat(kGgufLayer, parts.layer, ".", gguf, ".", parts.suffix);
  return {};
}

std::int64_t rotary_heads(const ModelConfig& model, std::string_view name) {
  if (name.find(linear_path(LinearKind::q_proj)) != name.npos) return model.num_attention_heads;
  return name.find(linear_path(LinearKind::k_proj)) != name.npos ? model.num_key_value_heads : 0;
}

void rows_from_gguf_order(const void* from, void* to, std::int64_t heads, std::int64_t head_dim,
                          std::int64_t row_bytes) {
  move_rows(from, to, heads, head_dim, row_bytes, false);
}

void rows_to_gguf_order(const void* from, void* to, std::int64_t heads, std::int64_t head_dim, std::int64_t row_bytes) {
  move_rows(from, to, heads, head_dim, row_bytes, true);
}

}  // namespace ftlib
