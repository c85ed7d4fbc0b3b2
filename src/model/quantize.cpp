// SPDX-License-Identifier: Apache-2.0
#include "model/quantize.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <filesystem>
#include <memory>

#include "ftlib/core/buffer.h"
#include "ftlib/core/parallel.h"
#include "ftlib/model/bitsandbytes.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kKeptModules[] = {"embed_tokens",
                                             "embed_positions",
                                             "wte",
                                             "wpe",
                                             "tok_embeddings",
                                             "token_embd",
                                             "word_embeddings",
                                             "position_embeddings",
                                             "token_type_embeddings",
                                             "shared",
                                             "embed_in",
                                             "embed_out",
                                             "lm_head",
                                             "output",
                                             "score"};

bool becomes_nf4(const InputTensor& t) {
  const bool is_float =
      t.dtype == SafetensorsDType::f32 || t.dtype == SafetensorsDType::bf16 || t.dtype == SafetensorsDType::f16;
  return is_float && t.shape.size() == 2 && t.bytes > 0 && is_nf4_candidate(t.name);
}

/// The index of the first NaN or infinity of f32, bf16 or f16 values, or n.
std::int64_t first_non_finite(const ConstTensorView& values) {
  const std::int64_t n = values.numel();
  std::atomic<std::int64_t> first{n};
  parallel_ranges(n, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const bool bad = values.dtype == DType::f32    ? (data_as<std::uint32_t>(values)[i] >> 23 & 0xff) == 0xff
                       : values.dtype == DType::bf16 ? (data_as<std::uint16_t>(values)[i] >> 7 & 0xff) == 0xff
                                                     : (data_as<std::uint16_t>(values)[i] >> 10 & 0x1f) == 0x1f;
      if (!bad) continue;
      std::int64_t seen = first.load();
      while (i < seen && !first.compare_exchange_weak(seen, i)) continue;
      return;
    }
  });
  return first.load();
}

/// Quantises one tensor at a time and keeps the last result, since the file's order asks for a tensor's parts apart.
class Quantizer {
 public:
  Quantizer(const Nf4Options& options, const QuantizeProgressFunction& progress, std::int64_t total_bytes)
      : options_(options), progress_(progress), total_bytes_(total_bytes) {}

  void note(const InputTensor& tensor) {
    if (progress_) progress_({tensor.name, done_bytes_, total_bytes_});
    done_bytes_ += tensor.bytes;
  }

  /// Codes, scales and, where double quantised, their scales and offset of `tensor`.
  const WeightView& run(const InputTensor& tensor) {
    if (last_ == &tensor) return view_;
    last_ = nullptr;
    note(tensor);
    const DType dtype = *core_dtype(tensor.dtype);
    Buffer values(tensor.bytes);
    tensor.read(values.data());
    view_ = {};
    view_.format = WeightFormat::nf4, view_.block_size = options_.block_size, view_.dtype = dtype;
    view_.shape[0] = tensor.shape[0], view_.shape[1] = tensor.shape[1];
    const std::int64_t n = view_.numel();
    const ConstTensorView input = vector_view<const void*>(values.data(), n, dtype);
    const std::int64_t bad = first_non_finite(input);
    FT_CHECK(bad == n, non_finite, tensor.file, ": ", tensor.name, ": element [", bad / tensor.shape[1], ", ",
             bad % tensor.shape[1], "] is NaN or infinite and cannot become nf4");
    quantize(input);
    last_ = &tensor;
    return view_;
  }

 private:
  void quantize(const ConstTensorView& input) {
    const std::int64_t n = view_.numel(), blocks = (n + options_.block_size - 1) / options_.block_size;
    codes_ = Buffer(weight_data_bytes(WeightFormat::nf4, n));
    absmax_ = Buffer(blocks * 4);
    const auto absmax = vector_view<void*>(absmax_.data(), blocks);
    nf4_quantize({input, options_.block_size, vector_view<void*>(codes_.data(), codes_.bytes(), DType::u8), absmax});
    view_.data = codes_.data(), view_.scales = absmax_.data();
    if (!options_.double_quant) return;
    nested_codes_ = Buffer(blocks);
    nested_scales_ = Buffer((blocks + 255) / 256 * 4);
    view_.nested_offset = double_quantize({absmax, vector_view<void*>(nested_codes_.data(), blocks, DType::u8),
                                           vector_view<void*>(nested_scales_.data(), nested_scales_.bytes() / 4)});
    view_.scales = nested_codes_.data(), view_.nested_scales = nested_scales_.as<float>();
    view_.nested_code = dynamic_map(true);
  }

  const Nf4Options& options_;
  const QuantizeProgressFunction& progress_;
  std::int64_t total_bytes_, done_bytes_ = 0;
  const InputTensor* last_ = nullptr;
  Buffer codes_, absmax_, nested_codes_, nested_scales_;
  WeightView view_;
};

/// The parts of one candidate, their bytes made when the writer asks. Only the offset must be known before: it stands
/// in quant_state, whose length stands in the header.
void add_quantized(Quantizer& quantizer, const InputTensor& tensor, const Nf4Options& options,
                   std::vector<SafetensorsSource>& sources) {
  WeightView layout;
  if (options.double_quant) {
    layout = quantizer.run(tensor);
  } else {
    layout.format = WeightFormat::nf4, layout.block_size = options.block_size, layout.dtype = *core_dtype(tensor.dtype);
    layout.shape[0] = tensor.shape[0], layout.shape[1] = tensor.shape[1];
  }
  const auto fill_from = [&](std::size_t part, const void* WeightView::*data) {
    std::int64_t bytes = 1;
    for (const std::int64_t extent : sources[part].shape) bytes *= extent;
    if (sources[part].dtype == SafetensorsDType::f32) bytes *= 4;
    sources[part].fill = [&quantizer, &tensor, data, bytes](void* out) {
      std::memcpy(out, quantizer.run(tensor).*data, static_cast<std::size_t>(bytes));
    };
    sources[part].data = nullptr;
  };
  const std::size_t first = sources.size();
  for (SafetensorsSource& part : bitsandbytes_sources(tensor.name, layout)) sources.push_back(std::move(part));
  fill_from(first, &WeightView::data);
  fill_from(first + 1, &WeightView::scales);
  if (!options.double_quant) return;
  const auto* nested = static_cast<const float*>(sources[first + 4].data);
  const std::vector<float> kept(nested, nested + sources[first + 4].shape[0]);
  sources[first + 4].fill = [kept](void* out) { std::memcpy(out, kept.data(), kept.size() * 4); };
  sources[first + 4].data = nullptr;
}

}  // namespace

bool is_nf4_candidate(std::string_view name) noexcept {
  constexpr std::string_view kWeight = ".weight";
  if (!name.ends_with(kWeight)) return false;
  name.remove_suffix(kWeight.size());
  const std::string_view module = name.substr(name.rfind('.') + 1);  // npos + 1 is 0
  return !std::ranges::count(kKeptModules, module);
}

void check_nf4_options(const Nf4Options& options) {
  const std::int32_t size = options.block_size;
  FT_CHECK(size >= 32 && size <= 4096 && (size & (size - 1)) == 0, invalid_argument, "[quantize] block size, got ",
           size, ", want 32, 64, 128, 256, 512, 1024, 2048 or 4096");
}

std::vector<InputTensor> input_tensors(const SafetensorsModel& model) {
  const std::vector<BitsAndBytesWeight> known = bitsandbytes_weights(model);
  FT_CHECK(known.empty(), unsupported, model.files()[0].path(), ": ", known.empty() ? "" : known[0].name,
           " is 4-bit already; quantise the original model");
  std::vector<InputTensor> tensors;
  for (const SafetensorsModel::Tensor& t : model.tensors())
    tensors.push_back({t.file->path(), t.tensor->name, t.tensor->dtype, t.tensor->shape, t.tensor->bytes,
                       [t](void* out) { t.file->read(*t.tensor, out); }});
  return tensors;
}

QuantizeReport write_quantized(const std::string& out, std::span<const InputTensor> tensors,
                               const SafetensorsMetadata& metadata, const Nf4Options& options,
                               const QuantizeProgressFunction& progress) {
  QuantizeReport report;
  std::int64_t passes = 0;
  for (const InputTensor& tensor : tensors) passes += tensor.bytes * (becomes_nf4(tensor) ? 2 : 1);
  Quantizer quantizer(options, progress, passes);
  std::vector<SafetensorsSource> sources;
  for (const InputTensor& tensor : tensors) {
    if (becomes_nf4(tensor)) {
      ++report.quantized;
      add_quantized(quantizer, tensor, options, sources);
    } else {
      ++report.copied;
      sources.push_back({tensor.name, tensor.dtype, tensor.shape, nullptr, [&quantizer, &tensor](void* bytes) {
                           quantizer.note(tensor);
                           tensor.read(bytes);
                         }});
    }
  }
  write_safetensors(out, sources, metadata);
  const SafetensorsFile written(out);
  for (const SafetensorsTensor& tensor : written.tensors()) report.bytes += tensor.bytes;
  return report;
}

QuantizeReport quantize_file(const std::string& in, const std::string& out, const Nf4Options& options,
                             const QuantizeProgressFunction& progress) {
  check_nf4_options(options);
  std::error_code ignored;
  FT_CHECK(!std::filesystem::equivalent(in, out, ignored), invalid_argument, "[quantize] ", out,
           " is the model itself; write to another file");
  const SafetensorsModel model(in);
  const std::vector<InputTensor> tensors = input_tensors(model);
  return write_quantized(out, tensors, model.files()[0].metadata(), options, progress);
}

}  // namespace ftlib::inline FTLIB_ABI
