// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "ftlib/io/safetensors.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kSingle = "model.safetensors", kIndex = "model.safetensors.index.json";

std::string_view name_of(const SafetensorsModel::Tensor& t) { return t.tensor->name; }

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// A Hugging Face cache keeps `snapshots/REVISION/FILE` as links to `../../blobs/DIGEST`; no other link may leave.
void check_inside(const fs::path& folder, const fs::path& file) {
  std::error_code failed;
  if (!fs::is_symlink(file, failed)) return;
  const fs::path target = fs::canonical(file, failed).parent_path();
  if (failed) throw Error(Status::io_error, Reason::io, concat(file.string(), ": ", failed.message()));
  const fs::path home = fs::canonical(folder, failed);
  FT_CHECK_FILE(target == home || target == home.parent_path().parent_path() / "blobs", schema, file.string(),
                ": a symbolic link that leaves the folder");
}

std::vector<std::string> shards_of(const Json& index, const std::string& path) {
  std::vector<std::string> names;
  for (const auto& [tensor, shard] : index.at("weight_map", path).as_object(concat(path, ": weight_map"))) {
    const std::string& name = shard.as_string(concat(path, ": weight_map: ", excerpt(tensor, 48)));
    const bool plain =
        !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
    FT_CHECK_FILE(plain, schema, path, ": weight_map: ", excerpt(tensor, 48), ": want a file name, got \"",
                  excerpt(name), "\"");
    names.push_back(name);
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  FT_CHECK_FILE(!names.empty(), schema, path, ": weight_map is empty");
  return names;
}

[[noreturn]] void nothing_there(const std::string& path) {
  FT_CHECK(!exists(path + "/pytorch_model.bin") && !exists(path + "/pytorch_model.bin.index.json"), unsupported, path,
           ": only pytorch_model.bin, which is never read; convert it with safetensors.torch.save_file");
  throw Error(Status::not_found, Reason::io, concat(path, ": no ", kSingle, " and no ", kIndex));
}

}  // namespace

SafetensorsModel::SafetensorsModel(const std::string& path) : path_(path) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  const std::string single = folder ? concat(path, "/", kSingle) : path, index_path = concat(path, "/", kIndex);
  const bool sharded = folder && !exists(single);
  if (sharded && !exists(index_path)) nothing_there(path);
  const Json index = sharded ? parse_json(read_file(index_path), index_path) : Json();
  if (!sharded)
    files_.emplace_back(single);
  else
    for (const std::string& shard : shards_of(index, index_path)) {
      check_inside(path, concat(path, "/", shard));
      files_.emplace_back(concat(path, "/", shard));
    }
  for (const SafetensorsFile& file : files_)
    for (const SafetensorsTensor& tensor : file.tensors()) tensors_.push_back({&tensor, &file});
  std::ranges::sort(tensors_, {}, name_of);
  if (sharded) check_index(index_path, index);
}

void SafetensorsModel::check_index(const std::string& path, const Json& index) const {
  const auto twice = std::ranges::adjacent_find(tensors_, {}, name_of);
  FT_CHECK_FILE(twice == tensors_.end(), dup, path_, ": tensor \"", excerpt(name_of(*twice), 48), "\" is in ",
                twice->file->path(), " and in ", (twice + 1)->file->path());
  const Json::Object& map = index.at("weight_map", path).as_object(path);
  for (const auto& [name, shard] : map) {
    const Tensor* found = find(name);
    const std::string& want = shard.as_string(path);
    FT_CHECK_FILE(found != nullptr && found->file->path() == concat(path_, "/", want), mismatch, path, ": tensor \"",
                  excerpt(name, 48), "\" should be in ", excerpt(want), ", it is in ",
                  found ? found->file->path() : "no shard");
  }
  FT_CHECK_FILE(map.size() == tensors_.size(), mismatch, path, ": lists ", map.size(), " tensors, the shards have ",
                tensors_.size());
  const Json* metadata = index.find("metadata");
  const Json* total = metadata ? metadata->find("total_size") : nullptr;
  std::int64_t bytes = 0;
  for (const Tensor& t : tensors_) bytes += t.tensor->bytes;
  FT_CHECK_FILE(!total || total->as_number(concat(path, ": metadata.total_size")) == static_cast<double>(bytes),
                mismatch, path, ": metadata.total_size is ", dump_json(*total), ", the tensors have ", bytes, " bytes");
}

const SafetensorsModel::Tensor* SafetensorsModel::find(std::string_view name) const noexcept {
  const auto found = std::ranges::lower_bound(tensors_, name, {}, name_of);
  return found != tensors_.end() && name_of(*found) == name ? &*found : nullptr;
}

const SafetensorsModel::Tensor& SafetensorsModel::at(std::string_view name) const {
  const Tensor* found = find(name);
  FT_CHECK_FILE(found != nullptr, mismatch, path_, ": tensor \"", excerpt(name), "\" is missing");
  return *found;
}

}  // namespace ftlib
