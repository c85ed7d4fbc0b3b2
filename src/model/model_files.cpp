// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <tuple>

#include "ftlib/core/digest.h"
#include "ftlib/io/file.h"
#include "model/containers.h"

namespace ftlib::inline FTLIB_ABI {

namespace {

namespace fs = std::filesystem;
constexpr std::string_view kWhatAModelIs = "a model is a .gguf file or a folder with config.json and *.safetensors";

std::unique_ptr<ModelFiles> open_folder(const std::string& path) {
  std::error_code ignored;
  const auto holds = [&](std::string_view name) { return fs::exists(concat(path, "/", name), ignored); };
  if (holds("config.json")) return open_huggingface_model(path);
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    FT_CHECK(!holds(pickle), unsupported, "[model] ", path, ": ", pickle,
             " is a pickle and never read; convert it to safetensors");
  FT_CHECK(!holds("adapter_config.json"), not_found, "[model] ", path,
           " holds an adapter, not a model; give its base as the model and the folder as --adapter");
  throw Error(Status::not_found, Reason::io, concat("[model] ", path, " has no config.json; ", kWhatAModelIs));
}

std::unique_ptr<ModelFiles> open_file(const std::string& path) {
  for (const std::string_view part_of_a_folder : {".safetensors", ".json", ".bin"})
    FT_CHECK_FILE(!path.ends_with(part_of_a_folder), magic, "[model] ", path, " is a file of a Hugging Face folder; ",
                  kWhatAModelIs, ", here ",
                  fs::path(path).has_parent_path() ? fs::path(path).parent_path().string() : ".");
  return open_gguf_model(path);
}

/// Every tensor that the configuration asks for, in its shape, and no other.
class Inventory {
 public:
  explicit Inventory(const ModelFiles& files) : files_(files) {
    for (const StoredTensor& tensor : files.tensors()) left_.emplace(tensor.name, &tensor);
  }

  void check() {
    const ModelConfig& c = files_.config();
    need("model.embed_tokens.weight", c.vocab_size, c.hidden_size);
    for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) need_layer(layer);
    need("model.norm.weight", 1, c.hidden_size);
    if (!c.tie_word_embeddings)
      need("lm_head.weight", c.vocab_size, c.hidden_size);
    else
      left_.erase("lm_head.weight");  // a copy of the embedding
    FT_CHECK_FILE(left_.empty(), mismatch, files_.path(), ": tensor ",
                  excerpt(left_.empty() ? "" : left_.begin()->first), " has no place in a model of ",
                  c.num_hidden_layers, " layers");
  }

 private:
  void need_layer(std::int64_t layer) {
    const ModelConfig& c = files_.config();
    const std::string prefix = concat("model.layers.", layer, ".");
    need(prefix + "input_layernorm.weight", 1, c.hidden_size);
    need(prefix + "post_attention_layernorm.weight", 1, c.hidden_size);
    for (int i = 0; i < kLinearKinds; ++i) {
      const auto kind = static_cast<LinearKind>(i);
      const LinearShape shape = linear_shape(c, kind);
      const std::string name = linear_name(layer, kind);
      need(name + ".weight", shape.out, shape.in);
      if (has_bias(files_, layer, kind)) need(name + ".bias", 1, shape.out);
    }
  }

  void need(const std::string& name, std::int64_t out, std::int64_t in) {
    const auto found = left_.find(name);
    FT_CHECK_FILE(found != left_.end(), mismatch, files_.path(), ": tensor ", name, " is missing; a model of ",
                  files_.config().num_hidden_layers, " layers has it");
    const StoredTensor& tensor = *found->second;
    FT_CHECK_FILE(tensor.shape[0] == out && tensor.shape[1] == in, mismatch, files_.path(), ": tensor ", name, " is [",
                  tensor.shape[0], ", ", tensor.shape[1], "], the configuration wants [", out, ", ", in, "]");
    left_.erase(found);
  }

  const ModelFiles& files_;
  std::map<std::string_view, const StoredTensor*> left_;
};

}  // namespace

std::unique_ptr<ModelFiles> ModelFiles::open(const std::string& path) {
  std::error_code ignored;
  const auto status = fs::status(path, ignored);
  FT_CHECK(fs::exists(status), not_found, "[model] ", path, ": there is nothing; ", kWhatAModelIs);
  std::unique_ptr<ModelFiles> files = fs::is_directory(status) ? open_folder(path) : open_file(path);
  Inventory(*files).check();
  return files;
}

std::unique_ptr<ModelFiles> ModelFiles::open_memory(std::span<const std::byte> gguf, const std::string& name) {
  const std::string digest = sha256_hex({reinterpret_cast<const char*>(gguf.data()), gguf.size()});
  std::unique_ptr<ModelFiles> files = open_gguf_model(InputFile(name, gguf), digest);
  Inventory(*files).check();
  return files;
}

// GGUF keeps no bias of o where it is zero.
bool has_bias(const ModelFiles& files, std::int64_t layer, LinearKind kind) {
  const ModelConfig& c = files.config();
  if (kind == LinearKind::o_proj && c.attention_bias) return files.find(linear_name(layer, kind) + ".bias") != nullptr;
  return kind <= LinearKind::o_proj ? c.attention_bias : c.mlp_bias;
}

const StoredTensor* ModelFiles::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(tensors_, name, &StoredTensor::name);
  return found == tensors_.end() ? nullptr : &*found;
}

void ModelFiles::read_nf4_statistics(const StoredTensor& tensor, WeightView&, Buffer&) const {
  throw Error(Status::internal, concat("[model] ", path_, ": ", tensor.name, " has no nf4 statistics"));
}

std::string cached_file_digest(const std::string& path) {
  static std::mutex mutex;
  static auto* known = new std::map<std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t>, std::string>;
  const FileStamp stamp = file_stamp(path);
  const auto key = std::make_tuple(stamp.device, stamp.inode, stamp.bytes, stamp.modified_ns);
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known->find(key); found != known->end()) return found->second;
  }
  const std::string digest = sha256_file(path);
  const std::lock_guard lock(mutex);
  return (*known)[key] = digest;
}

}  // namespace ftlib::inline FTLIB_ABI
