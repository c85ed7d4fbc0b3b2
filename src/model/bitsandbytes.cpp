// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/bitsandbytes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kAbsmax = ".absmax", kQuantMap = ".quant_map", kNestedAbsmax = ".nested_absmax",
                           kNestedQuantMap = ".nested_quant_map", kQuantState = ".quant_state.bitsandbytes__nf4",
                           kAnyQuantState = ".quant_state.", kInt8Scales = ".SCB";
constexpr std::string_view kParts[] = {kAbsmax, kQuantMap, kNestedAbsmax, kNestedQuantMap, kQuantState};
constexpr std::int64_t kNestedBlockSize = 256, kLargestQuantState = 4096;

std::string_view torch_name(DType dtype) {
  return dtype == DType::f32 ? "float32" : dtype == DType::bf16 ? "bfloat16" : "float16";
}

std::int64_t blocks(std::int64_t n, std::int64_t size) { return n / size + (n % size != 0); }

/// The statistics in one buffer, each part at a multiple of 64.
struct Parts {
  std::int64_t absmax, nested_absmax, total;
  explicit Parts(const BitsAndBytesWeight& w) {
    const auto padded = [](std::int64_t bytes) { return (bytes + 63) / 64 * 64; };
    absmax = padded(w.absmax.tensor->bytes);
    nested_absmax = absmax + (w.double_quant ? padded(w.nested_absmax.tensor->bytes) : 0);
    total = nested_absmax + (w.double_quant ? w.nested_quant_map.tensor->bytes : 0);
  }
};

/// Reads and checks one weight; every error names the file and the tensor.
class Checker {
 public:
  Checker(const SafetensorsModel& model, std::string name) : model_(model) { weight_.name = std::move(name); }

  BitsAndBytesWeight run() {
    read_quant_state();
    const std::int64_t numel = weight_.layout.numel(), count = blocks(numel, weight_.layout.block_size);
    weight_.codes = part("", {});
    check_codes(numel);
    weight_.absmax = part(kAbsmax, count);
    check(weight_.absmax, weight_.double_quant ? SafetensorsDType::u8 : SafetensorsDType::f32);
    const SafetensorsModel::Tensor quant_map = part(kQuantMap, 16);
    check(quant_map, SafetensorsDType::f32);
    check_codebook(quant_map);
    if (weight_.double_quant) {
      weight_.nested_absmax = part(kNestedAbsmax, blocks(count, kNestedBlockSize));
      weight_.nested_quant_map = part(kNestedQuantMap, 256);
      check(weight_.nested_absmax, SafetensorsDType::f32);
      check(weight_.nested_quant_map, SafetensorsDType::f32);
    }
    return weight_;
  }

 private:
  static std::string where(const SafetensorsModel::Tensor& t) { return concat(t.file->path(), ": ", t.tensor->name); }

  SafetensorsModel::Tensor part(std::string_view suffix, std::int64_t numel) const {
    const SafetensorsModel::Tensor* found = model_.find(concat(weight_.name, suffix));
    FT_CHECK_FILE(found, mismatch, where(state_), ": the 4-bit weight lacks its ",
                  suffix.empty() ? weight_.name : suffix);
    FT_CHECK_FILE(suffix.empty() || (found->tensor->shape.size() == 1 && found->tensor->shape[0] == numel), mismatch,
                  where(*found), ": got ", describe(*found->tensor), ", quant_state wants [", numel, "]");
    return *found;
  }

  static void check(const SafetensorsModel::Tensor& t, SafetensorsDType want) {
    FT_CHECK_FILE(t.tensor->dtype == want, dtype, where(t), ": got ", safetensors_dtype_name(t.tensor->dtype),
                  ", want ", safetensors_dtype_name(want));
  }

  void check_codes(std::int64_t numel) const {
    const SafetensorsTensor& t = *weight_.codes.tensor;
    const SafetensorsDType kStorage[] = {SafetensorsDType::u8, SafetensorsDType::bf16, SafetensorsDType::f16,
                                         SafetensorsDType::f32};
    FT_CHECK_FILE(std::ranges::count(kStorage, t.dtype), dtype, where(weight_.codes), ": got ",
                  safetensors_dtype_name(t.dtype), ", want 4-bit codes as U8, BF16, F16 or F32");
    const std::int64_t want = weight_data_bytes(WeightFormat::nf4, numel);
    FT_CHECK_FILE(t.bytes == want, mismatch, where(weight_.codes), ": got ", t.bytes,
                  " bytes of codes, quant_state wants ", want);
  }

  /// bitsandbytes' kernels have the codebook built in and never read this copy; one that differs means other codes.
  void check_codebook(const SafetensorsModel::Tensor& t) const {
    float values[16];
    t.file->read(*t.tensor, values);
    for (int i = 0; i < 16; ++i)
      FT_CHECK_FILE(std::fabs(values[i] - kNf4Values[i]) <= 1e-6f, mismatch, where(t), ": entry ", i, ", got ",
                    values[i], ", want NF4's ", kNf4Values[i]);
  }

  void read_quant_state() {
    state_ = *model_.find(concat(weight_.name, kQuantState));
    check(state_, SafetensorsDType::u8);
    FT_CHECK_FILE(state_.tensor->bytes <= kLargestQuantState, limit, where(state_), ": got ", state_.tensor->bytes,
                  " bytes, the limit is ", kLargestQuantState);
    std::string text(static_cast<std::size_t>(state_.tensor->bytes), '\0');
    state_.file->read(*state_.tensor, text.data());
    json_ = parse_json(text, where(state_));
    json_.as_object(where(state_));
    refuse_unknown_fields();
    const std::string& type = field("quant_type").as_string(what("quant_type"));
    FT_CHECK_FILE(type == "nf4", unsupported, what("quant_type"), ": \"", excerpt(type),
                  "\" is not supported (nf4 is)");
    weight_.layout.format = WeightFormat::nf4;
    weight_.layout.block_size = block_size();
    weight_.layout.dtype = dtype();
    read_shape();
    weight_.double_quant = json_.find("nested_offset") || json_.find("nested_blocksize") || json_.find("nested_dtype");
    if (weight_.double_quant) read_nested();
  }

  void refuse_unknown_fields() const {
    constexpr std::string_view kFields[] = {"quant_type",       "blocksize",    "dtype",        "shape",
                                            "nested_blocksize", "nested_dtype", "nested_offset"};
    for (const auto& [key, value] : json_.as_object(where(state_)))
      FT_CHECK_FILE(std::ranges::count(kFields, key), schema, where(state_), ": unknown field \"", excerpt(key), "\"");
  }

  const Json& field(std::string_view key) const { return json_.at(key, where(state_)); }
  std::string what(std::string_view key) const { return concat(where(state_), ": ", key); }

  std::int32_t block_size() const {
    const std::int64_t size = field("blocksize").as_integer(what("blocksize"));
    FT_CHECK_FILE(size >= 32 && size <= 4096 && (size & (size - 1)) == 0, range, what("blocksize"), ": got ", size,
                  ", want 32, 64, 128, 256, 512, 1024, 2048 or 4096");
    return static_cast<std::int32_t>(size);
  }

  DType dtype() const {
    const std::string& name = field("dtype").as_string(what("dtype"));
    if (name == "float32") return DType::f32;
    if (name == "bfloat16") return DType::bf16;
    FT_CHECK_FILE(name == "float16", dtype, what("dtype"), ": got \"", excerpt(name),
                  "\", want float32, bfloat16 or float16");
    return DType::f16;
  }

  void read_shape() {
    const Json::Array& shape = field("shape").as_array(what("shape"));
    FT_CHECK_FILE(shape.size() == 2, shape, what("shape"), ": got ", shape.size(), " axes, want [out, in]");
    for (std::size_t i = 0; i < 2; ++i)
      weight_.layout.shape[i] = shape[i].as_integer(what("shape"), 1, std::int64_t{1} << 31);
  }

  void read_nested() {
    const std::int64_t size = field("nested_blocksize").as_integer(what("nested_blocksize"));
    FT_CHECK_FILE(size == kNestedBlockSize, unsupported, what("nested_blocksize"), ": ", size,
                  " is not supported (256 is)");
    const std::string& name = field("nested_dtype").as_string(what("nested_dtype"));
    FT_CHECK_FILE(name == "float32", unsupported, what("nested_dtype"), ": \"", excerpt(name),
                  "\" is not supported (float32 is)");
    const double offset = field("nested_offset").as_number(what("nested_offset"));
    FT_CHECK_FILE(std::isfinite(static_cast<float>(offset)), range, what("nested_offset"), ": ", offset,
                  " is beyond f32");
    weight_.layout.nested_offset = static_cast<float>(offset);
  }

  const SafetensorsModel& model_;
  SafetensorsModel::Tensor state_{};
  Json json_;
  BitsAndBytesWeight weight_;
};

/// "P.absmax" -> "P"; empty for the name of no part.
std::string_view owner_of(std::string_view name) noexcept {
  for (const std::string_view suffix : kParts)
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  return {};
}

void refuse_other_quantisations(const SafetensorsModel::Tensor& t) {
  const std::string& name = t.tensor->name;
  FT_CHECK_FILE(!name.ends_with(kInt8Scales), unsupported, t.file->path(), ": ", name,
                ": LLM.int8 weights are not supported (bitsandbytes NF4 is)");
  const std::size_t at = name.rfind(kAnyQuantState);
  if (at == name.npos || name.ends_with(kQuantState)) return;
  FT_CHECK_FILE(false, unsupported, t.file->path(), ": ", name, ": the 4-bit type \"",
                excerpt(name.substr(at + kAnyQuantState.size())), "\" is not supported (bitsandbytes__nf4 is)");
}

}  // namespace

bool is_bitsandbytes_part(std::string_view name) noexcept { return !owner_of(name).empty(); }

std::vector<BitsAndBytesWeight> bitsandbytes_weights(const SafetensorsModel& model) {
  std::vector<BitsAndBytesWeight> weights;
  for (const SafetensorsModel::Tensor& t : model.tensors()) {
    refuse_other_quantisations(t);
    if (t.tensor->name.ends_with(kQuantState))
      weights.push_back(Checker(model, std::string(owner_of(t.tensor->name))).run());
  }
  std::ranges::sort(weights, {}, &BitsAndBytesWeight::name);
  for (const SafetensorsModel::Tensor& t : model.tensors()) {
    const std::string_view owner = owner_of(t.tensor->name);
    if (owner.empty()) continue;
    const auto found = std::ranges::lower_bound(weights, owner, {}, &BitsAndBytesWeight::name);
    const bool known = found != weights.end() && found->name == owner;
    const bool nested = t.tensor->name.ends_with(kNestedAbsmax) || t.tensor->name.ends_with(kNestedQuantMap);
    FT_CHECK_FILE(known && (found->double_quant || !nested), mismatch, t.file->path(), ": ", t.tensor->name,
                  ": no quant_state of a 4-bit weight uses it");
  }
  return weights;
}

void read_bitsandbytes_codes(const BitsAndBytesWeight& weight, void* out) {
  weight.codes.file->read(*weight.codes.tensor, out);
}

void read_bitsandbytes_statistics(const BitsAndBytesWeight& weight, WeightView& view, Buffer& statistics) {
  const Parts parts(weight);
  Buffer memory(parts.total);
  weight.absmax.file->read(*weight.absmax.tensor, memory.data());
  const void* data = view.data;
  view = weight.layout;
  view.data = data, view.scales = memory.data();
  if (weight.double_quant) {
    auto* nested = reinterpret_cast<float*>(memory.data() + parts.absmax);
    auto* map = reinterpret_cast<float*>(memory.data() + parts.nested_absmax);
    weight.nested_absmax.file->read(*weight.nested_absmax.tensor, nested);
    weight.nested_quant_map.file->read(*weight.nested_quant_map.tensor, map);
    for (int i = 0; i < 256; ++i)
      FT_CHECK_FILE(std::isfinite(map[i]), range, weight.nested_quant_map.file->path(), ": ",
                    weight.nested_quant_map.tensor->name, ": entry ", i, " is ", map[i]);
    view.nested_scales = nested, view.nested_code = map;
  }
  statistics = std::move(memory);
}

Nf4Weight read_bitsandbytes(const BitsAndBytesWeight& weight) {
  Nf4Weight result;
  result.codes = Buffer(weight.codes.tensor->bytes);
  read_bitsandbytes_codes(weight, result.codes.data());
  result.view.data = result.codes.data();
  read_bitsandbytes_statistics(weight, result.view, result.statistics);
  return result;
}

bool check_bitsandbytes_config(const Json& config, std::string_view what) {
  const Json* section = config.find("quantization_config");
  if (section == nullptr || section->is_null()) return false;
  const std::string where = concat(what, ": quantization_config");
  const std::string& method = section->at("quant_method", where).as_string(concat(where, ".quant_method"));
  FT_CHECK_FILE(method == "bitsandbytes", unsupported, where, ".quant_method: \"", excerpt(method),
                "\" is not supported (bitsandbytes is)");
  const Json* four_bit = section->find("load_in_4bit");
  FT_CHECK_FILE(four_bit != nullptr && four_bit->as_bool(concat(where, ".load_in_4bit")), unsupported, where,
                ": only load_in_4bit is supported");
  const Json* type = section->find("bnb_4bit_quant_type");  // absent, transformers takes fp4
  const std::string name = type == nullptr ? "fp4" : type->as_string(concat(where, ".bnb_4bit_quant_type"));
  FT_CHECK_FILE(name == "nf4", unsupported, where, ".bnb_4bit_quant_type: \"", excerpt(name),
                "\" is not supported (nf4 is)");
  return true;
}

Json bitsandbytes_config(bool double_quant, DType compute_dtype) {
  Json json;
  json.append("_load_in_4bit", true);
  json.append("_load_in_8bit", false);
  json.append("bnb_4bit_compute_dtype", torch_name(compute_dtype));
  json.append("bnb_4bit_quant_storage", "uint8");
  json.append("bnb_4bit_quant_type", "nf4");
  json.append("bnb_4bit_use_double_quant", double_quant);
  json.append("llm_int8_enable_fp32_cpu_offload", false);
  json.append("llm_int8_has_fp16_weight", false);
  json.append("llm_int8_skip_modules", nullptr);
  json.append("llm_int8_threshold", 6.0);
  json.append("load_in_4bit", true);
  json.append("load_in_8bit", false);
  json.append("quant_method", "bitsandbytes");
  return json;
}

std::string bitsandbytes_quant_state(const WeightView& weight) {
  Json json;
  json.append("quant_type", "nf4");
  json.append("blocksize", std::int64_t{weight.block_size});
  json.append("dtype", torch_name(weight.dtype));
  json.append("shape", Json::Array{Json(weight.out()), Json(weight.in())});
  if (weight.nested_code != nullptr) {
    json.append("nested_blocksize", kNestedBlockSize);
    json.append("nested_dtype", "float32");
    json.append("nested_offset", static_cast<double>(weight.nested_offset));
  }
  return dump_json(json, kPythonJson);
}

std::vector<SafetensorsSource> bitsandbytes_sources(const std::string& name, const WeightView& weight) {
  const std::int64_t count = blocks(weight.numel(), weight.block_size);
  const bool nested = weight.nested_code != nullptr;
  const auto f32 = SafetensorsDType::f32, u8 = SafetensorsDType::u8;
  const auto part = [&](std::string_view suffix, SafetensorsDType dtype, std::vector<std::int64_t> shape,
                        const void* data) {
    return SafetensorsSource{concat(name, suffix), dtype, std::move(shape), data, {}};
  };
  std::vector<SafetensorsSource> sources;
  sources.push_back(part("", u8, {weight_data_bytes(WeightFormat::nf4, weight.numel()), 1}, weight.data));
  sources.push_back(part(kAbsmax, nested ? u8 : f32, {count}, weight.scales));
  sources.push_back(part(kQuantMap, f32, {16}, kNf4Values));
  const std::string state = bitsandbytes_quant_state(weight);
  sources.push_back(part(kQuantState, u8, {static_cast<std::int64_t>(state.size())}, nullptr));
  sources.back().fill = [state](void* out) { std::memcpy(out, state.data(), state.size()); };
  if (nested) {
    sources.push_back(part(kNestedAbsmax, f32, {blocks(count, kNestedBlockSize)}, weight.nested_scales));
    sources.push_back(part(kNestedQuantMap, f32, {256}, weight.nested_code));
  }
  return sources;
}

}  // namespace ftlib::inline FTLIB_ABI
