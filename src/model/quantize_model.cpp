// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/data/tokenizer_files.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/gguf.h"
#include "ftlib/model/bitsandbytes.h"
#include "ftlib/model/weights.h"
#include "model/quantize.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",     "vocab.json",
    "merges.txt",     "tokenizer.model",       "chat_template.jinja",     "generation_config.json"};

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

std::optional<std::int64_t> token_id(const GgufFile& file, std::string_view name) {
  const std::string key = concat("tokenizer.ggml.", name, "_token_id");
  const GgufValue* value = file.find(key);
  if (value == nullptr) return std::nullopt;
  return value->as_integer(file.what(key), 0, std::int64_t{1} << 31);
}

/// The shortest decimal of the f32 that GGUF keeps: 1e-05 rather than 9.999999747378752e-06, and the same f32.
void shorten(Json& number) {
  const std::string digits = concat(static_cast<float>(number.as_number("")));
  double value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  number = value;
}

/// config.json of a GGUF; the tokenizer's files are written on the way.
Json convert_companions(const ModelFiles& files, const std::string& out) {
  const GgufFile file(files.path());
  const TokenizerFiles tokenizer = tokenizer_files_from_gguf(file);
  write_file_atomic(out + "/tokenizer.json", tokenizer.tokenizer);
  write_file_atomic(out + "/tokenizer_config.json", tokenizer.tokenizer_config);
  Json config = model_config_to_json(files.config());
  config["dtype"] = "float32";
  shorten(config["rms_norm_eps"]);
  shorten(config["rope_theta"]);
  if (const auto id = token_id(file, "bos")) config["bos_token_id"] = *id;
  if (const auto id = token_id(file, "eos")) config["eos_token_id"] = *id;
  if (const auto id = token_id(file, "padding")) config["pad_token_id"] = *id;
  return config;
}

/// config.json of a folder; the tokenizer's files are copied on the way.
Json copy_companions(const std::string& model, const std::string& out) {
  for (const std::string_view name : kTokenizerFiles) {
    const std::string path = concat(model, "/", name);
    if (std::filesystem::exists(path)) write_file_atomic(concat(out, "/", name), read_file(path));
  }
  const std::string path = model + "/config.json";
  return parse_json(read_file(path), path);
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
  make_directories(out);
  remove_tree(out + "/config.json");
  Json config = from_gguf ? convert_companions(*files, out) : copy_companions(model, out);
  config["quantization_config"] = bitsandbytes_config(options.double_quant, compute_dtype(tensors));
  const QuantizeReport report =
      write_quantized(out + "/model.safetensors", tensors, {{"format", "pt"}}, options, progress);
  write_file_atomic(out + "/config.json", dump_json(config, kPythonPrettyJson) + "\n");
  return report;
}

}  // namespace ftlib::inline FTLIB_ABI
