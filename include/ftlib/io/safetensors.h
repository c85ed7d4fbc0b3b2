// SPDX-License-Identifier: Apache-2.0
// The safetensors container: a JSON header that names tensors, then their bytes without holes (huggingface/safetensors,
// README "Format"). Stricter than the reference reader: duplicate names are refused. Nothing is mapped; opening reads
// the header alone.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ftlib/core/tensor.h"
#include "ftlib/io/file.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {

/// Every dtype of the format. Those from u16 on are listed and checked, but their data is not offered (DTYPE).
enum class SafetensorsDType : std::int32_t {
  f64 = 0, f32, f16, bf16, i64, i32, i16, i8, u8, boolean,
  u16, u32, u64, c64, f8_e5m2, f8_e4m3, f8_e8m0, f8_e4m3fnuz, f8_e5m2fnuz, f6_e2m3, f6_e3m2, f4,
};
std::string_view safetensors_dtype_name(SafetensorsDType dtype) noexcept;          ///< "BF16"
std::optional<DType> core_dtype(SafetensorsDType dtype) noexcept;                  ///< empty where core has none
SafetensorsDType safetensors_dtype(DType dtype) noexcept;

struct SafetensorsTensor {
  std::string name;
  SafetensorsDType dtype = SafetensorsDType::f32;
  std::vector<std::int64_t> shape;  ///< row-major; empty: a scalar; at most 8 axes, each >= 0
  std::int64_t offset = 0;          ///< of its first byte in the file; not necessarily aligned
  std::int64_t bytes = 0;

  std::int64_t numel() const noexcept;
};
std::string describe(const SafetensorsTensor& tensor);  ///< "BF16 [576, 576]"

using SafetensorsMetadata = std::vector<std::pair<std::string, std::string>>;  ///< `__metadata__`, in the file's order

/// One .safetensors file, its header checked. Move-only; reading is thread-safe.
class SafetensorsFile {
 public:
  /// Throws Error{invalid_file, TRUNC | LIMIT | MAGIC | JSON | UTF8 | DUP | SCHEMA | DTYPE | SHAPE | RANGE | OVERFLOW |
  /// LAYOUT | MISMATCH} with the byte or the tensor's name, and as InputFile does. Limits: header 100,000,000 bytes
  /// (the format's own), 500,000 tensors, 8 axes, names of 1 to 512 bytes that have no control characters and are no
  /// paths, 65,536 entries of metadata, each of its strings less than 1,250,000 bytes as written.
  explicit SafetensorsFile(const std::string& path, Symlinks symlinks = Symlinks::follow);

  const std::string& path() const noexcept { return file_.path(); }
  const FileStamp& stamp() const noexcept { return file_.stamp(); }
  const SafetensorsMetadata& metadata() const noexcept { return metadata_; }
  const std::vector<SafetensorsTensor>& tensors() const noexcept { return tensors_; }  ///< sorted by name
  const SafetensorsTensor* find(std::string_view name) const noexcept;

  /// Copies the tensor's `bytes` to `out`. Throws Error{unsupported, DTYPE} for a dtype that is only listed, and as
  /// InputFile::read does.
  void read(const SafetensorsTensor& tensor, void* out) const;
  /// Bytes [begin, begin + bytes) of the tensor.
  void read(const SafetensorsTensor& tensor, std::int64_t begin, std::int64_t bytes, void* out) const;

 private:
  InputFile file_;
  SafetensorsMetadata metadata_;
  std::vector<SafetensorsTensor> tensors_;
};

/// The tensors of a model: one file, or the shards that `model.safetensors.index.json` names, behind one list of names.
class SafetensorsModel {
 public:
  /// `path`: a .safetensors file, or a folder with `model.safetensors` or the index. Throws as SafetensorsFile does;
  /// Error{not_found} when the folder has neither. Of the index: a shard that is not a plain file name, SCHEMA; a shard
  /// missing, IO; a symbolic link that leaves the folder, SCHEMA (links into the `blobs` folder of a Hugging Face cache
  /// are allowed); a tensor in two shards, DUP; a tensor listed but absent, or present but not listed, or a wrong
  /// total_size, MISMATCH.
  explicit SafetensorsModel(const std::string& path);

  struct Tensor {
    const SafetensorsTensor* tensor;
    const SafetensorsFile* file;
  };
  const std::vector<SafetensorsFile>& files() const noexcept { return files_; }
  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }  ///< sorted by name
  const Tensor* find(std::string_view name) const noexcept;
  /// As SafetensorsFile::read; throws Error{invalid_file, MISMATCH} when there is no tensor of that name.
  const Tensor& at(std::string_view name) const;

 private:
  void check_index(const std::string& path, const Json& index) const;
  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::vector<Tensor> tensors_;
};

/// A tensor to write: its bytes lie at `data`, or `fill` is called once, in the file's order, to write them to `out`.
struct SafetensorsSource {
  std::string name;
  SafetensorsDType dtype = SafetensorsDType::f32;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
  std::function<void(void* out)> fill;
};

/// Writes a file that the stock loaders read, atomically (io/atomic_file.h), with the reference library's order of
/// tensors (dtypes of larger alignment first, then names) and its padding (data begins at a multiple of 8). The same
/// tensors and metadata give the same bytes. Throws Error{invalid_argument} on a duplicate or unsuitable name,
/// metadata beyond the limits above, a negative extent or a dtype that is only listed, Error{io_error} otherwise.
void write_safetensors(const std::string& path, std::span<const SafetensorsSource> tensors,
                       const SafetensorsMetadata& metadata = {});

/// The same bytes in memory.
std::string safetensors_bytes(std::span<const SafetensorsSource> tensors, const SafetensorsMetadata& metadata = {});

}  // namespace ftlib
