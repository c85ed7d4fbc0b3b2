// SPDX-License-Identifier: Apache-2.0
// The dtypes of the safetensors format, one row each.
#pragma once
#include "ftlib/io/safetensors.h"

namespace ftlib::inline FTLIB_ABI {

struct SafetensorsDTypeInfo {
  SafetensorsDType dtype;
  std::string_view name;
  int bits;
  int rank;  ///< place in the reference writer's order, largest first; 0: data not offered
};

inline constexpr SafetensorsDTypeInfo kSafetensorsDTypes[] = {
    {SafetensorsDType::f64, "F64", 64, 9},
    {SafetensorsDType::f32, "F32", 32, 8},
    {SafetensorsDType::f16, "F16", 16, 5},
    {SafetensorsDType::bf16, "BF16", 16, 6},
    {SafetensorsDType::i64, "I64", 64, 10},
    {SafetensorsDType::i32, "I32", 32, 7},
    {SafetensorsDType::i16, "I16", 16, 4},
    {SafetensorsDType::i8, "I8", 8, 3},
    {SafetensorsDType::u8, "U8", 8, 2},
    {SafetensorsDType::boolean, "BOOL", 8, 1},
    {SafetensorsDType::u16, "U16", 16, 0},
    {SafetensorsDType::u32, "U32", 32, 0},
    {SafetensorsDType::u64, "U64", 64, 0},
    {SafetensorsDType::c64, "C64", 64, 0},
    {SafetensorsDType::f8_e5m2, "F8_E5M2", 8, 0},
    {SafetensorsDType::f8_e4m3, "F8_E4M3", 8, 0},
    {SafetensorsDType::f8_e8m0, "F8_E8M0", 8, 0},
    {SafetensorsDType::f8_e4m3fnuz, "F8_E4M3FNUZ", 8, 0},
    {SafetensorsDType::f8_e5m2fnuz, "F8_E5M2FNUZ", 8, 0},
    {SafetensorsDType::f6_e2m3, "F6_E2M3", 6, 0},
    {SafetensorsDType::f6_e3m2, "F6_E3M2", 6, 0},
    {SafetensorsDType::f4, "F4", 4, 0},
};
static_assert([] {
  int row = 0;
  for (const SafetensorsDTypeInfo& info : kSafetensorsDTypes)
    if (static_cast<int>(info.dtype) != row++) return false;
  return true;
}());

constexpr const SafetensorsDTypeInfo& info_of(SafetensorsDType dtype) noexcept {
  return kSafetensorsDTypes[static_cast<int>(dtype)];
}

inline constexpr int kSafetensorsMaxRank = 8;
inline constexpr std::int64_t kSafetensorsMaxHeader = 100'000'000;
inline constexpr std::size_t kSafetensorsMaxTensors = 500'000;
inline constexpr std::size_t kSafetensorsMaxMetadata = 65'536;
inline constexpr std::size_t kSafetensorsMaxString = 1'250'000;  ///< as written
inline constexpr std::string_view kSafetensorsMetadataKey = "__metadata__";

/// What is wrong with a tensor's name, or empty.
std::string_view safetensors_name_fault(std::string_view name) noexcept;

}  // namespace ftlib
