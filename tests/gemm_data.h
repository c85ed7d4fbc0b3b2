// SPDX-License-Identifier: Apache-2.0
// Inputs of the product tests: matrices whose gaps hold NaN, and random weights of every format.
#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ftlib/core/half.h"
#include "ftlib/core/random.h"
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"
#include "ftlib/ops/nf4.h"

namespace ftlib::test {

using Doubles = std::vector<double>;

/// A matrix in f32 or bf16 with `gap` elements of NaN after every row: whoever reads there is found out.
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::int64_t rows, std::int64_t columns, DType dtype, std::int64_t gap = 0)
      : rows_(rows), columns_(columns), stride_(columns + gap), dtype_(dtype),
        bytes_(static_cast<std::size_t>((rows * stride_ + gap) * dtype_bytes(dtype))) {
    for (std::int64_t i = 0; i < rows * stride_ + gap; ++i) put(i, std::numeric_limits<float>::quiet_NaN());
  }

  static Matrix random(std::int64_t rows, std::int64_t columns, DType dtype, std::uint64_t stream, std::int64_t gap = 0) {
    Matrix m(rows, columns, dtype, gap);
    Random values(77, stream);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c) m.put(r * m.stride_ + c, static_cast<float>(values.normal()));
    return m;
  }

  TensorView view() { return with_stride<TensorView>(bytes_.data()); }
  ConstTensorView view() const { return with_stride<ConstTensorView>(bytes_.data()); }
  double at(std::int64_t r, std::int64_t c) const { return get(r * stride_ + c); }
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  DType dtype() const { return dtype_; }

  /// The values, row by row without gaps.
  Doubles values() const {
    Doubles all;
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t c = 0; c < columns_; ++c) all.push_back(at(r, c));
    return all;
  }
  /// The same values with other gaps.
  Matrix with_gap(std::int64_t gap) const {
    Matrix m(rows_, columns_, dtype_, gap);
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t c = 0; c < columns_; ++c) m.put(r * m.stride_ + c, static_cast<float>(at(r, c)));
    return m;
  }

 private:
  template <class View>
  View with_stride(decltype(View::data) data) const {
    View v = matrix_view(data, rows_, columns_, dtype_);
    v.stride[0] = stride_;
    return v;
  }
  void put(std::int64_t i, float value) {
    if (dtype_ == DType::bf16) reinterpret_cast<bf16*>(bytes_.data())[i] = to_bf16(value);
    else reinterpret_cast<float*>(bytes_.data())[i] = value;
  }
  double get(std::int64_t i) const {
    return dtype_ == DType::bf16 ? to_float(reinterpret_cast<const bf16*>(bytes_.data())[i])
                                 : reinterpret_cast<const float*>(bytes_.data())[i];
  }

  std::int64_t rows_ = 0, columns_ = 0, stride_ = 0;
  DType dtype_ = DType::f32;
  std::vector<std::byte> bytes_;
};

/// A weight kind of the tests: a format, and for nf4 its block, its dtype and whether absmax is quantised too.
struct WeightKind {
  const char* name;
  WeightFormat format;
  std::int32_t block_size = 1;
  DType dtype = DType::f32;
  bool nested = false;
};
inline constexpr WeightKind kWeightKinds[] = {
    {"f32", WeightFormat::f32},
    {"f16", WeightFormat::f16},
    {"bf16", WeightFormat::bf16},
    {"nf4 in blocks of 64", WeightFormat::nf4, 64},
    {"nf4 in blocks of 32 for f16", WeightFormat::nf4, 32, DType::f16},
    {"nf4 in blocks of 128 for bf16, double quantised", WeightFormat::nf4, 128, DType::bf16, true},
    {"nf4 in blocks of 4096, double quantised", WeightFormat::nf4, 4096, DType::f32, true},
    {"q4_0", WeightFormat::q4_0},
    {"q4_1", WeightFormat::q4_1},
    {"q8_0", WeightFormat::q8_0},
    {"q4_k", WeightFormat::q4_k},
    {"q6_k", WeightFormat::q6_k},
};

/// A random weight [out, in]; its values are of the size of a trained model's.
class RandomWeight {
 public:
  RandomWeight(const WeightKind& kind, std::int64_t out, std::int64_t in, std::uint64_t stream) : random_(78, stream) {
    std::vector<float> values(static_cast<std::size_t>(out * in));
    for (float& value : values) value = 0.05f * static_cast<float>(random_.normal());
    const WeightFormatInfo& info = weight_format_info(kind.format);
    data_.resize(static_cast<std::size_t>(weight_data_bytes(kind.format, out * in)));
    view_.format = kind.format, view_.block_size = info.block_size, view_.dtype = kind.dtype;
    view_.shape[0] = out, view_.shape[1] = in, view_.data = data_.data();
    if (kind.format == WeightFormat::nf4) quantise_nf4(kind, values);
    else if (info.encode) info.encode(values.data(), out * in, data_.data());
    else invent_blocks(info);
  }
  RandomWeight(const RandomWeight&) = delete;
  RandomWeight& operator=(const RandomWeight&) = delete;

  static bool exists(const WeightKind& kind, std::int64_t in) {
    return kind.format == WeightFormat::nf4 || in % weight_format_info(kind.format).block_size == 0;
  }

  const WeightView& view() const { return view_; }

  /// Decoded, then rounded once where the op computes in bf16.
  std::vector<float> decoded(DType compute) const {
    std::vector<float> values(static_cast<std::size_t>(view_.numel()));
    decode_rows(view_, 0, view_.out(), values.data());
    for (float& value : values)
      if (compute == DType::bf16) value = to_float(to_bf16(value));
    return values;
  }

 private:
  void quantise_nf4(const WeightKind& kind, const std::vector<float>& values) {
    const auto n = static_cast<std::int64_t>(values.size()), blocks = (n + kind.block_size - 1) / kind.block_size;
    view_.block_size = kind.block_size;
    absmax_.resize(static_cast<std::size_t>(blocks));
    nf4_quantize({vector_view<const void*>(values.data(), n), kind.block_size,
                  vector_view<void*>(data_.data(), (n + 1) / 2, DType::u8), vector_view<void*>(absmax_.data(), blocks)});
    view_.scales = absmax_.data();
    if (!kind.nested) return;
    codes_.resize(absmax_.size());
    nested_scales_.resize(static_cast<std::size_t>((blocks + 255) / 256));
    view_.nested_offset = double_quantize({vector_view<const void*>(absmax_.data(), blocks),
                                           vector_view<void*>(codes_.data(), blocks, DType::u8),
                                           vector_view<void*>(nested_scales_.data(), (blocks + 255) / 256)});
    view_.scales = codes_.data(), view_.nested_scales = nested_scales_.data(), view_.nested_code = dynamic_map(true);
  }
  /// Formats without an encoder: random codes under small f16 scales.
  void invent_blocks(const WeightFormatInfo& info) {
    for (std::byte& byte : data_) byte = static_cast<std::byte>(random_.next_u32() >> 24);
    const std::size_t size = static_cast<std::size_t>(info.block_bytes);
    const bool scale_is_last = info.format == WeightFormat::q6_k;
    for (std::size_t block = 0; block < data_.size(); block += size) {
      const f16 scale = to_f16(0.0002f + 0.0001f * random_.uniform()), minimum = to_f16(0.001f);
      std::memcpy(&data_[block + (scale_is_last ? size - 2 : 0)], &scale, 2);
      if (!scale_is_last) std::memcpy(&data_[block + 2], &minimum, 2);
    }
  }

  Random random_;
  WeightView view_;
  std::vector<std::byte> data_;
  std::vector<float> absmax_, nested_scales_;
  std::vector<std::uint8_t> codes_;
};

}  // namespace ftlib::test
