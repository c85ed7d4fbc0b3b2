// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/merge.h"

#include <algorithm>
#include <filesystem>

#include "ftlib/data/tokenizer_files.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/safetensors.h"
#include "model/companions.h"
#include "model/containers.h"
#include "model/gguf_export.h"
#include "model/merged_weights.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

namespace fs = std::filesystem;

struct OutputFormat {
  WeightFormat format;
  SafetensorsDType safetensors;
  GgmlType ggml;
  std::uint32_t file_type;  ///< llama.cpp's number for "mostly" this
  const char* torch;        ///< null: GGUF only
};
constexpr OutputFormat kFormats[] = {
    {WeightFormat::f32, SafetensorsDType::f32, GgmlType::f32, 0, "float32"},
    {WeightFormat::f16, SafetensorsDType::f16, GgmlType::f16, 1, "float16"},
    {WeightFormat::bf16, SafetensorsDType::bf16, GgmlType::bf16, 32, "bfloat16"},
    {WeightFormat::q8_0, SafetensorsDType::u8, GgmlType::q8_0, 7, nullptr}};

const OutputFormat* find_format(WeightFormat format) {
  const auto* found = std::ranges::find(kFormats, format, &OutputFormat::format);
  return found == std::end(kFormats) ? nullptr : found;
}

std::string in_folder(const std::string& folder, std::string_view name) { return concat(folder, "/", name); }

bool is_gguf(const std::string& out) { return out.ends_with(".gguf"); }

void check_out(const ModelFiles& base, const std::string& out) {
  std::error_code ignored;
  FT_CHECK(!fs::equivalent(base.path(), out, ignored), invalid_argument, "[merge] ", out, " is the base itself");
  FT_CHECK(is_gguf(out) || !fs::exists(out, ignored) || fs::is_empty(out, ignored), invalid_argument, "[merge] ", out,
           " is there and not empty; name a new folder");
}

/// config.json of a dense model in one dtype.
Json dense_config(Json companions, const char* dtype) {
  Json::Object config = companions.as_object("config");
  std::erase_if(config, [](const Json::Member& member) {
    return member.first == "quantization_config" || member.first == "dtype" || member.first == "torch_dtype";
  });
  config.emplace_back("torch_dtype", dtype);
  return config;
}

void fill_folder(const ModelFiles& base, MergedWeights& weights, const OutputFormat& format, const std::string& out) {
  std::vector<SafetensorsSource> sources;
  for (const MergedTensor& tensor : weights.tensors())
    sources.push_back({tensor.stored->name, find_format(tensor.format)->safetensors, tensor.shape, nullptr,
                       [&weights, t = &tensor](void* data) { weights.write(*t, data); }});
  const Json config = dense_config(write_companions(base, out), format.torch);
  write_safetensors(in_folder(out, "model.safetensors"), sources, {{"format", "pt"}});
  write_file_atomic(in_folder(out, "config.json"), dump_json(config, kPythonPrettyJson) + "\n");
}

void write_folder(const ModelFiles& base, MergedWeights& weights, const OutputFormat& format, const std::string& out) {
  StagedFolder folder(out);
  fill_folder(base, weights, format, folder.path());
  folder.commit("config.json");
}

std::vector<GgufField> merged_metadata(const ModelFiles& base, const OutputFormat& format) {
  std::vector<GgufField> fields;
  if (fs::is_directory(base.path())) {
    fields = {{"general.architecture", GgufValue::string("llama")}, {"general.type", GgufValue::string("model")}};
    std::ranges::move(gguf_model_fields(base.config()), std::back_inserter(fields));
    std::ranges::move(gguf_tokenizer_fields(base.path(), base.config().vocab_size), std::back_inserter(fields));
    fields.emplace_back("general.quantization_version", GgufValue::u32(2));
  } else {
    fields = GgufFile(base.path()).metadata();
    std::erase_if(fields, [](const GgufField& field) { return field.first == "general.file_type"; });
  }
  fields.emplace_back("general.file_type", GgufValue::u32(format.file_type));
  return fields;
}

/// A row of a matrix, an element of a vector: what moves when q and k change their order.
void write_in_gguf_order(MergedWeights& weights, const MergedTensor& tensor, const ModelConfig& model, void* out) {
  const std::int64_t heads = rotary_heads(model, tensor.stored->name);
  if (heads == 0) return weights.write(tensor, out);
  Buffer rows(tensor.bytes);
  weights.write(tensor, rows.data());
  rows_to_gguf_order(rows.data(), out, heads, model.head_dim, tensor.bytes / (heads * model.head_dim));
}

void write_gguf_model(const ModelFiles& base, MergedWeights& weights, const OutputFormat& format,
                      const std::string& out) {
  std::vector<GgufSource> sources;
  const std::vector<float> factors = gguf_rope_factors(base.config());
  if (!factors.empty())
    sources.push_back(
        {"rope_freqs.weight", GgmlType::f32, {static_cast<std::int64_t>(factors.size())}, factors.data(), {}});
  for (const MergedTensor& tensor : weights.tensors())
    sources.push_back({gguf_name(tensor.stored->name), find_format(tensor.format)->ggml, tensor.shape, nullptr,
                       [&base, &weights, t = &tensor](void* data) {
                         write_in_gguf_order(weights, *t, base.config(), data);
                       }});
  write_gguf(out, merged_metadata(base, format), sources);
}

}  // namespace

void merge_adapter(const ModelFiles& base, const AdapterFile& adapter, const std::string& out, WeightFormat format,
                   const MergeProgressFunction& progress) {
  const OutputFormat* row = find_format(format);
  FT_CHECK(row && (row->torch || is_gguf(out)), invalid_argument, "[merge] ", weight_format_info(format).name,
           " is no format for ", out, "; a folder takes f32, bf16, f16, a .gguf also q8_0");
  check_out(base, out);
  check_base(adapter.origin, base, adapter.origin.base_format);
  MergedWeights weights(base, adapter, format, progress);
  if (is_gguf(out)) write_gguf_model(base, weights, *row, out);
  else write_folder(base, weights, *row, out);
}

}  // namespace ftlib
