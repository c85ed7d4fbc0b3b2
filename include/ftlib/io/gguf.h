// SPDX-License-Identifier: Apache-2.0
// The GGUF container, versions 2 and 3, little-endian: typed metadata, then tensors of ggml's block formats at aligned
// offsets (ggml, docs/gguf.md). Any format of the table below can be listed, checked and copied; what a block means is
// core/weight.h. Nothing is mapped; opening reads the header alone.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ftlib/io/file.h"

namespace ftlib::inline FTLIB_ABI {

/// ggml's tensor types by their number in the file; gaps are numbers that ggml has retired.
enum class GgmlType : std::uint32_t {
  f32 = 0, f16 = 1, q4_0 = 2, q4_1 = 3, q5_0 = 6, q5_1 = 7, q8_0 = 8, q8_1 = 9, q2_k = 10, q3_k = 11, q4_k = 12,
  q5_k = 13, q6_k = 14, q8_k = 15, iq2_xxs = 16, iq2_xs = 17, iq3_xxs = 18, iq1_s = 19, iq4_nl = 20, iq3_s = 21,
  iq2_s = 22, iq4_xs = 23, i8 = 24, i16 = 25, i32 = 26, i64 = 27, f64 = 28, iq1_m = 29, bf16 = 30, tq1_0 = 34,
  tq2_0 = 35, mxfp4 = 39, nvfp4 = 40, q1_0 = 41,
};

struct GgmlTypeInfo {
  GgmlType type;
  std::string_view name;
  std::int32_t block_elements;  ///< ne[0] is a multiple of it
  std::int32_t block_bytes;
};
inline constexpr GgmlTypeInfo kGgmlTypes[] = {
    {GgmlType::f32, "f32", 1, 4},                 {GgmlType::f16, "f16", 1, 2},
    {GgmlType::q4_0, "q4_0", 32, 18},             {GgmlType::q4_1, "q4_1", 32, 20},
    {GgmlType::q5_0, "q5_0", 32, 22},             {GgmlType::q5_1, "q5_1", 32, 24},
    {GgmlType::q8_0, "q8_0", 32, 34},             {GgmlType::q8_1, "q8_1", 32, 40},
    {GgmlType::q2_k, "q2_k", 256, 84},            {GgmlType::q3_k, "q3_k", 256, 110},
    {GgmlType::q4_k, "q4_k", 256, 144},           {GgmlType::q5_k, "q5_k", 256, 176},
    {GgmlType::q6_k, "q6_k", 256, 210},           {GgmlType::q8_k, "q8_k", 256, 292},
    {GgmlType::iq2_xxs, "iq2_xxs", 256, 66},      {GgmlType::iq2_xs, "iq2_xs", 256, 74},
    {GgmlType::iq3_xxs, "iq3_xxs", 256, 98},      {GgmlType::iq1_s, "iq1_s", 256, 50},
    {GgmlType::iq4_nl, "iq4_nl", 32, 18},         {GgmlType::iq3_s, "iq3_s", 256, 110},
    {GgmlType::iq2_s, "iq2_s", 256, 82},          {GgmlType::iq4_xs, "iq4_xs", 256, 136},
    {GgmlType::i8, "i8", 1, 1},                   {GgmlType::i16, "i16", 1, 2},
    {GgmlType::i32, "i32", 1, 4},                 {GgmlType::i64, "i64", 1, 8},
    {GgmlType::f64, "f64", 1, 8},                 {GgmlType::iq1_m, "iq1_m", 256, 56},
    {GgmlType::bf16, "bf16", 1, 2},               {GgmlType::tq1_0, "tq1_0", 256, 54},
    {GgmlType::tq2_0, "tq2_0", 256, 66},          {GgmlType::mxfp4, "mxfp4", 32, 17},
    {GgmlType::nvfp4, "nvfp4", 64, 36},           {GgmlType::q1_0, "q1_0", 128, 18},
};
/// The row of a number from a file; null when ggml has no such type.
const GgmlTypeInfo* find_ggml_type(std::uint32_t number) noexcept;
const GgmlTypeInfo& ggml_type_info(GgmlType type) noexcept;

/// Metadata types by their number in the file.
enum class GgufType : std::uint32_t {
  u8 = 0, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64,
};
std::string_view gguf_type_name(GgufType type) noexcept;

/// An array of metadata, kept as in the file: numbers side by side, strings as one text with their ends.
class GgufArray {
 public:
  static GgufArray strings(std::span<const std::string> values);
  static GgufArray f32(std::span<const float> values);
  static GgufArray i32(std::span<const std::int32_t> values);
  GgufArray(GgufType element, std::string bytes, std::vector<std::uint64_t> ends);

  GgufType element_type() const noexcept { return element_; }
  std::size_t size() const noexcept;
  /// Element i < size(). string() of strings; integer() of whole numbers and booleans; number() of all numbers.
  /// `what` begins the error: Error{invalid_file, SCHEMA} on another element type, RANGE on a u64 beyond int64.
  std::string_view string(std::size_t i, std::string_view what) const;
  std::int64_t integer(std::size_t i, std::string_view what) const;
  double number(std::size_t i, std::string_view what) const;

  bool operator==(const GgufArray& other) const = default;
  const std::string& bytes() const noexcept { return bytes_; }  ///< little-endian elements; strings: joined

 private:
  GgufType element_ = GgufType::u8;
  std::string bytes_;
  std::vector<std::uint64_t> ends_;  ///< of strings: where each ends in bytes_
};

/// One value of the metadata. Its type is kept, so that a file can be written again as it was.
class GgufValue {
 public:
  static GgufValue u32(std::uint32_t value) { return {GgufType::u32, std::int64_t{value}}; }
  static GgufValue i32(std::int32_t value) { return {GgufType::i32, std::int64_t{value}}; }
  static GgufValue f32(float value) { return {GgufType::f32, double{value}}; }
  static GgufValue boolean(bool value) { return {GgufType::boolean, std::int64_t{value}}; }
  static GgufValue string(std::string value) { return {GgufType::string, std::move(value)}; }
  static GgufValue array(GgufArray value) { return {GgufType::array, std::move(value)}; }

  using Variant = std::variant<std::int64_t, std::uint64_t, double, std::string, GgufArray>;
  GgufValue(GgufType type, Variant value) : type_(type), value_(std::move(value)) {}

  GgufType type() const noexcept { return type_; }
  const Variant& variant() const noexcept { return value_; }  ///< u64 as uint64; other whole numbers, booleans as int64

  /// Typed access; `what` begins the error, e.g. "model.gguf: llama.block_count".
  /// Throws Error{invalid_file, SCHEMA} on another type, RANGE where the number does not fit.
  std::int64_t as_integer(std::string_view what) const;
  std::int64_t as_integer(std::string_view what, std::int64_t low, std::int64_t high) const;
  double as_number(std::string_view what) const;
  bool as_bool(std::string_view what) const;
  const std::string& as_string(std::string_view what) const;
  const GgufArray& as_array(std::string_view what) const;
  const GgufArray& as_array(std::string_view what, GgufType element) const;

  bool operator==(const GgufValue& other) const = default;

 private:
  GgufType type_;
  Variant value_;
};
using GgufField = std::pair<std::string, GgufValue>;

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::f32;
  std::vector<std::int64_t> ne;     ///< 1 to 4 extents in the file's order, fastest axis first
  std::vector<std::int64_t> shape;  ///< the same, row-major as everywhere else: a linear is [out, in]
  std::int64_t offset = 0;          ///< of its first byte in the file; aligned
  std::int64_t bytes = 0;

  std::int64_t numel() const noexcept;
};
std::string describe(const GgufTensor& tensor);  ///< "q4_1 [576, 576]"

/// One .gguf file, its header checked. Move-only; reading is thread-safe.
class GgufFile {
 public:
  /// Throws Error{invalid_file, TRUNC | MAGIC | VERSION | LIMIT | RANGE | UTF8 | SCHEMA | UNSUPPORTED | OVERFLOW |
  /// DUP | DTYPE | SHAPE | LAYOUT | MISMATCH} with the byte, and as InputFile does. Limits: keys 65,535 bytes, strings
  /// 64 MiB, 100,000 fields, 500,000 tensors, tensor names 64 bytes; arrays of arrays and files in parts are refused.
  explicit GgufFile(const std::string& path) : GgufFile(InputFile(path)) {}
  explicit GgufFile(InputFile file);

  const std::string& path() const noexcept { return file_.path(); }
  const FileStamp& stamp() const noexcept { return file_.stamp(); }
  std::uint32_t version() const noexcept { return version_; }
  std::int64_t alignment() const noexcept { return alignment_; }
  const std::vector<GgufField>& metadata() const noexcept { return metadata_; }   ///< in the file's order
  const std::vector<GgufTensor>& tensors() const noexcept { return tensors_; }    ///< in the file's order

  const GgufValue* find(std::string_view key) const noexcept;  ///< null when absent
  const GgufValue& at(std::string_view key) const;             ///< throws Error{invalid_file, SCHEMA} when absent
  std::string what(std::string_view key) const;                ///< "path: key", for typed access
  const GgufTensor* find_tensor(std::string_view name) const noexcept;

  /// Copies the tensor's `bytes`, or those of [begin, begin + bytes), to `out`. Throws as InputFile::read does.
  void read(const GgufTensor& tensor, void* out) const;
  void read(const GgufTensor& tensor, std::int64_t begin, std::int64_t bytes, void* out) const;

 private:
  void check_metadata();
  void check_tensors(std::int64_t data_begin);

  InputFile file_;
  std::uint32_t version_ = 0;
  std::int64_t alignment_ = 32;
  std::vector<GgufField> metadata_;
  std::vector<GgufTensor> tensors_;
  std::vector<std::uint32_t> by_name_;
};

/// A tensor to write: row-major `shape` of 1 to 4 extents; its bytes lie at `data`, or `fill` is called once, in order.
struct GgufSource {
  std::string name;
  GgmlType type = GgmlType::f32;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;
  std::function<void(void* out)> fill;
};

/// Writes version 3, alignment 32 (or `general.alignment` of the metadata), atomically (io/atomic_file.h), metadata and
/// tensors in the given order. Throws Error{invalid_argument} on what GgufFile would refuse, Error{io_error} otherwise.
void write_gguf(const std::string& path, std::span<const GgufField> metadata, std::span<const GgufSource> tensors);

}  // namespace ftlib
