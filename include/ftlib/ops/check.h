// SPDX-License-Identifier: Apache-2.0
// What entry points say about an argument that does not fit: its name, what it is and what it should be.
#pragma once
#include <initializer_list>

#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// The storage types of activations.
inline void check_storage(std::string_view op, std::string_view name, const ConstTensorView& v) {
  FT_CHECK(v.dtype == DType::f32 || v.dtype == DType::bf16, invalid_argument, "[", op, "] ", name,
           " must be f32 or bf16, got ", describe(v));
}

/// What a product may be stored in: f32, or bf16 where its input is.
inline DType result_dtype(const ConstTensorView& result, DType input) noexcept {
  return result.dtype == DType::bf16 && input == DType::bf16 ? DType::bf16 : DType::f32;
}

/// Shape and dtype as wanted, on the CPU, last axis contiguous, rows that do not overlap, memory behind it.
inline void check_view(std::string_view op, std::string_view name, const ConstTensorView& v,
                       std::initializer_list<std::int64_t> shape, DType dtype) {
  ConstTensorView want{nullptr, {}, {}, static_cast<std::int32_t>(shape.size()), dtype, Device::cpu};
  std::size_t axis = 0;
  bool fits = v.rank == want.rank && v.dtype == dtype;
  for (const std::int64_t extent : shape) {
    fits = fits && v.shape[axis] == extent && extent >= 0;
    want.shape[axis++] = extent;
  }
  FT_CHECK(fits, invalid_argument, "[", op, "] ", name, " got ", describe(v), ", want ", describe(want));
  FT_CHECK(v.device == Device::cpu, unsupported, "[", op, "] ", name, " lies on a device without a backend");
  if (v.numel() == 0) return;
  FT_CHECK(v.data != nullptr, invalid_argument, "[", op, "] ", name, " has no memory, want ", describe(want));
  const std::int64_t columns = v.columns();
  FT_CHECK(v.stride[v.rank - 1] == 1 || columns == 1, invalid_argument, "[", op, "] ", name,
           " must be contiguous in its last axis, got stride ", v.stride[v.rank - 1]);
  for (int i = 0; i + 1 < v.rank; ++i)
    FT_CHECK(v.shape[i] == 1 || v.stride[i] >= columns, invalid_argument, "[", op, "] ", name,
             " has overlapping rows, got stride ", v.stride[i], " of axis ", i, ", want at least ", columns);
}

/// The same where the argument is there at all.
inline void check_optional(std::string_view op, std::string_view name, const ConstTensorView& v,
                           std::initializer_list<std::int64_t> shape, DType dtype) {
  if (v) check_view(op, name, v, shape, dtype);
}

inline void check_rank(std::string_view op, std::string_view name, const ConstTensorView& v, int rank) {
  FT_CHECK(v.rank == rank, invalid_argument, "[", op, "] ", name, " must have ", rank, " axes, got ", describe(v));
}

/// Memory behind it, scales where it needs them, rows of whole blocks.
inline void check_weight(std::string_view op, const WeightView& weight) {
  FT_CHECK(weight && weight.out() >= 1 && weight.in() >= 1, invalid_argument, "[", op, "] weight is empty, got ",
           describe(weight));
  if (weight.format == WeightFormat::nf4) {
    FT_CHECK(weight.scales != nullptr && weight.block_size >= 1, invalid_argument, "[", op,
             "] weight has no absmax, got ", describe(weight), " with block_size ", weight.block_size);
    return;
  }
  const std::int64_t block = weight_format_info(weight.format).block_size;
  FT_CHECK(weight.in() % block == 0, invalid_argument, "[", op, "] weight rows must be whole blocks of ", block, ", got ",
           describe(weight));
}

/// Every index in [0, bound); names the first that is not.
inline void check_indices(std::string_view op, std::string_view name, const ConstTensorView& v, std::int64_t bound) {
  const std::int32_t* index = data_as<std::int32_t>(v);
  for (std::int64_t i = 0; i < v.numel(); ++i)
    FT_CHECK(index[i] >= 0 && index[i] < bound, invalid_argument, "[", op, "] ", name, "[", i, "] got ", index[i],
             ", want 0 to ", bound - 1);
}

}  // namespace detail
}  // namespace ftlib
