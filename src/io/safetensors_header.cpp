// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_header.h"

#include <algorithm>
#include <numeric>

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr JsonLimits kHeaderLimits{.token = kSafetensorsMaxString};

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
    : what_(concat(path, ": header")),
      in_(text, what_, kHeaderLimits),
      data_begin_(data_begin),
      data_bytes_(data_bytes) {
  in_.read([this](JsonToken token) { take(token); });
  std::ranges::sort(tensors, {}, &SafetensorsTensor::name);
  check_names();
  check_layout();
}

void SafetensorsHeader::take(JsonToken token) {
  switch (state_) {
    case State::header:
      return begin(token, JsonToken::begin_object, State::names, Reason::json, "an object");
    case State::names:
      return token == JsonToken::key ? take_name() : void();
    case State::metadata:
      return begin(token, JsonToken::begin_object, State::metadata_key, Reason::schema, "an object of strings");
    case State::metadata_key:
    case State::metadata_value:
      return take_metadata(token);
    case State::entry:
      return begin(token, JsonToken::begin_object, State::fields, Reason::schema,
                   "an object with dtype, shape and data_offsets");
    case State::fields:
      return token == JsonToken::key ? take_field() : end_entry();
    case State::dtype:
      return take_dtype(token);
    case State::shape:
      return begin(token, JsonToken::begin_array, State::extents, Reason::shape, "an array of whole numbers");
    case State::extents:
      return take_extent(token);
    case State::offsets:
      return begin(token, JsonToken::begin_array, State::numbers, Reason::schema, "an array of two offsets");
    case State::numbers:
      return take_number(token);
    case State::skipped:
      if (in_.depth() == 2) state_ = State::fields;
  }
}

void SafetensorsHeader::begin(JsonToken got, JsonToken wanted, State next, Reason reason, std::string_view what) {
  want(got == wanted, reason, what);
  state_ = next;
}

void SafetensorsHeader::once(bool& seen, std::string_view key) const {
  if (seen) in_.fail(Reason::dup, concat("key \"", key, "\" appears twice"));
  seen = true;
}

void SafetensorsHeader::take_name() {
  const std::string_view name = in_.text();
  if (name == kSafetensorsMetadataKey) {
    once(seen_metadata_, name);
    state_ = State::metadata;
    return;
  }
  const std::string_view fault = safetensors_name_fault(name);
  if (!fault.empty()) in_.fail(Reason::schema, concat("the tensor name \"", excerpt(name, 48), "\" ", fault));
  if (tensors.size() == kSafetensorsMaxTensors)
    in_.fail(Reason::limit, concat("more than ", kSafetensorsMaxTensors, " tensors"));
  tensors.emplace_back().name = name;
  seen_ = {};
  state_ = State::entry;
}

void SafetensorsHeader::take_metadata(JsonToken token) {
  if (token == JsonToken::end_object) return end_metadata();
  if (state_ == State::metadata_key) {
    if (metadata.size() == kSafetensorsMaxMetadata)
      in_.fail(Reason::limit, concat("more than ", kSafetensorsMaxMetadata, " entries of metadata"));
    metadata.emplace_back(in_.text(), "");
    state_ = State::metadata_value;
  } else {
    want(token == JsonToken::string, Reason::schema, "a string");
    metadata.back().second = in_.text();
    state_ = State::metadata_key;
  }
}

void SafetensorsHeader::end_metadata() {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : metadata) keys.push_back(key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) in_.fail(Reason::dup, concat("key \"", excerpt(*twice, 48), "\" appears twice"));
  state_ = State::names;
}

void SafetensorsHeader::take_field() {
  state_ = State::skipped;
  if (in_.text() == "dtype")
    once(seen_.dtype, "dtype"), state_ = State::dtype;
  else if (in_.text() == "shape")
    once(seen_.shape, "shape"), state_ = State::shape;
  else if (in_.text() == "data_offsets")
    once(seen_.offsets, "data_offsets"), state_ = State::offsets;
}

void SafetensorsHeader::end_entry() {
  const std::string_view missing = !seen_.dtype     ? "dtype"
                                   : !seen_.shape   ? "shape"
                                   : !seen_.offsets ? "data_offsets"
                                                    : "";
  if (!missing.empty())
    in_.fail(Reason::schema, concat("tensor \"", excerpt(tensors.back().name, 48), "\" has no ", missing));
  check_size(tensors.back());
  state_ = State::names;
}

void SafetensorsHeader::take_dtype(JsonToken token) {
  want(token == JsonToken::string, Reason::dtype, "a dtype in quotes");
  const auto* row = std::ranges::find(kSafetensorsDTypes, in_.text(), &SafetensorsDTypeInfo::name);
  if (row == std::end(kSafetensorsDTypes))
    in_.fail(Reason::dtype, concat("unknown dtype \"", excerpt(in_.text(), 32), "\""));
  tensors.back().dtype = row->dtype;
  state_ = State::fields;
}

void SafetensorsHeader::take_extent(JsonToken token) {
  if (token == JsonToken::end_array) {
    state_ = State::fields;
    return;
  }
  const bool whole = token == JsonToken::number && in_.is_integer() && in_.text().front() != '-';
  want(whole, Reason::shape, "whole numbers >= 0");
  std::vector<std::int64_t>& shape = tensors.back().shape;
  if (shape.size() == kSafetensorsMaxRank) in_.fail(Reason::limit, concat("more than ", kSafetensorsMaxRank, " axes"));
  shape.push_back(in_.integer());
}

void SafetensorsHeader::take_number(JsonToken token) {
  if (token == JsonToken::end_array) return end_numbers();
  want(numbers_.size() < 2, Reason::schema, "two offsets, got more");
  want(token == JsonToken::number, Reason::schema, "two offsets");
  numbers_.push_back(in_.integer());
  if (numbers_.back() < 0) in_.fail(Reason::range, concat("offset ", numbers_.back(), " is negative"));
}

void SafetensorsHeader::end_numbers() {
  want(numbers_.size() == 2, Reason::schema, "two offsets");
  const std::int64_t begin = numbers_[0], end = numbers_[1];
  numbers_.clear();
  if (begin > end) in_.fail(Reason::layout, concat("begins at ", begin, ", after its end ", end));
  if (end > data_bytes_)
    in_.fail(Reason::layout, concat("ends at ", end, ", the data has ", data_bytes_, " bytes; is the file complete?"));
  tensors.back().offset = data_begin_ + begin;
  tensors.back().bytes = end - begin;
  state_ = State::fields;
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
