// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/merge.h"
#include "objects.h"

namespace ftlib::capi {

Adapter::Adapter(AdapterFile adapter, ModelConfig config) : file(std::move(adapter)), model(std::move(config)) {
  for (const LoraModule& module : weights().modules)
    for (const char* which : {".lora_A", ".lora_B"}) names.push_back(module.name + which);
}

const LoraAdapter* fitting(const Model& model, const std::shared_ptr<Adapter>& adapter) {
  if (!adapter) return nullptr;
  const ModelConfig& config = model.weights.config();
  for (const LoraModule& module : adapter->weights().modules) {
    const LinearShape shape = linear_shape(config, module.kind);
    FT_CHECK(module.layer < config.num_hidden_layers && module.out == shape.out && module.in == shape.in, mismatch,
             "the adapter's ", module.name, " is [", module.out, ", ", module.in, "]; ", model.name,
             " has no such linear: the adapter is of another model");
  }
  return &adapter->weights();
}

namespace {

/// [rows, columns] f32, contiguous.
ft_tensor matrix(float* data, std::int64_t rows, std::int64_t columns) {
  ft_tensor t{};
  t.dtype = FT_F32, t.data = data, t.rank = 2;
  t.shape[0] = rows, t.shape[1] = columns;
  t.stride[0] = columns, t.stride[1] = 1;
  return t;
}

void warn_of_other_base(const Model& model, const std::string& path, const AdapterOrigin& origin) {
  try {
    if (!origin.base_digest.empty()) check_base(origin, model.name, model.digest(), model.weights.base());
  } catch (const Error& error) {
    if (error.status() != Status::mismatch) throw;
    warn(concat(path, ": ", error.what()));
  }
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_adapter_open(const ft_model* model, const char* path, ft_adapter** out) {
  return create(out, [&] {
    const auto m = get(model);
    AdapterFile file = load_adapter(need(path, "path"), m->weights.config());
    warn_of_other_base(*m, path, file.origin);
    return std::make_shared<Adapter>(std::move(file), m->weights.config());
  });
}

ft_status ft_adapter_free(ft_adapter* adapter) { return destroy(adapter); }

ft_status ft_adapter_save_peft(const ft_adapter* adapter, const char* folder) {
  return guard([&] {
    const auto a = get(adapter);
    save_peft_adapter(need(folder, "folder"), a->weights(), a->file.origin);
  });
}

ft_status ft_adapter_save_gguf(const ft_adapter* adapter, const char* path) {
  return guard([&] {
    const auto a = get(adapter);
    save_gguf_adapter(need(path, "path"), a->weights(), a->file.origin, a->model);
  });
}

ft_status ft_adapter_get_info(const ft_adapter* adapter, ft_adapter_info* info) {
  return guard([&] {
    const auto a = get(adapter);
    const LoraConfig& c = a->weights().config;
    ft_adapter_info value{};
    value.use_rslora = c.use_rslora, value.r = c.r;
    value.lora_alpha = c.lora_alpha, value.lora_dropout = c.lora_dropout;
    value.parameter_count = a->weights().parameter_count, value.tensor_count = a->names.size();
    value.digest = a->digest().c_str(), value.base_digest = a->file.origin.base_digest.c_str();
    fill_struct(info, value, "info");
  });
}

ft_status ft_adapter_tensor(const ft_adapter* adapter, size_t index, const char** name, float* scale,
                            ft_tensor* tensor) {
  return guard([&] {
    const auto a = get(adapter);
    FT_CHECK(index < a->names.size(), invalid_argument, "there are ", a->names.size(), " tensors, index is ", index);
    const LoraModule& module = a->weights().modules[index / 2];
    fill_struct(tensor, index % 2 == 0 ? matrix(module.a, module.r, module.in) : matrix(module.b, module.out, module.r),
                "tensor");
    if (name) *name = a->names[index].c_str();
    if (scale) *scale = module.scale;
  });
}

ft_status ft_merge(const ft_model* model, const ft_adapter* adapter, const char* out, const char* format,
                   ft_work_callback callback, void* user) {
  return guard([&] {
    check_process();
    const auto m = get(model);
    const auto a = get(adapter);
    FT_CHECK(m->files != nullptr, unsupported, "ft_merge: the model was opened from memory; open it from its path");
    merge_adapter(*m->files, a->file, need(out, "out"), weight_format_by_name(need(format, "format")).format,
                  [&](const MergeProgress& now) {
                    if (!wants_to_go_on(callback, now.done_bytes, now.total_bytes, user)) cancelled("ft_merge");
                  });
  });
}
