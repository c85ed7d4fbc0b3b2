// SPDX-License-Identifier: Apache-2.0
// llama.cpp's LoRA file: tensors NAME.lora_a [r, in] and NAME.lora_b [out, r], one alpha, scale alpha / r of each
// tensor.
#include <algorithm>
#include <cmath>
#include <map>

#include "ftlib/io/gguf.h"
#include "model/adapter_io.h"
#include "model/containers.h"
#include "model/gguf_export.h"
#include "model/lora_targets.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kSuffixA = ".lora_a", kSuffixB = ".lora_b", kWeight = ".weight";
constexpr std::string_view kTypeKey = "general.type", kAdapterTypeKey = "adapter.type",
                           kAlphaKey = "adapter.lora.alpha";

void check_text(const GgufFile& file, std::string_view key, std::string_view want) {
  const std::string& got = file.at(key).as_string(file.what(key));
  FT_CHECK_FILE(got == want, schema, file.what(key), ": want \"", want, "\", got \"", excerpt(got), "\"");
}

void check_keys(const GgufFile& file) {
  check_text(file, "general.architecture", "llama");
  check_text(file, kTypeKey, "adapter");
  check_text(file, kAdapterTypeKey, "lora");
  for (const auto& [key, value] : file.metadata())
    FT_CHECK_FILE(!key.starts_with("adapter.") || key == kAdapterTypeKey || key == kAlphaKey, unsupported,
                  file.what(excerpt(key)), ": is not supported");
}

double read_alpha(const GgufFile& file) {
  const double alpha = file.at(kAlphaKey).as_number(file.what(kAlphaKey));
  FT_CHECK_FILE(valid_alpha(alpha), range, file.what(kAlphaKey), ": ", kAlphaRange, ", got ", alpha);
  return alpha;
}

DType dense_dtype(const GgufFile& file, const GgufTensor& tensor) {
  switch (tensor.type) {
    case GgmlType::f32: return DType::f32;
    case GgmlType::f16: return DType::f16;
    case GgmlType::bf16: return DType::bf16;
    default: break;
  }
  FT_CHECK_FILE(false, dtype, file.path(), ": ", tensor.name, " is ", ggml_type_info(tensor.type).name,
                ", want f32, f16 or bf16");
}

/// "blk.0.attn_q.weight.lora_a" -> the index of model.layers.0.self_attn.q_proj
std::size_t adapted_linear(const GgufFile& file, const GgufTensor& tensor, const LinearIndex& index) {
  const std::string_view name = tensor.name;
  const bool known = name.ends_with(kSuffixA) || name.ends_with(kSuffixB);
  const std::string weight = known ? huggingface_name(name.substr(0, name.size() - kSuffixA.size())) : std::string();
  const auto found = weight.ends_with(kWeight)
                         ? index.find(std::string_view(weight).substr(0, weight.size() - kWeight.size()))
                         : std::nullopt;
  FT_CHECK_FILE(weight.empty() || found || weight.starts_with("model.layers."), unsupported, file.path(), ": ", name,
                " is an adapter outside the decoder's layers, which is not supported");
  FT_CHECK_FILE(found.has_value(), mismatch, file.path(), ": ", excerpt(name), " is not blk.N.MODULE.weight", kSuffixA,
                " or ", kSuffixB, " of a linear of this model");
  return *found;
}

LoraTensor lora_tensor(const GgufFile& file, const GgufTensor& stored, const LoraModule& linear,
                       const ModelConfig& model) {
  const DType dtype = dense_dtype(file, stored);
  LoraTensor tensor;
  tensor.name = stored.name;
  tensor.is_a = stored.name.ends_with(kSuffixA);
  tensor.shape = stored.shape;
  const std::int64_t heads = tensor.is_a ? 0 : rotary_heads(model, linear.name);
  tensor.read = [&file, &stored, dtype, heads, head_dim = model.head_dim](float* out) {
    const std::int64_t count = stored.numel();
    std::vector<std::byte> data(static_cast<std::size_t>(stored.bytes));
    file.read(stored, data.data());
    if (heads == 0) return values_to_f32(data.data(), dtype, count, out);
    std::vector<float> rows(static_cast<std::size_t>(count));
    values_to_f32(data.data(), dtype, count, rows.data());
    rows_from_gguf_order(rows.data(), out, heads, head_dim, count / (heads * head_dim) * 4);
  };
  return tensor;
}

/// The rank that most modules have stands for all; the others get a pattern each.
LoraConfig described(const std::vector<LoraModule>& modules, const std::vector<LoraModule>& linears, double alpha) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const LoraModule& module : modules) ++counts[module.r];
  LoraConfig config;
  config.r = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })->first;
  config.lora_alpha = alpha;
  config.target_modules = target_names(modules, linears);
  for (const LoraModule& module : modules)
    if (module.r != config.r) config.rank_pattern.emplace_back(module.name, module.r);
  return config;
}

AdapterFile load(const GgufFile& file, const ModelConfig& model) {
  check_keys(file);
  const double alpha = read_alpha(file);
  const std::vector<LoraModule> linears = all_linears(model);
  const LinearIndex index(linears);
  std::vector<LoraTensor> tensors;
  for (const GgufTensor& stored : file.tensors()) {
    const std::size_t linear = adapted_linear(file, stored, index);
    tensors.push_back(lora_tensor(file, stored, linears[linear], model));
    tensors.back().linear = linear;
  }
  AdapterFile result;
  LoraAdapter& adapter = result.adapter;
  adapter.modules = paired_modules(file.path(), linears, tensors);
  adapter.config = described(adapter.modules, linears, alpha);
  resolve_ranks(adapter.modules, adapter.config);
  allocate_parameters(adapter);
  read_parameters(file.path(), adapter, linears, tensors);
  const auto find = [&](std::string_view key) {
    const GgufValue* value = file.find(key);
    return value ? std::optional(value->as_string(file.what(key))) : std::nullopt;
  };
  result.origin = read_statements(find, file.path());
  return result;
}

/// alpha such that alpha / r is a module's scale.
double gguf_alpha(const LoraModule& module, bool use_rslora) {
  return use_rslora ? module.alpha * std::sqrt(static_cast<double>(module.r)) : module.alpha;
}

/// The file's one alpha: the one that most modules have, so that the fewest are folded.
double common_alpha(const LoraAdapter& adapter) {
  std::map<double, std::int64_t> counts;
  for (const LoraModule& module : adapter.modules) ++counts[gguf_alpha(module, adapter.config.use_rslora)];
  return std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })->first;
}

/// B with what the file's alpha does not say folded in, rows in GGUF's order.
void fill_b(const LoraModule& module, double factor, const ModelConfig& model, float* out) {
  std::vector<float> rows(module.b, module.b + module.out * module.r);
  if (factor != 1)
    for (float& value : rows) value = static_cast<float>(double{value} * factor);
  const std::int64_t heads = rotary_heads(model, module.name);
  if (heads == 0) std::ranges::copy(rows, out);
  else rows_to_gguf_order(rows.data(), out, heads, model.head_dim, module.r * 4);
}

std::vector<GgufField> metadata(const LoraAdapter& adapter, const AdapterOrigin& origin, const ModelConfig& model,
                                double alpha) {
  std::vector<GgufField> fields{{"general.architecture", GgufValue::string("llama")},
                                {std::string(kTypeKey), GgufValue::string("adapter")},
                                {std::string(kAdapterTypeKey), GgufValue::string("lora")},
                                {std::string(kAlphaKey), GgufValue::f32(static_cast<float>(alpha))},
                                {"general.file_type", GgufValue::u32(0)}};
  for (GgufField& field : gguf_model_fields(model)) fields.push_back(std::move(field));
  for (auto& [key, value] : adapter_statements(adapter, origin)) fields.emplace_back(key, GgufValue::string(value));
  return fields;
}

}  // namespace

AdapterFile load_gguf_adapter(const std::string& path, const ModelConfig& model) { return load(GgufFile(path), model); }

AdapterFile load_gguf_adapter(const std::string& path) {
  const GgufFile file(path);
  check_keys(file);
  FT_CHECK_FILE(file.find("llama.attention.head_count") != nullptr, schema, path,
                ": does not say the shape of its base, as files of other tools; name the model");
  return load(file, model_config_from_gguf(file));
}

void save_gguf_adapter(const std::string& path, const LoraAdapter& adapter, const AdapterOrigin& origin,
                       const ModelConfig& model) {
  const double alpha = common_alpha(adapter);
  std::vector<GgufSource> tensors;
  for (const LoraModule& module : adapter.modules) {
    const std::string name = gguf_name(concat(module.name, kWeight));
    const double factor = gguf_alpha(module, adapter.config.use_rslora) / alpha;
    tensors.push_back({concat(name, kSuffixA), GgmlType::f32, {module.r, module.in}, module.a, {}});
    const auto fill = [&module, &model, factor](void* out) { fill_b(module, factor, model, static_cast<float*>(out)); };
    tensors.push_back({concat(name, kSuffixB), GgmlType::f32, {module.out, module.r}, nullptr, fill});
  }
  write_gguf(path, metadata(adapter, origin, model, alpha), tensors);
}

}  // namespace ftlib
