// SPDX-License-Identifier: Apache-2.0
#include "model/base_weight.h"

#include <algorithm>
#include <cmath>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kRowsAtOnce = 64, kNestedBlock = 256;

std::int64_t blocks(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

std::byte* own(BaseWeight& weight, std::int64_t bytes) {
  return weight.memory.emplace_back(blocks(bytes, 64) * 64).data();
}

template <class Store>
void decode_all(const WeightView& view, Store&& store) {
  parallel_ranges(view.out(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(static_cast<std::size_t>((end - begin) * view.in()));
    decode_rows(view, begin, end - begin, rows.data());
    store(begin * view.in(), rows);
  });
}

BaseWeight stored(const ModelFiles& files, const StoredTensor& tensor) {
  BaseWeight weight;
  WeightView& view = weight.view;
  view.format = tensor.format, view.block_size = tensor.block_size;
  view.shape[0] = tensor.shape[0], view.shape[1] = tensor.shape[1];
  std::byte* data = own(weight, tensor.bytes);
  files.read(tensor, data);
  view.data = data;
  Buffer statistics;
  if (tensor.format == WeightFormat::nf4) files.read_nf4_statistics(tensor, view, statistics);
  if (statistics.bytes() > 0) weight.memory.push_back(std::move(statistics));
  return weight;
}

BaseWeight to_dense(const WeightView& view, DType dtype) {
  BaseWeight weight;
  std::byte* memory = own(weight, view.numel() * dtype_bytes(dtype));
  decode_all(view, [&](std::int64_t first, const std::vector<float>& values) {
    if (dtype == DType::f32) std::ranges::copy(values, reinterpret_cast<float*>(memory) + first);
    else std::ranges::transform(values, reinterpret_cast<bf16*>(memory) + first, to_bf16);
  });
  weight.view = dense_weight(memory, view.out(), view.in(), dtype);
  return weight;
}

BaseWeight to_nf4(const WeightView& view, const BaseFormat& base, std::string_view what) {
  const std::int64_t n = view.numel(), count = blocks(n, base.block_size);
  Buffer values(n * 4);
  decode_all(view, [&](std::int64_t first, const std::vector<float>& rows) {
    std::ranges::copy(rows, values.as<float>() + first);
  });
  const bool finite = std::all_of(values.as<float>(), values.as<float>() + n, [](float v) { return std::isfinite(v); });
  FT_CHECK(finite, non_finite, "[model] ", what, " holds NaN or infinity and cannot become nf4");
  BaseWeight weight;
  weight.view.format = WeightFormat::nf4, weight.view.block_size = base.block_size, weight.view.dtype = DType::f32;
  weight.view.shape[0] = view.out(), weight.view.shape[1] = view.in();
  std::byte* codes = own(weight, (n + 1) / 2);
  Buffer absmax(blocks(count * 4, 64) * 64);
  const TensorView absmax_view = vector_view<void*>(absmax.data(), count);
  nf4_quantize({vector_view<const void*>(values.data(), n), base.block_size,
                vector_view<void*>(codes, (n + 1) / 2, DType::u8), absmax_view});
  weight.view.data = codes, weight.view.scales = absmax.data();
  if (!base.double_quant) {
    weight.memory.push_back(std::move(absmax));
    return weight;
  }
  std::byte* quantized = own(weight, count);
  std::byte* nested = own(weight, blocks(count, kNestedBlock) * 4);
  weight.view.nested_offset = double_quantize({absmax_view, vector_view<void*>(quantized, count, DType::u8),
                                               vector_view<void*>(nested, blocks(count, kNestedBlock))});
  weight.view.scales = quantized, weight.view.nested_scales = reinterpret_cast<const float*>(nested);
  weight.view.nested_code = dynamic_map(true);
  return weight;
}

}  // namespace

void check_base_format(const BaseFormat& base) {
  const std::int32_t size = base.block_size;
  FT_CHECK(base.kind != BaseFormat::Kind::nf4 || (size >= 32 && size <= 4096 && (size & (size - 1)) == 0),
           invalid_argument, "[model] block_size must be a power of two from 32 to 4096, got ", size);
}

BaseWeight read_base_weight(const ModelFiles& files, const StoredTensor& tensor, const BaseFormat& base) {
  BaseWeight weight = stored(files, tensor);
  switch (base.kind) {
    case BaseFormat::Kind::native: break;
    case BaseFormat::Kind::f32: return to_dense(weight.view, DType::f32);
    case BaseFormat::Kind::bf16: return to_dense(weight.view, DType::bf16);
    case BaseFormat::Kind::nf4: return to_nf4(weight.view, base, concat(files.path(), ": ", tensor.name));
  }
  return weight;
}

}  // namespace ftlib
