// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/weights.h"

#include <algorithm>
#include <iterator>

#include "model/base_weight.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// Loads the tensors of one model, in the order of the computation, into buffers that the weights own.
class Loading {
 public:
  Loading(const ModelFiles& files, const BaseFormat& base) : files_(files), base_(base) {}

  ModelWeights run() {
    const ModelConfig& c = files_.config();
    out_.embedding = matrix("model.embed_tokens.weight", c.vocab_size, c.hidden_size, {});
    out_.layers.resize(static_cast<std::size_t>(c.num_hidden_layers));
    for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) load_layer(layer);
    out_.norm = vector("model.norm.weight", c.hidden_size);
    out_.head = c.tie_word_embeddings ? out_.embedding : matrix("lm_head.weight", c.vocab_size, c.hidden_size, {});
    check_all_used();
    for (const Buffer& buffer : out_.memory) out_.bytes += buffer.bytes();
    return std::move(out_);
  }

 private:
  void load_layer(std::int64_t layer) {
    const ModelConfig& c = files_.config();
    LayerWeights& weights = out_.layers[static_cast<std::size_t>(layer)];
    const std::string prefix = concat("model.layers.", layer, ".");
    weights.input_norm = vector(prefix + "input_layernorm.weight", c.hidden_size);
    weights.post_attention_norm = vector(prefix + "post_attention_layernorm.weight", c.hidden_size);
    for (int i = 0; i < kLinearKinds; ++i) {
      const auto kind = static_cast<LinearKind>(i);
      const LinearShape shape = linear_shape(c, kind);
      const std::string name = linear_name(layer, kind);
      weights.linear[static_cast<std::size_t>(i)] = matrix(name + ".weight", shape.out, shape.in, base_);
      const bool biased = kind <= LinearKind::o_proj ? c.attention_bias : c.mlp_bias;
      const bool stored = files_.find(name + ".bias") != nullptr;
      if (biased && (stored || kind != LinearKind::o_proj))  // GGUF keeps no bias of o where it is zero
        weights.bias[static_cast<std::size_t>(i)] = vector(name + ".bias", shape.out);
    }
  }

  const StoredTensor& take(const std::string& name, std::int64_t out, std::int64_t in) {
    const StoredTensor* tensor = files_.find(name);
    FT_CHECK_FILE(tensor != nullptr, mismatch, files_.path(), ": tensor ", name, " is missing");
    FT_CHECK_FILE(tensor->shape[0] == out && tensor->shape[1] == in, mismatch, files_.path(), ": tensor ", name, " is [",
                  tensor->shape[0], ", ", tensor->shape[1], "], the configuration wants [", out, ", ", in, "]");
    used_.push_back(tensor);
    return *tensor;
  }

  const float* vector(const std::string& name, std::int64_t n) {
    return static_cast<const float*>(keep(take(name, 1, n), {BaseFormat::Kind::f32, 64, false}).data);
  }

  WeightView matrix(const std::string& name, std::int64_t out, std::int64_t in, const BaseFormat& base) {
    return keep(take(name, out, in), base);
  }

  WeightView keep(const StoredTensor& tensor, const BaseFormat& base) {
    BaseWeight weight = read_base_weight(files_, tensor, base);
    std::ranges::move(weight.memory, std::back_inserter(out_.memory));
    return weight.view;
  }

  void check_all_used() const {
    for (const StoredTensor& tensor : files_.tensors())
      FT_CHECK_FILE(std::ranges::count(used_, &tensor) || tensor.name == "lm_head.weight", mismatch, files_.path(),
                    ": tensor ", excerpt(tensor.name), " has no place in a model of ",
                    files_.config().num_hidden_layers, " layers");
  }

  const ModelFiles& files_;
  const BaseFormat& base_;
  ModelWeights out_;
  std::vector<const StoredTensor*> used_;
};

}  // namespace

ModelWeights load_weights(const ModelFiles& files, const BaseFormat& base) {
  check_base_format(base);
  return Loading(files, base).run();
}

}  // namespace ftlib
