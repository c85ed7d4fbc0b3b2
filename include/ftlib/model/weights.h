// SPDX-License-Identifier: Apache-2.0
// A model's files and its frozen weights in memory, whatever the container: a .gguf file or a Hugging Face folder.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/core/weight.h"
#include "ftlib/model/config.h"

namespace ftlib::inline FTLIB_ABI {

/// One stored tensor under its Hugging Face name, e.g. "model.layers.0.mlp.up_proj.weight".
struct StoredTensor {
  std::string name;
  WeightFormat format = WeightFormat::f32;
  std::int64_t shape[2] = {1, 0};  ///< out, in; a vector is [1, n]
  int rank = 2;
  std::int64_t bytes = 0;  ///< of its data; nf4: of its codes
  std::int32_t block_size = 1;
};

/// The files behind a model, read-only. Rows of q and k are in Hugging Face's order (half-split rotary) whatever the
/// container: GGUF's interleaved order is undone by moving whole rows, which is exact in every block format.
/// Thread-safe for concurrent reads.
class ModelFiles {
 public:
  /// MODEL: a .gguf file or a folder with config.json and *.safetensors. Throws Error{not_found|invalid_file|unsupported};
  /// every tensor that the configuration asks for is there in its shape; every other tensor and config key is known to
  /// be harmless, or refused by name.
  static std::unique_ptr<ModelFiles> open(const std::string& path);
  /// The same of a GGUF file that lies in memory, which must outlive the result; errors call it `name`.
  static std::unique_ptr<ModelFiles> open_memory(std::span<const std::byte> gguf, const std::string& name = "memory");
  virtual ~ModelFiles() = default;

  const std::string& path() const noexcept { return path_; }
  const ModelConfig& config() const noexcept { return config_; }
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }
  const StoredTensor* find(std::string_view name) const noexcept;

  /// The stored bytes of a tensor, rows in Hugging Face's order; for nf4 the codes.
  virtual void read(const StoredTensor& tensor, void* out) const = 0;

  /// For nf4: the statistics beside the codes; `view` is completed, `statistics` owns what it points to.
  virtual void read_nf4_statistics(const StoredTensor& tensor, WeightView& view, Buffer& statistics) const;

  /// SHA-256 over the files that decide the weights, 64 hex digits; cached beside (size, mtime, inode) in the user's cache.
  virtual std::string digest() const = 0;

 protected:
  std::string path_;
  ModelConfig config_;
  std::vector<StoredTensor> tensors_;
};

/// What the linears of the decoder become in memory; embeddings, head and norms keep their stored format.
struct BaseFormat {
  enum class Kind : std::int32_t { native = 0, f32, bf16, nf4 } kind = Kind::native;
  std::int32_t block_size = 64;
  bool double_quant = false;
};

struct LayerWeights {
  const float* input_norm = nullptr;           ///< [D]
  const float* post_attention_norm = nullptr;  ///< [D]
  std::array<WeightView, kLinearKinds> linear;
  std::array<const float*, kLinearKinds> bias{};  ///< [out] or null
};

/// All weights, in one arena. Move-only; views stay valid while it lives.
struct ModelWeights {
  WeightView embedding, head;  ///< [V, D]; one and the same where tied
  const float* norm = nullptr;  ///< [D], the final one
  std::vector<LayerWeights> layers;
  std::int64_t bytes = 0;
  std::vector<Buffer> memory;
};

/// Reads and, where asked, converts. Weights are read into memory, never mapped. Throws as ModelFiles::open, and
/// Error{non_finite} naming the tensor where nf4 meets NaN or infinity.
ModelWeights load_weights(const ModelFiles& files, const BaseFormat& base);

}  // namespace ftlib
