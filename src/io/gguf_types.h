// SPDX-License-Identifier: Apache-2.0
// What the reader and the writer of GGUF share: sizes of metadata types and the limits of the container.
#pragma once
#include "ftlib/io/gguf.h"

namespace ftlib::inline FTLIB_ABI {

struct GgufTypeInfo {
  std::string_view name;
  std::uint32_t bytes;  ///< 0: no fixed size
};
inline constexpr GgufTypeInfo kGgufTypes[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                                              {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 0}, {"array", 0},
                                              {"u64", 8}, {"i64", 8}, {"f64", 8}};
constexpr std::uint32_t gguf_type_bytes(GgufType type) noexcept {
  return kGgufTypes[static_cast<std::size_t>(type)].bytes;
}

inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::int64_t kGgufDefaultAlignment = 32, kGgufMaxAlignment = std::int64_t{1} << 20;
inline constexpr std::uint64_t kGgufMaxFields = 100'000, kGgufMaxTensors = 500'000, kGgufMaxKey = 65'535;
inline constexpr std::uint64_t kGgufMaxString = std::uint64_t{64} << 20, kGgufMaxTensorName = 64;
inline constexpr std::uint32_t kGgufMaxAxes = 4;

constexpr bool gguf_alignment_fits(std::int64_t alignment) noexcept {
  return alignment >= 8 && alignment <= kGgufMaxAlignment && (alignment & (alignment - 1)) == 0;
}

/// Why a key (printable ASCII) or a tensor's name (no control characters) does not suit, or none.
Reason gguf_key_fault(std::string_view key) noexcept;
Reason gguf_tensor_name_fault(std::string_view name) noexcept;

/// The bytes of a tensor; Reason::shape when ne[0] is no multiple of the block, overflow beyond 63 bits, else none.
Reason gguf_tensor_bytes(const GgmlTypeInfo& type, std::span<const std::int64_t> ne, std::int64_t& bytes) noexcept;

}  // namespace ftlib
