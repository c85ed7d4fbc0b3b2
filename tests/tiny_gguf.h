// SPDX-License-Identifier: Apache-2.0
// The tiny model of tests/golden as a GGUF file with a vocabulary and a chat template: small enough to be tuned a thousand
// times.
#pragma once
#include <cstring>
#include <string>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/io/gguf.h"
#include "ftlib/model/weights.h"
#include "model/containers.h"

/// What a conversation looks like to it; its vocabulary has no line feed.
inline constexpr const char* kTinyTemplate =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + ' ' + m.content + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant ' }}{% endif %}";

/// Letters and a few merges over them, control tokens last: a vocabulary of the tiny model's 97 rows.
inline std::vector<ftlib::GgufField> tokenizer_fields(const std::string& pre, bool adds_bos,
                                                      const char* chat_template) {
  using namespace ftlib;
  std::vector<std::string> tokens, merges{"a b", "ab c", "\u0120 t"};
  for (char letter = '!'; letter <= '~' && tokens.size() < 90; ++letter) tokens.emplace_back(1, letter);
  for (const char* more : {"\u0120", "ab", "abc", "\u0120t", "<s>", "<|im_start|>", "<|im_end|>"})
    tokens.emplace_back(more);
  std::vector<std::int32_t> types(tokens.size(), 1);
  for (std::size_t i = 94; i < 97; ++i) types[i] = 3;
  return {{"tokenizer.ggml.model", GgufValue::string("gpt2")},
          {"tokenizer.ggml.pre", GgufValue::string(pre)},
          {"tokenizer.ggml.tokens", GgufValue::array(GgufArray::strings(tokens))},
          {"tokenizer.ggml.token_type", GgufValue::array(GgufArray::i32(types))},
          {"tokenizer.ggml.merges", GgufValue::array(GgufArray::strings(merges))},
          {"tokenizer.ggml.bos_token_id", GgufValue::u32(94)},
          {"tokenizer.ggml.eos_token_id", GgufValue::u32(96)},
          {"tokenizer.ggml.add_bos_token", GgufValue::boolean(adds_bos)},
          {"tokenizer.chat_template", GgufValue::string(chat_template)}};
}

inline std::vector<ftlib::GgufField> model_fields(const ftlib::ModelConfig& c) {
  using namespace ftlib;
  const auto u32 = [](std::int64_t value) { return GgufValue::u32(static_cast<std::uint32_t>(value)); };
  return {{"general.architecture", GgufValue::string("llama")},
          {"llama.block_count", u32(c.num_hidden_layers)},
          {"llama.context_length", u32(c.max_position_embeddings)},
          {"llama.embedding_length", u32(c.hidden_size)},
          {"llama.feed_forward_length", u32(c.intermediate_size)},
          {"llama.attention.head_count", u32(c.num_attention_heads)},
          {"llama.attention.head_count_kv", u32(c.num_key_value_heads)},
          {"llama.attention.layer_norm_rms_epsilon", GgufValue::f32(static_cast<float>(c.rms_norm_eps))},
          {"llama.rope.freq_base", GgufValue::f32(static_cast<float>(c.rope_theta))}};
}

/// The tiny model as llama.cpp's converter would store it: q8_0 where a row has whole blocks, f32 elsewhere.
inline void write_tiny_gguf(const std::string& path, const std::string& pre = "gpt-2", bool adds_bos = false,
                            const char* chat_template = kTinyTemplate) {
  using namespace ftlib;
  const auto files = ModelFiles::open(FTLIB_TESTS_DIR "/golden/tiny_llama/plain");
  const ModelConfig& c = files->config();
  std::vector<GgufField> fields = model_fields(c);
  for (GgufField& field : tokenizer_fields(pre, adds_bos, chat_template)) fields.push_back(std::move(field));
  std::vector<GgufSource> sources;
  for (const StoredTensor& tensor : files->tensors()) {
    const bool blocks = tensor.rank == 2 && tensor.shape[1] % 32 == 0;
    const std::int64_t rows = tensor.shape[0], columns = tensor.shape[1], n = rows * columns;
    GgufSource source{gguf_name(tensor.name), blocks ? GgmlType::q8_0 : GgmlType::f32, {}, nullptr, {}};
    if (tensor.rank == 2) source.shape.push_back(rows);
    source.shape.push_back(columns);
    const std::int64_t heads = tensor.name.find("q_proj") != std::string::npos   ? c.num_attention_heads
                               : tensor.name.find("k_proj") != std::string::npos ? c.num_key_value_heads
                                                                                 : 0;
    source.fill = [&files, &tensor, blocks, heads, n, rows, head_dim = c.head_dim](void* out) {
      Buffer values(tensor.bytes), permuted(tensor.bytes);
      files->read(tensor, values.data());
      if (heads > 0) rows_to_gguf_order(values.data(), permuted.data(), heads, head_dim, tensor.bytes / rows);
      const float* from = heads > 0 ? permuted.as<float>() : values.as<float>();
      if (blocks)
        weight_format_info(WeightFormat::q8_0).encode(from, n, out);
      else
        std::memcpy(out, from, static_cast<std::size_t>(n) * 4);
    };
    sources.push_back(std::move(source));
  }
  write_gguf(path, fields, sources);
}
