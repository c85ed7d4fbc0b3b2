// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/weights.h"

#include <algorithm>
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kRowsAtOnce = 64;

std::int64_t aligned(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }
std::int64_t blocks(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

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

  std::byte* own(std::int64_t bytes) { return out_.memory.emplace_back(aligned(bytes)).data(); }

  /// The stored form, completed for nf4.
  WeightView stored_view(const StoredTensor& tensor, Buffer& data, Buffer& statistics) {
    WeightView view;
    view.format = tensor.format, view.block_size = tensor.block_size;
    view.shape[0] = tensor.shape[0], view.shape[1] = tensor.shape[1];
    data = Buffer(aligned(tensor.bytes));
    files_.read(tensor, data.data());
    view.data = data.data();
    if (tensor.format == WeightFormat::nf4) files_.read_nf4_statistics(tensor, view, statistics);
    return view;
  }

  const float* vector(const std::string& name, std::int64_t n) {
    Buffer data, statistics;
    const WeightView view = stored_view(take(name, 1, n), data, statistics);
    auto* values = reinterpret_cast<float*>(own(n * 4));
    weight_format_info(view.format).decode(view, 0, n, values);
    return values;
  }

  WeightView matrix(const std::string& name, std::int64_t out, std::int64_t in, const BaseFormat& base) {
    const StoredTensor& tensor = take(name, out, in);
    Buffer data, statistics;
    WeightView view = stored_view(tensor, data, statistics);
    switch (base.kind) {
      case BaseFormat::Kind::native: break;
      case BaseFormat::Kind::f32: return to_dense(view, DType::f32);
      case BaseFormat::Kind::bf16: return to_dense(view, DType::bf16);
      case BaseFormat::Kind::nf4: return to_nf4(view, base, name);
    }
    out_.memory.push_back(std::move(data));
    if (statistics.bytes() > 0) out_.memory.push_back(std::move(statistics));
    return view;
  }

  template <class Store>
  static void decode_all(const WeightView& view, Store&& store) {
    parallel_ranges(view.out(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> rows(static_cast<std::size_t>((end - begin) * view.in()));
      decode_rows(view, begin, end - begin, rows.data());
      store(begin * view.in(), rows);
    });
  }

  WeightView to_dense(const WeightView& view, DType dtype) {
    std::byte* memory = own(view.numel() * dtype_bytes(dtype));
    decode_all(view, [&](std::int64_t first, const std::vector<float>& values) {
      for (std::size_t i = 0; i < values.size(); ++i)
        if (dtype == DType::f32) reinterpret_cast<float*>(memory)[static_cast<std::size_t>(first) + i] = values[i];
        else reinterpret_cast<bf16*>(memory)[static_cast<std::size_t>(first) + i] = to_bf16(values[i]);
    });
    return dense_weight(memory, view.out(), view.in(), dtype);
  }

  WeightView to_nf4(const WeightView& view, const BaseFormat& base, const std::string& name) {
    const std::int64_t n = view.numel(), count = blocks(n, base.block_size);
    Buffer values(n * 4), absmax(count * 4);
    decode_all(view, [&](std::int64_t first, const std::vector<float>& rows) {
      std::copy(rows.begin(), rows.end(), values.as<float>() + first);
    });
    const bool finite = std::all_of(values.as<float>(), values.as<float>() + n, [](float v) { return std::isfinite(v); });
    FT_CHECK(finite, non_finite, "[model] ", files_.path(), ": ", name, " holds NaN or infinity and cannot become nf4");
    WeightView result = view;
    result.format = WeightFormat::nf4, result.block_size = base.block_size, result.dtype = DType::f32;
    std::byte* codes = own((n + 1) / 2);
    std::byte* scales = base.double_quant ? nullptr : own(count * 4);
    const TensorView absmax_view = vector_view<void*>(scales ? scales : absmax.data(), count);
    nf4_quantize({vector_view<const void*>(values.data(), n), base.block_size,
                  vector_view<void*>(codes, (n + 1) / 2, DType::u8), absmax_view});
    result.data = codes, result.scales = scales;
    if (!base.double_quant) return result;
    std::byte* quantized = own(count);
    std::byte* nested = own(blocks(count, 256) * 4);
    result.nested_offset = double_quantize({absmax_view, vector_view<void*>(quantized, count, DType::u8),
                                            vector_view<void*>(nested, blocks(count, 256))});
    result.scales = quantized, result.nested_scales = reinterpret_cast<const float*>(nested);
    result.nested_code = dynamic_map(true);
    return result;
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
  FT_CHECK(base.kind != BaseFormat::Kind::nf4 || (base.block_size >= 32 && base.block_size <= 4096 &&
                                                  (base.block_size & (base.block_size - 1)) == 0),
           invalid_argument, "[model] block_size must be a power of two from 32 to 4096, got ", base.block_size);
  return Loading(files, base).run();
}

}  // namespace ftlib
