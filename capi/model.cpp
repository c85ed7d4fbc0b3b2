// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/gguf.h"
#include "objects.h"

namespace ftlib::capi {
namespace {

ft_model_options model_defaults() {
  ft_model_options o{};
  o.base = FT_BASE_NATIVE, o.compute = FT_COMPUTE_AUTO, o.block_size = 64;
  return o;
}

BaseFormat base_format(const ft_model_options& o) {
  switch (choice(o.base, FT_BASE_NF4, "base")) {
    case FT_BASE_F32: return {BaseFormat::Kind::f32};
    case FT_BASE_BF16: return {BaseFormat::Kind::bf16};
    case FT_BASE_NF4: return {BaseFormat::Kind::nf4, o.block_size, flag(o.double_quant, "double_quant")};
    default: return {};
  }
}

std::optional<DType> compute_dtype(const ft_model_options& o) {
  switch (choice(o.compute, FT_COMPUTE_BF16, "compute")) {
    case FT_COMPUTE_F32: return DType::f32;
    case FT_COMPUTE_BF16: return DType::bf16;
    default: return {};
  }
}

ft_base_format base_of(const BaseFormat& base) {
  switch (base.kind) {
    case BaseFormat::Kind::f32: return FT_BASE_F32;
    case BaseFormat::Kind::bf16: return FT_BASE_BF16;
    case BaseFormat::Kind::nf4: return FT_BASE_NF4;
    case BaseFormat::Kind::native: break;
  }
  return FT_BASE_NATIVE;
}

void load(Model& model, const ModelFiles& files, Tokenizer tokenizer, const ft_model_options& o) {
  model.name = files.path();
  const ft_tokenizer_options text{sizeof(ft_tokenizer_options), 0, o.chat_template, o.date};
  model.text = std::make_shared<Text>(std::move(tokenizer), text);
  check_tokenizer(files, model.text->tokenizer);
  model.weights = CausalLM::load(files, base_format(o), compute_dtype(o));
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_model_options_init(ft_model_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, model_defaults()); });
}

ft_status ft_model_open(const char* path, const ft_model_options* options, ft_model** out) {
  return create(out, [&] {
    check_process();
    const auto o = read_options(options, model_defaults());
    auto model = std::make_shared<Model>();
    model->files = ModelFiles::open(need(path, "path"));
    load(*model, *model->files, Tokenizer::load(path), o);
    return model;
  });
}

ft_status ft_model_open_memory(const void* data, size_t data_bytes, const ft_model_options* options, ft_model** out) {
  return create(out, [&] {
    check_process();
    const auto o = read_options(options, model_defaults());
    const auto bytes = array(static_cast<const std::byte*>(data), data_bytes, "data");
    const auto files = ModelFiles::open_memory(bytes);
    auto model = std::make_shared<Model>(files->digest());
    load(*model, *files, Tokenizer::from_gguf(GgufFile(InputFile(files->path(), bytes))), o);
    return model;
  });
}

ft_status ft_model_free(ft_model* model) { return destroy(model); }

ft_status ft_model_get_info(const ft_model* model, ft_model_info* info) {
  return guard([&] {
    const auto m = get(model);
    const ModelConfig& c = m->weights.config();
    ft_model_info value{};
    value.compute = m->weights.compute() == DType::bf16 ? FT_COMPUTE_BF16 : FT_COMPUTE_F32;
    value.base = base_of(m->weights.base());
    value.tie_word_embeddings = c.tie_word_embeddings;
    value.model_type = c.model_type.c_str();
    value.digest = m->digest().c_str();
    value.vocab_size = c.vocab_size, value.hidden_size = c.hidden_size;
    value.intermediate_size = c.intermediate_size, value.num_hidden_layers = c.num_hidden_layers;
    value.num_attention_heads = c.num_attention_heads, value.num_key_value_heads = c.num_key_value_heads;
    value.head_dim = c.head_dim, value.max_position_embeddings = c.max_position_embeddings;
    value.weight_bytes = m->weights.weights().bytes;
    fill_struct(info, value, "info");
  });
}

ft_status ft_model_tokenizer(const ft_model* model, ft_tokenizer** out) {
  return create(out, [&] { return get(model)->text; });
}
