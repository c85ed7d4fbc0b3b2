// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <limits>

#include "io/gguf_types.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::uint64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

[[noreturn]] void wrong_type(std::string_view what, std::string_view want, GgufType got) {
  throw Error(Status::invalid_file, Reason::schema, concat(what, ": want ", want, ", got ", gguf_type_name(got)));
}

std::int64_t narrow(std::uint64_t value, std::string_view what) {
  FT_CHECK_FILE(value <= kInt64Max, range, what, ": ", value, " does not fit 63 bits");
  return static_cast<std::int64_t>(value);
}

template <class T>
T load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <class T>
std::string bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

const GgmlTypeInfo* find_ggml_type(std::uint32_t number) noexcept {
  const auto* row = std::ranges::find(kGgmlTypes, static_cast<GgmlType>(number), &GgmlTypeInfo::type);
  return row == std::end(kGgmlTypes) ? nullptr : row;
}

const GgmlTypeInfo& ggml_type_info(GgmlType type) noexcept { return *find_ggml_type(static_cast<std::uint32_t>(type)); }

std::string_view gguf_type_name(GgufType type) noexcept { return kGgufTypes[static_cast<std::size_t>(type)].name; }

GgufArray::GgufArray(GgufType element, std::string bytes, std::vector<std::uint64_t> ends)
    : element_(element), bytes_(std::move(bytes)), ends_(std::move(ends)) {}

GgufArray GgufArray::strings(std::span<const std::string> values) {
  std::string bytes;
  std::vector<std::uint64_t> ends;
  for (const std::string& value : values) ends.push_back((bytes += value).size());
  return {GgufType::string, std::move(bytes), std::move(ends)};
}
GgufArray GgufArray::f32(std::span<const float> values) { return {GgufType::f32, bytes_of(values), {}}; }
GgufArray GgufArray::i32(std::span<const std::int32_t> values) { return {GgufType::i32, bytes_of(values), {}}; }

std::size_t GgufArray::size() const noexcept {
  return element_ == GgufType::string ? ends_.size() : bytes_.size() / gguf_type_bytes(element_);
}

std::string_view GgufArray::string(std::size_t i, std::string_view what) const {
  if (element_ != GgufType::string) wrong_type(what, "an array of strings", element_);
  const std::uint64_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(bytes_).substr(begin, ends_[i] - begin);
}

std::int64_t GgufArray::integer(std::size_t i, std::string_view what) const {
  const char* at = bytes_.data() + i * gguf_type_bytes(element_);
  switch (element_) {
    case GgufType::u8:
    case GgufType::boolean:
      return load<std::uint8_t>(at);
    case GgufType::i8:
      return load<std::int8_t>(at);
    case GgufType::u16:
      return load<std::uint16_t>(at);
    case GgufType::i16:
      return load<std::int16_t>(at);
    case GgufType::u32:
      return load<std::uint32_t>(at);
    case GgufType::i32:
      return load<std::int32_t>(at);
    case GgufType::i64:
      return load<std::int64_t>(at);
    case GgufType::u64:
      return narrow(load<std::uint64_t>(at), what);
    default:
      wrong_type(what, "an array of whole numbers", element_);
  }
}

double GgufArray::number(std::size_t i, std::string_view what) const {
  const char* at = bytes_.data() + i * gguf_type_bytes(element_);
  if (element_ == GgufType::f32) return double{load<float>(at)};
  if (element_ == GgufType::f64) return load<double>(at);
  return static_cast<double>(integer(i, what));
}

std::int64_t GgufValue::as_integer(std::string_view what) const {
  if (type_ == GgufType::u64) return narrow(std::get<std::uint64_t>(value_), what);
  const auto* value = std::get_if<std::int64_t>(&value_);
  if (value == nullptr || type_ == GgufType::boolean) wrong_type(what, "a whole number", type_);
  return *value;
}

std::int64_t GgufValue::as_integer(std::string_view what, std::int64_t low, std::int64_t high) const {
  const std::int64_t value = as_integer(what);
  FT_CHECK_FILE(value >= low && value <= high, range, what, ": want ", low, " to ", high, ", got ", value);
  return value;
}

double GgufValue::as_number(std::string_view what) const {
  const auto* value = std::get_if<double>(&value_);
  return value != nullptr ? *value : static_cast<double>(as_integer(what));
}

bool GgufValue::as_bool(std::string_view what) const {
  if (type_ != GgufType::boolean) wrong_type(what, "a boolean", type_);
  return std::get<std::int64_t>(value_) != 0;
}

const std::string& GgufValue::as_string(std::string_view what) const {
  if (type_ != GgufType::string) wrong_type(what, "a string", type_);
  return std::get<std::string>(value_);
}

const GgufArray& GgufValue::as_array(std::string_view what) const {
  if (type_ != GgufType::array) wrong_type(what, "an array", type_);
  return std::get<GgufArray>(value_);
}

const GgufArray& GgufValue::as_array(std::string_view what, GgufType element) const {
  const GgufArray& array = as_array(what);
  if (array.element_type() != element)
    wrong_type(what, concat("an array of ", gguf_type_name(element)), array.element_type());
  return array;
}

}  // namespace ftlib
