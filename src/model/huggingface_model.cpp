// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "ftlib/core/digest.h"
#include "ftlib/io/safetensors.h"
#include "ftlib/model/bitsandbytes.h"
#include "model/containers.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

class HuggingFaceModel final : public ModelFiles {
 public:
  explicit HuggingFaceModel(const std::string& path)
      : config_path_(path + "/config.json"), files_(path), weights_(bitsandbytes_weights(files_)) {
    path_ = path;
    const Json json = parse_json(read_file(config_path_), config_path_);
    config_ = model_config_from_json(json, config_path_);
    const bool four_bit = check_bitsandbytes_config(json, config_path_);
    FT_CHECK_FILE(!four_bit || !weights_.empty(), mismatch, config_path_,
                  ": quantization_config asks for 4-bit weights, but the files hold none; remove it and give --base nf4");
    for (const SafetensorsModel::Tensor& tensor : files_.tensors())
      if (!is_bitsandbytes_part(tensor.tensor->name)) add(*tensor.tensor, tensor.file->path());
    check_tied_head();
  }

  void read(const StoredTensor& tensor, void* out) const override {
    const SafetensorsModel::Tensor& stored = files_.at(tensor.name);
    stored.file->read(*stored.tensor, out);
  }

  void read_nf4_statistics(const StoredTensor& tensor, WeightView& view, Buffer& statistics) const override {
    read_bitsandbytes_statistics(*four_bit_weight(tensor.name), view, statistics);
  }

  std::string digest() const override {
    Sha256 hash;
    const auto add_file = [&](const std::string& file) {
      const std::string line = concat(file.substr(file.rfind('/') + 1), " ", cached_file_digest(file), "\n");
      hash.update(line.data(), line.size());
    };
    add_file(config_path_);
    for (const SafetensorsFile& file : files_.files()) add_file(file.path());
    return hash.hex();
  }

 private:
  const BitsAndBytesWeight* four_bit_weight(std::string_view name) const {
    const auto found = std::ranges::lower_bound(weights_, name, {}, &BitsAndBytesWeight::name);
    return found != weights_.end() && found->name == name ? &*found : nullptr;
  }

  void add(const SafetensorsTensor& tensor, const std::string& file) {
    if (tensor.name.ends_with(".rotary_emb.inv_freq")) return;  // derived from the configuration
    FT_CHECK_FILE(!gguf_name(tensor.name).empty(), unsupported, file, ": tensor ", excerpt(tensor.name),
                  " is not part of a llama model");
    if (const BitsAndBytesWeight* weight = four_bit_weight(tensor.name)) {
      const WeightView& layout = weight->layout;
      tensors_.push_back({tensor.name, layout.format, {layout.out(), layout.in()}, 2, tensor.bytes, layout.block_size});
      return;
    }
    const std::optional<DType> dtype = core_dtype(tensor.dtype);
    FT_CHECK_FILE(dtype && (*dtype == DType::f32 || *dtype == DType::bf16 || *dtype == DType::f16), dtype, file,
                  ": tensor ", tensor.name, " is ", safetensors_dtype_name(tensor.dtype),
                  "; weights must be F32, BF16, F16 or bitsandbytes NF4");
    FT_CHECK_FILE(tensor.shape.size() == 1 || tensor.shape.size() == 2, shape, file, ": tensor ", tensor.name, " has ",
                  tensor.shape.size(), " axes");
    StoredTensor stored;
    stored.name = tensor.name;
    stored.format = dense_weight(nullptr, 0, 0, *dtype).format;
    stored.rank = static_cast<int>(tensor.shape.size());
    stored.shape[0] = stored.rank == 2 ? tensor.shape[0] : 1;
    stored.shape[1] = tensor.shape.back();
    stored.bytes = tensor.bytes;
    tensors_.push_back(std::move(stored));
  }

  void check_tied_head() const {
    const StoredTensor* head = find("lm_head.weight");
    const StoredTensor* embedding = find("model.embed_tokens.weight");
    if (!config_.tie_word_embeddings || head == nullptr || embedding == nullptr) return;
    bool same = head->bytes == embedding->bytes && head->format == embedding->format;
    if (same) {
      Buffer a(head->bytes), b(head->bytes);
      read(*head, a.data());
      read(*embedding, b.data());
      same = std::equal(a.data(), a.data() + a.bytes(), b.data());
    }
    FT_CHECK_FILE(same, mismatch, config_path_, ": tie_word_embeddings is true but lm_head.weight differs from ",
                  "model.embed_tokens.weight; set it to false to use the head");
  }

  std::string config_path_;
  SafetensorsModel files_;
  std::vector<BitsAndBytesWeight> weights_;
};

}  // namespace

std::unique_ptr<ModelFiles> open_huggingface_model(const std::string& path) {
  return std::make_unique<HuggingFaceModel>(path);
}

}  // namespace ftlib
