// SPDX-License-Identifier: Apache-2.0
#include "model/adapter_io.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ftlib/core/half.h"
#include "ftlib/io/json.h"
#include "model/lora_targets.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += concat(i ? ", " : "", shape[i]);
  return text + "]";
}

using Pair = std::array<const LoraTensor*, 2>;  // A, B

/// A [r, in] and B [out, r] against the linear they adapt. Returns r.
std::int64_t check_pair(std::string_view path, const LoraModule& linear, const Pair& pair) {
  const LoraTensor *a = pair[0], *b = pair[1];
  const LoraTensor* found = a ? a : b;
  FT_CHECK_FILE(a && b, mismatch, path, ": ", found->name, " has no ", a ? "B" : "A", " beside it");
  for (const LoraTensor* tensor : pair)
    FT_CHECK_FILE(tensor->shape.size() == 2, mismatch, path, ": ", tensor->name, " is ", shape_text(tensor->shape),
                  ", want two axes");
  const bool transposed = a->shape[0] == linear.in && a->shape[1] == b->shape[0] && b->shape[1] == linear.out;
  FT_CHECK_FILE(a->shape[1] == linear.in, mismatch, path, ": ", a->name, " is ", shape_text(a->shape), ", want [r, ",
                linear.in, "] for the base's [", linear.out, ", ", linear.in, "]",
                transposed ? "; both are transposed" : "; another base?");
  FT_CHECK_FILE(b->shape[0] == linear.out, mismatch, path, ": ", b->name, " is ", shape_text(b->shape), ", want [",
                linear.out, ", r] for the base's [", linear.out, ", ", linear.in, "]; another base?");
  const std::int64_t r = a->shape[0];
  FT_CHECK_FILE(b->shape[1] == r, mismatch, path, ": ", a->name, " has rank ", r, ", ", b->name, " rank ", b->shape[1]);
  FT_CHECK_FILE(r >= 1 && r <= kLargestRank, range, path, ": ", a->name, " has rank ", r, ", want 1 to ", kLargestRank);
  return r;
}

std::vector<Pair> pairs(std::string_view path, const std::vector<LoraModule>& linears,
                        const std::vector<LoraTensor>& tensors) {
  std::vector<Pair> result(linears.size());
  for (const LoraTensor& tensor : tensors) {
    const LoraTensor*& slot = result[tensor.linear][tensor.is_a ? 0 : 1];
    FT_CHECK_FILE(slot == nullptr, dup, path, ": ", tensor.name, " and ", slot ? slot->name : "", " are one tensor");
    slot = &tensor;
  }
  return result;
}

template <class Half>
void widen(const void* data, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    Half value;
    std::memcpy(&value, static_cast<const char*>(data) + i * 2, 2);
    out[i] = to_float(value);
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> adapter_statements(const LoraAdapter& adapter,
                                                                    const AdapterOrigin& origin) {
  std::vector<std::pair<std::string, std::string>> result;
  result.emplace_back(kFormatKey, kFormat);
  result.emplace_back(kDigestKey, adapter_digest(adapter));
  if (origin.base_digest.empty()) return result;
  result.emplace_back(kBaseDigestKey, origin.base_digest);
  result.emplace_back(kBaseFormatKey, base_format_name(origin.base_format));
  return result;
}

AdapterOrigin read_statements(const std::function<std::optional<std::string>(std::string_view)>& find,
                              std::string_view what) {
  AdapterOrigin origin;
  const std::string format = find(kFormatKey).value_or(std::string(kFormat));
  FT_CHECK_FILE(format == kFormat, version, what, ": ", kFormatKey, " is ", excerpt(format), ", this library reads ",
                kFormat, "; a newer one wrote it");
  origin.base_digest = find(kBaseDigestKey).value_or("");
  if (const auto name = find(kBaseFormatKey)) origin.base_format = base_format_by_name(*name, what);
  return origin;
}

std::string base_format_name(const BaseFormat& format) {
  switch (format.kind) {
    case BaseFormat::Kind::native: return "native";
    case BaseFormat::Kind::f32: return "f32";
    case BaseFormat::Kind::bf16: return "bf16";
    case BaseFormat::Kind::nf4: break;
  }
  return concat("nf4/", format.block_size, format.double_quant ? "/double_quant" : "");
}

BaseFormat base_format_by_name(std::string_view name, std::string_view what) {
  using Kind = BaseFormat::Kind;
  for (const Kind kind : {Kind::native, Kind::f32, Kind::bf16})
    if (const BaseFormat format{kind, 64, false}; base_format_name(format) == name) return format;
  for (std::int32_t block_size = 32; block_size <= 4096; block_size *= 2)
    for (const bool double_quant : {false, true})
      if (const BaseFormat format{Kind::nf4, block_size, double_quant}; base_format_name(format) == name) return format;
  FT_CHECK_FILE(false, unsupported, what, ": ", kBaseFormatKey, " ", excerpt(name), " is not known");
}

LinearIndex::LinearIndex(const std::vector<LoraModule>& linears) {
  for (std::size_t i = 0; i < linears.size(); ++i) index_.emplace(linears[i].name, i);
}

std::optional<std::size_t> LinearIndex::find(std::string_view module) const {
  const auto found = index_.find(module);
  return found == index_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<LoraModule> paired_modules(std::string_view path, const std::vector<LoraModule>& linears,
                                       const std::vector<LoraTensor>& tensors) {
  const std::vector<Pair> by_linear = pairs(path, linears, tensors);
  std::vector<LoraModule> modules;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    if (!by_linear[i][0] && !by_linear[i][1]) continue;
    modules.push_back(linears[i]);
    modules.back().r = check_pair(path, linears[i], by_linear[i]);
  }
  FT_CHECK_FILE(!modules.empty(), mismatch, path, ": holds no adapter tensors");
  return modules;
}

void read_parameters(std::string_view path, LoraAdapter& adapter, const std::vector<LoraModule>& linears,
                     const std::vector<LoraTensor>& tensors) {
  for (const LoraTensor& tensor : tensors) {
    const LoraModule& module = *adapter.find(linears[tensor.linear].layer, linears[tensor.linear].kind);
    float* values = tensor.is_a ? module.a : module.b;
    const std::int64_t count = module.r * (tensor.is_a ? module.in : module.out);
    tensor.read(values);
    const auto wrong = std::find_if_not(values, values + count, [](float value) { return std::isfinite(value); });
    FT_CHECK(wrong == values + count, non_finite, path, ": ", tensor.name, " holds ", *wrong, " at index ",
             wrong - values, "; the training that wrote it diverged");
  }
}

void values_to_f32(const void* data, DType dtype, std::int64_t count, float* out) {
  if (dtype == DType::bf16) return widen<bf16>(data, count, out);
  if (dtype == DType::f16) return widen<f16>(data, count, out);
  std::memcpy(out, data, static_cast<std::size_t>(count) * 4);
}

std::vector<std::string> target_names(const std::vector<LoraModule>& modules, const std::vector<LoraModule>& linears) {
  std::vector<std::string> names;
  for (int i = 0; i < kLinearKinds; ++i) {
    const auto of_kind = [&](const LoraModule& module) { return static_cast<int>(module.kind) == i; };
    const std::string_view path = linear_path(static_cast<LinearKind>(i));
    if (std::ranges::count_if(modules, of_kind) == std::ranges::count_if(linears, of_kind))
      names.emplace_back(path.substr(path.rfind('.') + 1));
    else
      for (const LoraModule& module : modules)
        if (of_kind(module)) names.push_back(module.name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace ftlib
