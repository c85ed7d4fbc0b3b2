// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_header.h"

#include <algorithm>
#include <numeric>

namespace ftlib::inline FTLIB_ABI {
namespace {

bool is_control(char letter) noexcept { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; }

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += concat(i ? ", " : "", shape[i]);
  return text + "]";
}

}  // namespace

std::string_view safetensors_name_fault(std::string_view name) noexcept {
  constexpr std::size_t kLongest = 512;
  if (name.empty()) return "is empty";
  if (name.size() > kLongest) return "is longer than 512 bytes";
  if (std::ranges::any_of(name, is_control)) return "has a control character";
  const bool climbs =
      name == ".." || name.starts_with("../") || name.ends_with("/..") || name.find("/../") != name.npos;
  return climbs || name.front() == '/' ? "is a path" : "";
}

std::string describe(const SafetensorsTensor& tensor) {
  return concat(safetensors_dtype_name(tensor.dtype), " ", shape_text(tensor.shape));
}

SafetensorsHeader::SafetensorsHeader(const std::string& path, std::string_view text, std::int64_t data_begin,
                                     std::int64_t data_bytes)
    : what_(concat(path, ": header")), in_(text, what_), data_begin_(data_begin), data_bytes_(data_bytes) {
  expect(JsonToken::begin_object, Reason::json, "an object");
  bool seen_metadata = false;
  while (in_.next() == JsonToken::key) {
    if (in_.text() == kSafetensorsMetadataKey) {
      once(seen_metadata, kSafetensorsMetadataKey);
      read_metadata();
      continue;
    }
    const std::string_view fault = safetensors_name_fault(in_.text());
    if (!fault.empty()) in_.fail(Reason::schema, concat("the tensor name \"", excerpt(in_.text(), 48), "\" ", fault));
    if (tensors.size() == kSafetensorsMaxTensors)
      in_.fail(Reason::limit, concat("more than ", kSafetensorsMaxTensors, " tensors"));
    tensors.emplace_back().name = in_.text();
    read_entry(tensors.back());
  }
  in_.next();
  std::ranges::sort(tensors, {}, &SafetensorsTensor::name);
  check_names();
  check_layout();
}

void SafetensorsHeader::expect(JsonToken token, Reason reason, std::string_view want) {
  if (in_.next() != token) in_.fail(reason, concat("want ", want));
}

void SafetensorsHeader::once(bool& seen, std::string_view key) const {
  if (seen) in_.fail(Reason::dup, concat("key \"", key, "\" appears twice"));
  seen = true;
}

void SafetensorsHeader::read_metadata() {
  expect(JsonToken::begin_object, Reason::schema, "an object of strings");
  while (in_.next() == JsonToken::key) {
    metadata.emplace_back(in_.text(), "");
    expect(JsonToken::string, Reason::schema, "a string");
    metadata.back().second = in_.text();
  }
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : metadata) keys.push_back(key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) in_.fail(Reason::dup, concat("key \"", excerpt(*twice, 48), "\" appears twice"));
}

void SafetensorsHeader::read_entry(SafetensorsTensor& tensor) {
  expect(JsonToken::begin_object, Reason::schema, "an object with dtype, shape and data_offsets");
  Seen seen;
  while (in_.next() == JsonToken::key) {
    if (in_.text() == "dtype")
      once(seen.dtype, "dtype"), read_dtype(tensor);
    else if (in_.text() == "shape")
      once(seen.shape, "shape"), read_shape(tensor);
    else if (in_.text() == "data_offsets")
      once(seen.offsets, "data_offsets"), read_offsets(tensor);
    else
      in_.skip_value();
  }
  if (!seen.dtype || !seen.shape || !seen.offsets)
    in_.fail(Reason::schema, concat("tensor \"", excerpt(tensor.name, 48), "\" has no ",
                                    !seen.dtype   ? "dtype"
                                    : !seen.shape ? "shape"
                                                  : "data_offsets"));
  check_size(tensor);
}

void SafetensorsHeader::read_dtype(SafetensorsTensor& tensor) {
  expect(JsonToken::string, Reason::dtype, "a dtype in quotes");
  const auto* row = std::ranges::find(kSafetensorsDTypes, in_.text(), &SafetensorsDTypeInfo::name);
  if (row == std::end(kSafetensorsDTypes))
    in_.fail(Reason::dtype, concat("unknown dtype \"", excerpt(in_.text(), 32), "\""));
  tensor.dtype = row->dtype;
}

void SafetensorsHeader::read_shape(SafetensorsTensor& tensor) {
  expect(JsonToken::begin_array, Reason::shape, "an array of whole numbers");
  for (JsonToken token = in_.next(); token != JsonToken::end_array; token = in_.next()) {
    const bool whole = token == JsonToken::number && in_.is_integer() && in_.text().front() != '-';
    if (!whole) in_.fail(Reason::shape, "want whole numbers >= 0");
    if (tensor.shape.size() == kSafetensorsMaxRank)
      in_.fail(Reason::limit, concat("more than ", kSafetensorsMaxRank, " axes"));
    tensor.shape.push_back(in_.integer());
  }
}

void SafetensorsHeader::read_offsets(SafetensorsTensor& tensor) {
  expect(JsonToken::begin_array, Reason::schema, "an array of two offsets");
  std::int64_t offsets[2] = {};
  for (std::int64_t& offset : offsets) {
    expect(JsonToken::number, Reason::schema, "two offsets");
    offset = in_.integer();
    if (offset < 0) in_.fail(Reason::range, concat("offset ", offset, " is negative"));
  }
  expect(JsonToken::end_array, Reason::schema, "two offsets, got more");
  const auto [begin, end] = offsets;
  if (begin > end) in_.fail(Reason::layout, concat("begins at ", begin, ", after its end ", end));
  if (end > data_bytes_)
    in_.fail(Reason::layout, concat("ends at ", end, ", the data has ", data_bytes_, " bytes; is the file complete?"));
  tensor.offset = data_begin_ + begin;
  tensor.bytes = end - begin;
}

void SafetensorsHeader::check_size(const SafetensorsTensor& tensor) {
  const SafetensorsDTypeInfo& info = info_of(tensor.dtype);
  std::int64_t bits = info.bits;
  for (const std::int64_t extent : tensor.shape)
    if (__builtin_mul_overflow(bits, extent, &bits))
      in_.fail(Reason::overflow, concat(describe(tensor), " overflows 64 bits"));
  if (bits % 8 != 0) in_.fail(Reason::layout, concat(describe(tensor), " does not end on a byte"));
  if (bits / 8 != tensor.bytes)
    in_.fail(Reason::mismatch,
             concat(describe(tensor), " takes ", bits / 8, " bytes, data_offsets give ", tensor.bytes));
}

void SafetensorsHeader::check_names() const {
  const auto twice = std::ranges::adjacent_find(tensors, {}, &SafetensorsTensor::name);
  FT_CHECK_FILE(twice == tensors.end(), dup, what_, ": tensor \"", excerpt(twice->name, 48), "\" appears twice");
}

// Without holes and overlaps every byte of the file belongs to one tensor: nothing else can hide in it.
void SafetensorsHeader::check_layout() const {
  std::vector<const SafetensorsTensor*> order;
  for (const SafetensorsTensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const SafetensorsTensor* t) { return std::pair(t->offset, t->bytes); });
  std::int64_t end = data_begin_;
  for (const SafetensorsTensor* tensor : order) {
    FT_CHECK_FILE(tensor->offset == end, layout, what_, ": tensor \"", excerpt(tensor->name, 48), "\" begins at byte ",
                  tensor->offset, tensor->offset < end ? ", inside another one that ends at " : ", after a hole from ",
                  end);
    end += tensor->bytes;
  }
  FT_CHECK_FILE(end == data_begin_ + data_bytes_, layout, what_, ": the tensors end at byte ", end, ", the file has ",
                data_begin_ + data_bytes_);
}

}  // namespace ftlib
