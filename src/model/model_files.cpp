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

std::unique_ptr<ModelFiles> ModelFiles::open(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  FT_CHECK(std::filesystem::exists(status), not_found, "[model] ", path,
           ": there is nothing; a model is a .gguf file or a folder with config.json and *.safetensors");
  if (!std::filesystem::is_directory(status)) return open_gguf_model(path);
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    FT_CHECK(std::filesystem::exists(path + "/config.json") || !std::filesystem::exists(path + "/" + pickle), unsupported,
             "[model] ", path, ": ", pickle, " is a pickle and never read; convert it to safetensors");
  return open_huggingface_model(path);
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

}  // namespace ftlib
