// SPDX-License-Identifier: Apache-2.0
// Views on memory, and the one legend of shape letters.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

// Shape letters, used everywhere: T tokens of the packed batch (there is no batch axis), D hidden, H query heads,
// K key/value heads, E head dim, F feed-forward, V vocabulary, R LoRA rank, L layers, S supervised tokens.

enum class DType : std::int32_t { f32 = 0, bf16 = 1, f16 = 2, u8 = 3, i8 = 4, i32 = 5, i64 = 6 };
enum class Device : std::int32_t { cpu = 0, cuda = 1 };

constexpr std::int64_t dtype_bytes(DType dtype) noexcept {
  constexpr std::int64_t kBytes[] = {4, 2, 2, 1, 1, 4, 8};
  return kBytes[static_cast<int>(dtype)];
}
constexpr std::string_view dtype_name(DType dtype) noexcept {
  constexpr std::string_view kNames[] = {"f32", "bf16", "f16", "u8", "i8", "i32", "i64"};
  return kNames[static_cast<int>(dtype)];
}

/// A non-owning, trivially copyable window on memory: up to four axes, strides in elements, last axis fastest.
template <class Pointer>
struct BasicTensorView {
  Pointer data = nullptr;
  std::int64_t shape[4] = {1, 1, 1, 1};
  std::int64_t stride[4] = {0, 0, 0, 0};
  std::int32_t rank = 0;
  DType dtype = DType::f32;
  Device device = Device::cpu;

  std::int64_t rows() const noexcept { return rank == 2 ? shape[0] : 1; }
  std::int64_t columns() const noexcept { return shape[rank > 0 ? rank - 1 : 0]; }
  std::int64_t numel() const noexcept {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  /// Of its elements, whatever the strides; 0 where it is absent.
  std::int64_t bytes() const noexcept { return data != nullptr ? numel() * dtype_bytes(dtype) : 0; }
  explicit operator bool() const noexcept { return data != nullptr; }
  /// A writable view is readable.
  operator BasicTensorView<const void*>() const noexcept
    requires(!std::is_const_v<std::remove_pointer_t<Pointer>>)
  {
    BasicTensorView<const void*> v{data, {}, {}, rank, dtype, device};
    for (int i = 0; i < 4; ++i) v.shape[i] = shape[i], v.stride[i] = stride[i];
    return v;
  }
};
using TensorView = BasicTensorView<void*>;
using ConstTensorView = BasicTensorView<const void*>;

template <class T, class Pointer>
auto data_as(const BasicTensorView<Pointer>& v) noexcept {
  if constexpr (std::is_const_v<std::remove_pointer_t<Pointer>>) return static_cast<const T*>(v.data);
  else return static_cast<T*>(v.data);
}

/// Contiguous views of rank 1 to 3 on CPU memory.
template <class Pointer>
BasicTensorView<Pointer> vector_view(Pointer data, std::int64_t n, DType dtype = DType::f32) noexcept {
  return {data, {n, 1, 1, 1}, {1, 0, 0, 0}, 1, dtype, Device::cpu};
}
template <class Pointer>
BasicTensorView<Pointer> matrix_view(Pointer data, std::int64_t rows, std::int64_t columns,
                                     DType dtype = DType::f32) noexcept {
  return {data, {rows, columns, 1, 1}, {columns, 1, 0, 0}, 2, dtype, Device::cpu};
}

/// Rows [begin, begin + count) of a matrix.
template <class Pointer>
BasicTensorView<Pointer> row_range(BasicTensorView<Pointer> v, std::int64_t begin, std::int64_t count) noexcept {
  using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointer>>, const char, char>;
  v.data = static_cast<Byte*>(v.data) + begin * v.stride[0] * dtype_bytes(v.dtype);
  v.shape[0] = count;
  return v;
}

/// "f32 [512, 576]"
inline std::string describe(const ConstTensorView& v) {
  std::string text = concat(dtype_name(v.dtype), " [");
  for (int i = 0; i < v.rank; ++i) text += concat(i ? ", " : "", v.shape[i]);
  return text + "]";
}

}  // namespace ftlib
