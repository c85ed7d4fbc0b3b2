// SPDX-License-Identifier: Apache-2.0
// Typed windows that references and kernels walk on: a view knows its dtype at run time, these know it at compile time.
#pragma once
#include <type_traits>

#include "ftlib/core/half.h"
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// The type that sums over S are made in: double for double (the oracle of the tests), float for every storage type.
template <class S>
using Wide = std::conditional_t<std::is_same_v<std::remove_const_t<S>, double>, double, float>;

[[gnu::always_inline]] constexpr double widen(double value) noexcept { return value; }
[[gnu::always_inline]] constexpr float widen(float value) noexcept { return value; }
[[gnu::always_inline]] constexpr float widen(bf16 value) noexcept { return to_float(value); }

/// Rounds a sum once to the storage type.
template <class S>
[[gnu::always_inline]] constexpr S narrow(Wide<S> value) noexcept {
  if constexpr (std::is_same_v<S, double>) return value;
  else return from_float<S>(value);
}

/// [T, D]: row t at data + t * stride; a null data is an absent argument.
template <class S>
struct Rows {
  S* data = nullptr;
  std::int64_t stride = 0;
  [[gnu::always_inline]] S* operator[](std::int64_t t) const noexcept { return data + t * stride; }
  explicit operator bool() const noexcept { return data != nullptr; }
  operator Rows<const S>() const noexcept { return {data, stride}; }
};

/// [T, heads, E]: the E values of (t, head).
template <class S>
struct Heads {
  S* data = nullptr;
  std::int64_t stride = 0, head_stride = 0;
  [[gnu::always_inline]] S* operator()(std::int64_t t, std::int64_t head) const noexcept {
    return data + t * stride + head * head_stride;
  }
  operator Heads<const S>() const noexcept { return {data, stride, head_stride}; }
};

template <class S>
[[gnu::always_inline]] inline Rows<const S> rows_of(const ConstTensorView& v) noexcept {
  return {data_as<const S>(v), v.stride[0]};
}
template <class S>
[[gnu::always_inline]] inline Rows<S> rows_of(const TensorView& v) noexcept { return {data_as<S>(v), v.stride[0]}; }

template <class S>
[[gnu::always_inline]] inline Heads<const S> heads_of(const ConstTensorView& v) noexcept {
  return {data_as<const S>(v), v.stride[0], v.stride[1]};
}
template <class S>
[[gnu::always_inline]] inline Heads<S> heads_of(const TensorView& v) noexcept {
  return {data_as<S>(v), v.stride[0], v.stride[1]};
}

/// Calls body.operator()<S>() with the storage type of `dtype`: f32 or bf16; Status::unsupported for any other.
template <class Body>
[[gnu::always_inline]] inline Status with_storage(DType dtype, Body&& body) noexcept {
  if (dtype == DType::f32) return body.template operator()<float>(), Status::ok;
  if (dtype == DType::bf16) return body.template operator()<bf16>(), Status::ok;
  return Status::unsupported;
}

}  // namespace ftlib
