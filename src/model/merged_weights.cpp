// SPDX-License-Identifier: Apache-2.0
#include "model/merged_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>

#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"
#include "model/base_weight.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kRowsAtOnce = 64;
constexpr std::string_view kWeight = ".weight", kTiedHead = "lm_head.weight";

/// row += scale * (b A) for one row b of B; the product is summed in f32 first, by ascending rank.
void add_product(const LoraModule& module, std::int64_t i, float* product, float* row) {
  std::fill_n(product, module.in, 0.0f);
  for (std::int64_t k = 0; k < module.r; ++k) {
    const float b = module.b[i * module.r + k];
    const float* a = module.a + k * module.in;
    for (std::int64_t j = 0; j < module.in; ++j) product[j] += b * a[j];
  }
  for (std::int64_t j = 0; j < module.in; ++j) row[j] += module.scale * product[j];
}

/// The largest magnitude that stays finite in the format; q8_0 keeps a scale of a 127th in f16.
float largest(WeightFormat format) {
  switch (format) {
    case WeightFormat::f16: return 65504.0f;
    case WeightFormat::q8_0: return 127 * 65504.0f;
    case WeightFormat::bf16: return 0x1.fep127f;
    default: return std::numeric_limits<float>::max();
  }
}

bool all_within(const float* values, std::int64_t count, float limit) {
  return std::all_of(values, values + count, [&](float value) { return std::abs(value) <= limit; });  // not NaN either
}

void encode(const float* values, std::int64_t count, WeightFormat format, void* out) {
  switch (format) {
    case WeightFormat::f32: std::copy_n(values, count, static_cast<float*>(out)); return;
    case WeightFormat::bf16: std::transform(values, values + count, static_cast<bf16*>(out), to_bf16); return;
    case WeightFormat::f16: std::transform(values, values + count, static_cast<f16*>(out), to_f16); return;
    default: weight_format_info(format).encode(values, count, out);
  }
}

}  // namespace

MergedWeights::MergedWeights(const ModelFiles& base, const AdapterFile& adapter, WeightFormat format,
                             const MergeProgressFunction& progress)
    : base_(base), adapter_(adapter), progress_(progress) {
  for (const StoredTensor& stored : base.tensors())
    if (!base.config().tie_word_embeddings || stored.name != kTiedHead) add(stored, format);
  std::map<std::string_view, MergedTensor*> by_name;
  for (MergedTensor& tensor : tensors_) by_name.emplace(tensor.stored->name, &tensor);
  for (const LoraModule& module : adapter.adapter.modules) {
    const std::string name = concat(module.name, kWeight);
    const auto found = by_name.find(name);
    const bool same = found != by_name.end() &&
                      found->second->shape == std::vector<std::int64_t>{module.out, module.in};
    FT_CHECK(same, mismatch, "[merge] the adapter's ", module.name, " [", module.out, ", ", module.in,
             "] is no weight of ", base.path());
    found->second->module = &module;
  }
}

void MergedWeights::add(const StoredTensor& stored, WeightFormat format) {
  MergedTensor& tensor = tensors_.emplace_back();
  tensor.stored = &stored;
  tensor.format = stored.rank == 2 ? format : WeightFormat::f32;
  if (stored.rank == 2) tensor.shape.push_back(stored.shape[0]);
  tensor.shape.push_back(stored.shape[1]);
  const std::int32_t block = weight_format_info(tensor.format).block_size;
  FT_CHECK(stored.shape[1] % block == 0, unsupported, "[merge] ", stored.name, " has ", stored.shape[1],
           " columns, no multiple of ", weight_format_info(tensor.format).name, "'s ", block, "; take f16 or bf16");
  tensor.bytes = weight_data_bytes(tensor.format, stored.shape[0] * stored.shape[1]);
  total_bytes_ += tensor.bytes;
}

void MergedWeights::write(const MergedTensor& tensor, void* out) {
  if (progress_) progress_({tensor.stored->name, done_bytes_, total_bytes_});
  done_bytes_ += tensor.bytes;
  const BaseFormat form = tensor.module ? adapter_.origin.base_format : BaseFormat{};
  const BaseWeight weight = read_base_weight(base_, *tensor.stored, form);
  const std::int64_t in = weight.view.in(), row_bytes = tensor.bytes / weight.view.out();
  const float limit = largest(tensor.format);
  std::atomic<bool> good{true};
  parallel_ranges(weight.view.out(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(static_cast<std::size_t>((end - begin) * in)), product(static_cast<std::size_t>(in));
    decode_rows(weight.view, begin, end - begin, rows.data());
    for (std::int64_t i = begin; tensor.module && i < end; ++i)
      add_product(*tensor.module, i, product.data(), rows.data() + (i - begin) * in);
    if (!all_within(rows.data(), (end - begin) * in, limit)) good = false;
    encode(rows.data(), (end - begin) * in, tensor.format, static_cast<std::byte*>(out) + begin * row_bytes);
  });
  FT_CHECK(good, non_finite, "[merge] ", tensor.stored->name, " has a value that is NaN, infinite or beyond ",
           weight_format_info(tensor.format).name,
           tensor.format == WeightFormat::f32 ? "" : "; f32 holds all that is finite");
}

}  // namespace ftlib
