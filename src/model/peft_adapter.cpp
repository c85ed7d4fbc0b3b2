// SPDX-License-Identifier: Apache-2.0
// PEFT's folder: adapter_config.json beside adapter_model.safetensors.
#include <algorithm>
#include <filesystem>
#include <optional>

#include "ftlib/io/atomic_file.h"
#include "ftlib/io/safetensors.h"
#include "model/adapter_io.h"
#include "model/lora_targets.h"
#include "model/peft_config.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kConfigName = "adapter_config.json", kWeightsName = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.", kSuffixA = ".lora_A.weight", kSuffixB = ".lora_B.weight";

struct Unsupported {
  std::string_view part, what;
};
constexpr Unsupported kUnsupported[] = {
    {".lora_magnitude_vector", "use_dora"},         {".lora_embedding_", "an adapter on the embedding"},
    {".lora_B.bias", "lora_bias"},                  {".token_adapter.", "trainable_token_indices"},
    {".base_layer.", "a base layer's own weights"}, {".modules_to_save.", "modules_to_save"},
    {"lm_head.", "an adapter on the head"},         {"embed_tokens", "an adapter on the embedding"}};

/// Says as exactly as possible why a tensor has no place.
[[noreturn]] void refuse_tensor(const std::string& path, const SafetensorsTensor& tensor, const ModelConfig& model) {
  for (const auto& [part, what] : kUnsupported)
    FT_CHECK_FILE(tensor.name.find(part) == tensor.name.npos, unsupported, path, ": ", excerpt(tensor.name, 128),
                  " belongs to ", what, ", which is not supported");
  throw Error(Status::invalid_file, Reason::mismatch,
              concat(path, ": ", excerpt(tensor.name, 128), " is not ", kPrefix, "MODULE", kSuffixA, " or ", kSuffixB,
                     " of a linear of a model with ", model.num_hidden_layers, " layers"));
}

/// The linear that a tensor adapts, where its name is that of A or B of one.
std::optional<std::size_t> adapted_linear(std::string_view name, const LinearIndex& index) {
  const bool known = name.starts_with(kPrefix) && (name.ends_with(kSuffixA) || name.ends_with(kSuffixB));
  if (!known || name.size() < kPrefix.size() + kSuffixA.size()) return std::nullopt;
  return index.find(name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffixA.size()));
}

LoraTensor lora_tensor(const SafetensorsFile& file, const SafetensorsTensor& stored) {
  const std::optional<DType> dtype = core_dtype(stored.dtype);
  FT_CHECK_FILE(dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16, dtype, file.path(), ": ",
                stored.name, " is ", safetensors_dtype_name(stored.dtype), ", want F32, F16 or BF16");
  LoraTensor tensor;
  tensor.name = stored.name;
  tensor.is_a = stored.name.ends_with(kSuffixA);
  tensor.shape = stored.shape;
  tensor.read = [&file, &stored, dtype](float* out) {
    if (*dtype == DType::f32) return file.read(stored, out);
    std::vector<std::byte> halves(static_cast<std::size_t>(stored.bytes));
    file.read(stored, halves.data());
    values_to_f32(halves.data(), *dtype, stored.numel(), out);
  };
  return tensor;
}

std::vector<LoraTensor> lora_tensors(const SafetensorsFile& file, const std::vector<LoraModule>& linears,
                                     const ModelConfig& model) {
  const LinearIndex index(linears);
  std::vector<LoraTensor> tensors;
  for (const SafetensorsTensor& stored : file.tensors()) {
    const std::optional<std::size_t> linear = adapted_linear(stored.name, index);
    if (!linear) refuse_tensor(file.path(), stored, model);
    tensors.push_back(lora_tensor(file, stored));
    tensors.back().linear = *linear;
  }
  return tensors;
}

/// Configuration and tensors must speak of the same modules and ranks.
void check_agreement(const std::string& folder, const std::vector<char>& selected,
                     const std::vector<LoraModule>& linears, const std::vector<LoraModule>& stored) {
  auto next = stored.begin();  // in the order of the linears
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const bool has = next != stored.end() && next->name == linears[i].name, wanted = selected[i] != 0;
    FT_CHECK_FILE(has == wanted, mismatch, folder, ": ", kConfigName, wanted ? " selects " : " does not select ",
                  linears[i].name, ", ", kWeightsName, has ? " has tensors for it" : " has none for it");
    next += has;
  }
}

void check_ranks(const std::string& folder, const std::vector<LoraModule>& want, const std::vector<LoraModule>& got) {
  for (std::size_t i = 0; i < want.size(); ++i)
    FT_CHECK_FILE(want[i].r == got[i].r, mismatch, folder, ": ", want[i].name, " has rank ", got[i].r, " in ",
                  kWeightsName, ", ", want[i].r, " by ", kConfigName);
}

/// What make_lora_adapter() would take: only names and patterns that mean something, exclusions resolved.
LoraConfig normalized(const PeftConfig& config, const std::vector<LoraModule>& modules,
                      const std::vector<LoraModule>& linears, const std::vector<std::string>& unused_patterns) {
  LoraConfig lora = config.lora;
  const auto unused = [&](const auto& entry) { return std::ranges::count(unused_patterns, entry.first) > 0; };
  std::erase_if(lora.rank_pattern, unused);
  std::erase_if(lora.alpha_pattern, unused);
  const std::vector<std::string> nothing = select_targets(linears, lora).nothing;
  std::erase_if(lora.target_modules, [&](const std::string& name) { return std::ranges::count(nothing, name) > 0; });
  const bool excluding = !config.exclude_modules.empty() || !config.exclude_regex.empty() ||
                         !config.layers_to_transform.empty();
  if (!excluding) return lora;
  lora.target_regex.clear();
  lora.target_modules = target_names(modules, linears);
  return lora;
}

std::string file_in(const std::string& folder, std::string_view name) { return concat(folder, "/", name); }

void check_files(const std::string& folder) {
  const auto there = [&](std::string_view name) { return std::filesystem::exists(file_in(folder, name)); };
  FT_CHECK(there(kConfigName), not_found, "[adapter] ", folder, " has no ", kConfigName);
  if (there(kWeightsName)) return;
  FT_CHECK_FILE(!there("adapter_model.bin"), unsupported, folder,
                ": adapter_model.bin is a pickle and never read; load it in PEFT and save_pretrained() it again");
  throw Error(Status::not_found, concat("[adapter] ", folder, " has no ", kWeightsName));
}

std::optional<std::string> find_metadata(const SafetensorsFile& file, std::string_view key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  return std::nullopt;
}

}  // namespace

AdapterFile load_peft_adapter(const std::string& folder, const ModelConfig& model) {
  check_files(folder);
  const std::string config_path = file_in(folder, kConfigName);
  const PeftConfig config =
      peft_config_from_json(parse_json(read_file(config_path, 16 << 20), config_path), config_path);
  const SafetensorsFile file(file_in(folder, kWeightsName));
  const std::vector<LoraModule> linears = all_linears(model);
  for (const std::int64_t layer : config.layers_to_transform)
    FT_CHECK_FILE(layer < model.num_hidden_layers, range, config_path, ": layers_to_transform: ", layer,
                  " is not below the model's ", model.num_hidden_layers, " layers");

  AdapterFile result;
  result.origin = read_statements([&](std::string_view key) { return find_metadata(file, key); }, file.path());
  result.origin.base_model_name_or_path = config.base_model_name_or_path;
  const std::vector<LoraTensor> tensors = lora_tensors(file, linears, model);
  const std::vector<LoraModule> stored = paired_modules(file.path(), linears, tensors);
  check_agreement(folder, select_modules(config, linears, config_path), linears, stored);

  LoraAdapter& adapter = result.adapter;
  adapter.modules = stored;
  const std::vector<std::string> unused =
      as_file_error(config_path, [&] { return resolve_ranks(adapter.modules, config.lora); });
  check_ranks(folder, adapter.modules, stored);
  adapter.config = normalized(config, adapter.modules, linears, unused);
  allocate_parameters(adapter);
  read_parameters(file.path(), adapter, linears, tensors);
  const std::string stated = find_metadata(file, kDigestKey).value_or("");
  FT_CHECK_FILE(stated.empty() || stated == adapter_digest(adapter), mismatch, folder, ": ", kConfigName, " and ",
                kWeightsName, " do not belong together, or one was changed: the digest stated is not theirs; if the "
                "change is meant, save the adapter again with PEFT, which states none");
  return result;
}

void save_peft_adapter(const std::string& folder, const LoraAdapter& adapter, const AdapterOrigin& origin) {
  make_directories(folder);
  std::vector<SafetensorsSource> tensors;
  for (const LoraModule& module : adapter.modules) {
    const auto add = [&](std::string_view suffix, std::int64_t rows, std::int64_t columns, const float* values) {
      tensors.push_back({concat(kPrefix, module.name, suffix), SafetensorsDType::f32, {rows, columns}, values, {}});
    };
    add(kSuffixA, module.r, module.in, module.a);
    add(kSuffixB, module.out, module.r, module.b);
  }
  SafetensorsMetadata metadata{{"format", "pt"}};
  for (auto& statement : adapter_statements(adapter, origin)) metadata.push_back(std::move(statement));
  write_safetensors(file_in(folder, kWeightsName), tensors, metadata);
  const Json config = peft_config_to_json(adapter, origin.base_model_name_or_path);
  write_file_atomic(file_in(folder, kConfigName), dump_json(config, kPythonPrettyJson));
}

}  // namespace ftlib
