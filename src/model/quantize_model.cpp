// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/model/bitsandbytes.h"
#include "ftlib/model/weights.h"
#include "model/companions.h"
#include "model/quantize.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

SafetensorsDType dense_dtype(WeightFormat format) {
  return format == WeightFormat::f16    ? SafetensorsDType::f16
         : format == WeightFormat::bf16 ? SafetensorsDType::bf16
                                        : SafetensorsDType::f32;
}

void decode_to_f32(const ModelFiles& files, const StoredTensor& tensor, float* out) {
  Buffer blocks(tensor.bytes);
  files.read(tensor, blocks.data());
  WeightView view;
  view.format = tensor.format, view.block_size = tensor.block_size, view.data = blocks.data();
  view.shape[0] = tensor.shape[0], view.shape[1] = tensor.shape[1];
  parallel_ranges(view.out(), 16, [&](std::int64_t begin, std::int64_t end) {
    decode_rows(view, begin, end - begin, out + begin * view.in());
  });
}

/// Dense tensors pass as they are; blocks, and whatever becomes NF4 out of a GGUF, are decoded to F32 first.
InputTensor input_tensor(const ModelFiles& files, const StoredTensor& tensor, bool from_gguf) {
  FT_CHECK(tensor.format != WeightFormat::nf4, unsupported, files.path(), ": ", tensor.name,
           " is 4-bit already; quantise the original model");
  const bool dense = weight_format_info(tensor.format).block_size == 1;
  const bool keep = dense && !(from_gguf && tensor.rank == 2 && is_nf4_candidate(tensor.name));
  InputTensor input{files.path(), tensor.name, keep ? dense_dtype(tensor.format) : SafetensorsDType::f32, {}, 0, {}};
  if (tensor.rank == 2) input.shape.push_back(tensor.shape[0]);
  input.shape.push_back(tensor.shape[1]);
  input.bytes = keep ? tensor.bytes : tensor.shape[0] * tensor.shape[1] * 4;
  input.read = [&files, &tensor, keep](void* out) {
    if (keep)
      files.read(tensor, out);
    else
      decode_to_f32(files, tensor, static_cast<float*>(out));
  };
  return input;
}

void check_folder(const std::string& model, const std::string& out) {
  std::error_code error;
  FT_CHECK(!std::filesystem::equivalent(model, out, error), invalid_argument, "[quantize] ", out,
           " is the model itself; write to another folder");
  FT_CHECK(!std::filesystem::exists(out, error) || std::filesystem::is_directory(out, error), invalid_argument,
           "[quantize] ", out, " is a file; a model is written as a folder");
  for (const auto& entry : std::filesystem::directory_iterator(out, error)) {
    const std::string name = entry.path().filename().string();
    FT_CHECK(
        name == "model.safetensors" || (!name.ends_with(".safetensors") && !name.ends_with(".safetensors.index.json")),
        invalid_argument, "[quantize] ", out, " holds ", name, " of another model; write to an empty folder");
  }
}

DType compute_dtype(std::span<const InputTensor> tensors) {
  for (const InputTensor& tensor : tensors)
    if (tensor.shape.size() == 2 && is_nf4_candidate(tensor.name)) return *core_dtype(tensor.dtype);
  return DType::f32;
}

}  // namespace

QuantizeReport quantize_model(const std::string& model, const std::string& out, const Nf4Options& options,
                              const QuantizeProgressFunction& progress) {
  check_nf4_options(options);
  const std::unique_ptr<ModelFiles> files = ModelFiles::open(model);
  check_folder(model, out);
  const bool from_gguf = !std::filesystem::is_directory(model);
  std::vector<InputTensor> tensors;
  for (const StoredTensor& tensor : files->tensors()) tensors.push_back(input_tensor(*files, tensor, from_gguf));
  StagedFolder folder(out);
  Json config = write_companions(*files, folder.path());
  if (from_gguf) config["dtype"] = "float32";
  config["quantization_config"] = bitsandbytes_config(options.double_quant, compute_dtype(tensors));
  const QuantizeReport report =
      write_quantized(folder.path() + "/model.safetensors", tensors, {{"format", "pt"}}, options, progress);
  write_file_atomic(folder.path() + "/config.json", dump_json(config, kPythonPrettyJson) + "\n");
  folder.commit("config.json");
  return report;
}

}  // namespace ftlib::inline FTLIB_ABI
