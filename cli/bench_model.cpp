// SPDX-License-Identifier: Apache-2.0
#include "bench_model.h"

#include <algorithm>
#include <cmath>

#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"

namespace ftlib::cli {
namespace {

struct Shape {
  const char* name;
  std::int64_t vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, head_dim, positions;
  bool tied;
};
constexpr Shape kShapes[] = {
    {"smollm2-135m", 49152, 576, 1536, 30, 9, 3, 64, 8192, true},
    {"llama-3.2-1b", 128256, 2048, 8192, 16, 32, 8, 64, 8192, true},
    {"llama-2-7b", 32000, 4096, 11008, 32, 32, 32, 128, 4096, false},
};

ModelConfig config_of(const Shape& shape) {
  ModelConfig c;
  c.vocab_size = shape.vocab_size, c.hidden_size = shape.hidden_size, c.intermediate_size = shape.intermediate_size;
  c.num_hidden_layers = shape.layers, c.num_attention_heads = shape.heads, c.num_key_value_heads = shape.kv_heads;
  c.head_dim = shape.head_dim, c.max_position_embeddings = shape.positions, c.tie_word_embeddings = shape.tied;
  return c;
}

class RandomModel : public ModelFiles {
 public:
  explicit RandomModel(const Shape& shape) {
    path_ = shape.name;
    config_ = config_of(shape);
    add("model.embed_tokens.weight", config_.vocab_size, config_.hidden_size);
    for (std::int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
      const std::string prefix = concat("model.layers.", layer, ".");
      add_norm(prefix + "input_layernorm.weight");
      add_norm(prefix + "post_attention_layernorm.weight");
      for (int kind = 0; kind < kLinearKinds; ++kind) {
        const LinearShape linear = linear_shape(config_, static_cast<LinearKind>(kind));
        add(linear_name(layer, static_cast<LinearKind>(kind)) + ".weight", linear.out, linear.in);
      }
    }
    add_norm("model.norm.weight");
    if (!config_.tie_word_embeddings) add("lm_head.weight", config_.vocab_size, config_.hidden_size);
  }

  void read(const StoredTensor& tensor, void* out) const override {
    auto* values = static_cast<bf16*>(out);
    const std::int64_t n = tensor.bytes / 2;
    if (tensor.rank == 1) return void(std::fill(values, values + n, to_bf16(1)));
    const float width = std::sqrt(12.0f / static_cast<float>(tensor.shape[1]));
    const std::uint64_t first = std::hash<std::string>()(tensor.name);
    parallel_ranges(n, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto bits = static_cast<float>(mix(first + static_cast<std::uint64_t>(i)) >> 40);
        values[i] = to_bf16((bits * 0x1p-24f - 0.5f) * width);
      }
    });
  }
  std::string digest() const override { return {}; }

 private:
  /// splitmix64's finaliser (Steele et al., 2014).
  static std::uint64_t mix(std::uint64_t x) noexcept {
    x *= 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    return x ^ (x >> 31);
  }
  void add(const std::string& name, std::int64_t out, std::int64_t in) {
    tensors_.push_back({name, WeightFormat::bf16, {out, in}, 2, out * in * 2});
  }
  void add_norm(const std::string& name) {
    tensors_.push_back({name, WeightFormat::bf16, {1, config_.hidden_size}, 1, config_.hidden_size * 2});
  }
};

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

std::unique_ptr<ModelFiles> random_model(const std::string& shape, std::int64_t most_layers) {
  const auto* found = std::ranges::find(kShapes, shape, &Shape::name);
  FT_CHECK(found != std::end(kShapes), invalid_argument, "[bench] no shape ", shape);
  Shape cut = *found;
  cut.layers = std::min(cut.layers, most_layers);
  return std::make_unique<RandomModel>(cut);
}

}  // namespace ftlib::cli
