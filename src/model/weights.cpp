// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/weights.h"

#include <algorithm>
#include <iterator>

#include "model/base_weight.h"
#include "model/containers.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// Loads the tensors of one model, in the order of the computation, into buffers that the weights own.
class Loading {
 public:
  Loading(const ModelFiles& files, const BaseFormat& base) : files_(files), base_(base) {}

  ModelWeights run() {
    const ModelConfig& c = files_.config();
    out_.embedding = matrix("model.embed_tokens.weight", {});
    out_.layers.resize(static_cast<std::size_t>(c.num_hidden_layers));
    for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) load_layer(layer);
    out_.norm = vector("model.norm.weight");
    out_.head = c.tie_word_embeddings ? out_.embedding : matrix("lm_head.weight", {});
    for (const Buffer& buffer : out_.memory) out_.bytes += buffer.bytes();
    return std::move(out_);
  }

 private:
  void load_layer(std::int64_t layer) {
    LayerWeights& weights = out_.layers[static_cast<std::size_t>(layer)];
    const std::string prefix = concat("model.layers.", layer, ".");
    weights.input_norm = vector(prefix + "input_layernorm.weight");
    weights.post_attention_norm = vector(prefix + "post_attention_layernorm.weight");
    for (int i = 0; i < kLinearKinds; ++i) {
      const auto kind = static_cast<LinearKind>(i);
      const std::string name = linear_name(layer, kind);
      weights.linear[static_cast<std::size_t>(i)] = matrix(name + ".weight", base_);
      if (has_bias(files_, layer, kind)) weights.bias[static_cast<std::size_t>(i)] = vector(name + ".bias");
    }
  }

  const float* vector(const std::string& name) {
    return static_cast<const float*>(matrix(name, {BaseFormat::Kind::f32, 64, false}).data);
  }

  WeightView matrix(const std::string& name, const BaseFormat& base) {
    BaseWeight weight = read_base_weight(files_, *files_.find(name), base);  // there since ModelFiles::open()
    std::ranges::move(weight.memory, std::back_inserter(out_.memory));
    return weight.view;
  }

  const ModelFiles& files_;
  const BaseFormat& base_;
  ModelWeights out_;
};

}  // namespace

ModelWeights load_weights(const ModelFiles& files, const BaseFormat& base) {
  check_base_format(base);
  return Loading(files, base).run();
}

}  // namespace ftlib::inline FTLIB_ABI
