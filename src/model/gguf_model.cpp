// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>

#include "ftlib/io/gguf.h"
#include "model/containers.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

std::optional<WeightFormat> weight_format(GgmlType type) {
  switch (type) {
    case GgmlType::f32: return WeightFormat::f32;
    case GgmlType::f16: return WeightFormat::f16;
    case GgmlType::bf16: return WeightFormat::bf16;
    case GgmlType::q4_0: return WeightFormat::q4_0;
    case GgmlType::q4_1: return WeightFormat::q4_1;
    case GgmlType::q8_0: return WeightFormat::q8_0;
    case GgmlType::q4_k: return WeightFormat::q4_k;
    case GgmlType::q6_k: return WeightFormat::q6_k;
    default: return {};
  }
}

// Keys below "llama." that model_config_from_gguf reads, and those that change nothing here.
constexpr std::string_view kReadKeys[] = {
    "block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "attention.head_count",
    "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
    "rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor", "expert_count"};
constexpr std::string_view kHarmlessKeys[] = {"rope.scaling.original_context_length", "rope.scaling.finetuned",
                                              "tensor_data_layout"};

class GgufReader {
 public:
  explicit GgufReader(const GgufFile& file) : file_(file) {}

  const GgufValue* find(std::string_view key) const { return file_.find(concat("llama.", key)); }
  std::string what(std::string_view key) const { return file_.what(concat("llama.", key)); }
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) const {
    return file_.at(concat("llama.", key)).as_integer(what(key), low, high);
  }
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t absent) const {
    return find(key) ? integer(key, low, high) : absent;
  }
  double positive(std::string_view key, double absent) const {
    const GgufValue* value = find(key);
    const double number = value ? value->as_number(what(key)) : absent;
    FT_CHECK_FILE(std::isfinite(number) && number > 0, range, what(key), ": want a positive number, got ", number);
    return number;
  }
  void refuse_unknown() const {
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with("llama.")) continue;
      const std::string_view name = std::string_view(key).substr(6);
      FT_CHECK_FILE(std::ranges::count(kReadKeys, name) || std::ranges::count(kHarmlessKeys, name), unsupported,
                    file_.what(key), ": this key is not supported");
    }
  }

 private:
  const GgufFile& file_;
};

RopeScaling gguf_scaling(const GgufReader& reader) {
  RopeScaling scaling;
  const GgufValue* type = reader.find("rope.scaling.type");
  const std::string kind = type ? type->as_string(reader.what("rope.scaling.type")) : "none";
  FT_CHECK_FILE(kind == "none" || kind == "linear", unsupported, reader.what("rope.scaling.type"), ": \"", excerpt(kind),
                "\" is not supported (none, linear are)");
  const double factor = reader.positive("rope.scaling.factor", 1);
  if (kind == "linear" && factor != 1) scaling.type = RopeScaling::Type::linear, scaling.factor = factor;
  return scaling;
}

class GgufModel final : public ModelFiles {
 public:
  /// `digest` of the content; empty: the file's, when it is asked for.
  explicit GgufModel(InputFile file, std::string digest = {}) : file_(std::move(file)), digest_(std::move(digest)) {
    path_ = file_.path();
    config_ = model_config_from_gguf(file_);
    for (const GgufTensor& tensor : file_.tensors()) add(tensor);
    validate(config_, path_);
  }

  void read(const StoredTensor& tensor, void* out) const override {
    const GgufTensor& stored = *file_.find_tensor(gguf_name(tensor.name));
    const std::int64_t heads = rotary_heads(config_, tensor.name);
    if (heads == 0) return file_.read(stored, out);
    Buffer rows(stored.bytes);
    file_.read(stored, rows.data());
    const std::int64_t count = heads * config_.head_dim;
    rows_from_gguf_order(rows.data(), out, heads, config_.head_dim, stored.bytes / count);
  }

  std::string digest() const override { return digest_.empty() ? cached_file_digest(path_) : digest_; }

 private:
  void add(const GgufTensor& tensor) {
    if (tensor.name == "rope_freqs.weight") return add_rope_factors(tensor);
    StoredTensor stored;
    stored.name = huggingface_name(tensor.name);
    FT_CHECK_FILE(!stored.name.empty(), unsupported, path_, ": tensor ", excerpt(tensor.name),
                  " is not part of a llama model");
    const auto format = weight_format(tensor.type);
    FT_CHECK_FILE(format.has_value(), unsupported, path_, ": tensor ", tensor.name, " is ",
                  ggml_type_info(tensor.type).name, ", which is not supported; see ftlib info --supported");
    FT_CHECK_FILE(tensor.shape.size() <= 2, shape, path_, ": tensor ", tensor.name, " has ", tensor.shape.size(), " axes");
    stored.format = *format;
    stored.rank = static_cast<int>(tensor.shape.size());
    stored.shape[0] = stored.rank == 2 ? tensor.shape[0] : 1;
    stored.shape[1] = tensor.shape.back();
    stored.bytes = tensor.bytes;
    stored.block_size = weight_format_info(stored.format).block_size;
    tensors_.push_back(std::move(stored));
    if (tensor.name == "output.weight") config_.tie_word_embeddings = false;
    if (tensor.name == "blk.0.attn_q.bias") config_.attention_bias = true;
    if (tensor.name == "blk.0.ffn_up.bias") config_.mlp_bias = true;
  }

  void add_rope_factors(const GgufTensor& tensor) {
    FT_CHECK_FILE(tensor.type == GgmlType::f32 && tensor.numel() == config_.head_dim / 2, mismatch, path_,
                  ": rope_freqs.weight is ", describe(tensor), ", want f32 [", config_.head_dim / 2, "]");
    config_.rope_scaling.type = RopeScaling::Type::factors;
    config_.rope_scaling.factors.resize(static_cast<std::size_t>(config_.head_dim / 2));
    file_.read(tensor, config_.rope_scaling.factors.data());
    for (const float factor : config_.rope_scaling.factors)
      FT_CHECK_FILE(std::isfinite(factor) && factor > 0, range, path_, ": rope_freqs.weight holds ", factor);
  }

  GgufFile file_;
  std::string digest_;
};

}  // namespace

ModelConfig model_config_from_gguf(const GgufFile& file) {
  const std::string& architecture = file.at("general.architecture").as_string(file.what("general.architecture"));
  FT_CHECK_FILE(architecture == "llama", unsupported, file.path(), ": general.architecture \"", excerpt(architecture),
                "\" is not supported (llama is); see ftlib info --supported");
  const GgufReader reader(file);
  reader.refuse_unknown();
  FT_CHECK_FILE(reader.integer("expert_count", 0, 1 << 20, 0) == 0, unsupported, file.path(),
                ": mixtures of experts are not supported");
  constexpr std::int64_t kLargest = std::int64_t{1} << 31;
  ModelConfig config;
  config.num_hidden_layers = reader.integer("block_count", 1, 4096);
  config.hidden_size = reader.integer("embedding_length", 1, kLargest);
  config.intermediate_size = reader.integer("feed_forward_length", 1, kLargest);
  config.num_attention_heads = reader.integer("attention.head_count", 1, 65536);
  config.num_key_value_heads = reader.integer("attention.head_count_kv", 1, 65536, config.num_attention_heads);
  config.max_position_embeddings = reader.integer("context_length", 1, std::int64_t{1} << 40);
  const std::int64_t by_division = config.hidden_size / config.num_attention_heads;
  config.head_dim = reader.integer("attention.key_length", 1, 65536, by_division);
  FT_CHECK_FILE(reader.find("attention.key_length") || config.hidden_size % config.num_attention_heads == 0, range,
                file.path(), ": embedding_length ", config.hidden_size, " is not a multiple of ",
                config.num_attention_heads, " heads");
  FT_CHECK_FILE(reader.integer("attention.value_length", 1, 65536, config.head_dim) == config.head_dim &&
                    reader.integer("rope.dimension_count", 1, 65536, config.head_dim) == config.head_dim,
                unsupported, file.path(), ": key, value and rotary lengths that differ are not supported");
  config.rms_norm_eps = reader.positive("attention.layer_norm_rms_epsilon", 1e-5);
  config.rope_theta = reader.positive("rope.freq_base", 10000);
  config.rope_scaling = gguf_scaling(reader);
  config.tie_word_embeddings = true;  // until output.weight is seen
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");  // absent in adapters
  const std::int64_t rows = embedding && embedding->shape.size() == 2 ? embedding->shape[0] : 0;
  config.vocab_size = reader.integer("vocab_size", 1, kLargest, rows);
  FT_CHECK_FILE(config.vocab_size > 0 && (rows == 0 || rows == config.vocab_size), mismatch, file.path(),
                ": llama.vocab_size is ", config.vocab_size, ", token_embd.weight has ", rows, " rows");
  validate(config, file.path());
  return config;
}

std::unique_ptr<ModelFiles> open_gguf_model(const std::string& path) {
  return std::make_unique<GgufModel>(InputFile(path));
}

std::unique_ptr<ModelFiles> open_gguf_model(InputFile file, std::string digest) {
  return std::make_unique<GgufModel>(std::move(file), std::move(digest));
}

}  // namespace ftlib
