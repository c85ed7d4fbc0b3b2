// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "ftlib/io/json.h"
#include "io/gguf_types.h"
#include "io/utf8.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

static_assert(std::endian::native == std::endian::little, "the containers store little-endian numbers");

constexpr std::string_view kIncomplete = "; is the file complete?";

/// Reads a header front to back through a small buffer; every length is compared with the bytes that remain.
class Cursor {
 public:
  explicit Cursor(const InputFile& file) : file_(file) {}

  std::int64_t at() const noexcept { return at_; }
  std::uint64_t remaining() const noexcept { return static_cast<std::uint64_t>(file_.size() - at_); }

  void copy(void* out, std::uint64_t bytes) {
    item_ = at_;
    check(bytes <= remaining(), Reason::trunc, "want ", bytes, " bytes, the file has ", remaining(), " more");
    const auto count = static_cast<std::int64_t>(bytes);
    if (count > end_ - at_) {
      if (count > kPiece) return copy_through(out, count);
      end_ = std::min(file_.size(), at_ + kPiece);
      buffer_.resize(static_cast<std::size_t>(end_ - at_));
      file_.read(at_, buffer_.data(), end_ - at_);
      begin_ = at_;
    }
    std::memcpy(out, buffer_.data() + (at_ - begin_), bytes);
    at_ += count;
  }
  template <class T>
  T take() {
    T value;
    copy(&value, sizeof value);
    return value;
  }
  std::string text(std::uint64_t bytes) {
    std::string out;
    append(out, bytes);
    return out;
  }
  void append(std::string& out, std::uint64_t bytes) {
    item_ = at_;
    check(bytes <= remaining(), Reason::trunc, "want ", bytes, " bytes, the file has ", remaining(), " more");
    out.resize(out.size() + bytes);
    copy(out.data() + out.size() - bytes, bytes);
  }
  template <class... Parts>
  void check(bool good, Reason reason, const Parts&... parts) const {
    if (good) return;
    throw Error(Status::invalid_file, reason, concat(file_.path(), ": byte ", item_, ": ", parts...,
                                                     reason == Reason::trunc ? kIncomplete : std::string_view()));
  }

 private:
  static constexpr std::int64_t kPiece = 256 << 10;

  void copy_through(void* out, std::int64_t bytes) {
    file_.read(at_, out, bytes);
    at_ += bytes;
    end_ = begin_ = at_;
  }

  const InputFile& file_;
  std::vector<char> buffer_;
  std::int64_t at_ = 0, begin_ = 0, end_ = 0;
  std::int64_t item_ = 0;  ///< where what was read last begins
};

std::string length_prefixed(Cursor& in) {
  const auto bytes = in.take<std::uint64_t>();
  in.check(bytes <= in.remaining(), Reason::trunc, "string of ", bytes, " bytes, the file has ", in.remaining(),
           " more");
  in.check(bytes <= kGgufMaxString, Reason::limit, "string of ", bytes, " bytes, the limit is ", kGgufMaxString);
  return in.text(bytes);
}

std::uint8_t boolean(Cursor& in) {
  const auto value = in.take<std::uint8_t>();
  in.check(value <= 1, Reason::schema, "want a boolean, 0 or 1, got ", value);
  return value;
}

GgufArray string_array(Cursor& in, std::uint64_t count) {
  in.check(count <= in.remaining() / 8, Reason::trunc, "array of ", count, " strings, the file has ", in.remaining(),
           " more bytes");
  std::string bytes;
  std::vector<std::uint64_t> ends;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto length = in.take<std::uint64_t>();
    in.check(length <= kGgufMaxString, length <= in.remaining() ? Reason::limit : Reason::trunc, "string of ", length,
             " bytes in an array, the limit is ", kGgufMaxString);
    in.append(bytes, length);
    ends.push_back(bytes.size());
  }
  return {GgufType::string, std::move(bytes), std::move(ends)};
}

GgufType value_type(Cursor& in, std::string_view key) {
  const auto number = in.take<std::uint32_t>();
  in.check(number < std::size(kGgufTypes), Reason::schema, "key ", key, ": unknown value type ", number);
  return static_cast<GgufType>(number);
}

GgufArray array(Cursor& in, std::string_view key) {
  const GgufType element = value_type(in, key);
  in.check(element != GgufType::array, Reason::unsupported, "key ", key, ": an array of arrays is not supported");
  const auto count = in.take<std::uint64_t>();
  if (element == GgufType::string) return string_array(in, count);
  std::uint64_t bytes = 0;
  in.check(!__builtin_mul_overflow(count, gguf_type_bytes(element), &bytes), Reason::overflow, "key ", key,
           ": array of ", count, " ", gguf_type_name(element), " overflows 64 bits");
  std::string values = in.text(bytes);
  const bool good =
      element != GgufType::boolean || std::ranges::all_of(values, [](char v) { return v == 0 || v == 1; });
  in.check(good, Reason::schema, "key ", key, ": a boolean that is not 0 or 1");
  return {element, std::move(values), {}};
}

GgufValue value(Cursor& in, std::string_view key) {
  const GgufType type = value_type(in, key);
  switch (type) {
    case GgufType::u8:
      return {type, std::int64_t{in.take<std::uint8_t>()}};
    case GgufType::i8:
      return {type, std::int64_t{in.take<std::int8_t>()}};
    case GgufType::u16:
      return {type, std::int64_t{in.take<std::uint16_t>()}};
    case GgufType::i16:
      return {type, std::int64_t{in.take<std::int16_t>()}};
    case GgufType::u32:
      return {type, std::int64_t{in.take<std::uint32_t>()}};
    case GgufType::i32:
      return {type, std::int64_t{in.take<std::int32_t>()}};
    case GgufType::i64:
      return {type, in.take<std::int64_t>()};
    case GgufType::u64:
      return {type, in.take<std::uint64_t>()};
    case GgufType::f32:
      return {type, double{in.take<float>()}};
    case GgufType::f64:
      return {type, in.take<double>()};
    case GgufType::boolean:
      return {type, std::int64_t{boolean(in)}};
    case GgufType::string:
      return {type, length_prefixed(in)};
    case GgufType::array:
      return {type, array(in, key)};
  }
  throw Error(Status::internal, "[gguf] a value type without a reader");
}

GgufField field(Cursor& in) {
  const auto bytes = in.take<std::uint64_t>();
  in.check(bytes >= 1 && bytes <= kGgufMaxKey, Reason::range, "key of ", bytes, " bytes, want 1 to ", kGgufMaxKey);
  std::string key = in.text(bytes);
  const Reason fault = gguf_key_fault(key);
  in.check(fault == Reason::none, fault, "key \"", excerpt(key, 48), "\": want printable ASCII");
  GgufValue content = value(in, key);
  return {std::move(key), std::move(content)};
}

GgufTensor tensor(Cursor& in) {
  GgufTensor t;
  const auto length = in.take<std::uint64_t>();
  in.check(length >= 1 && length <= kGgufMaxTensorName, Reason::limit, "tensor name of ", length, " bytes, want 1 to ",
           kGgufMaxTensorName);
  t.name = in.text(length);
  const std::string name = excerpt(t.name, 48);
  const Reason fault = gguf_tensor_name_fault(t.name);
  in.check(fault == Reason::none, fault, "tensor name \"", name, "\": want UTF-8 without control characters");
  const auto axes = in.take<std::uint32_t>();
  in.check(axes >= 1 && axes <= kGgufMaxAxes, Reason::shape, "tensor \"", name, "\": ", axes, " axes, want 1 to 4");
  for (std::uint32_t i = 0; i < axes; ++i) {
    t.ne.push_back(in.take<std::int64_t>());
    in.check(t.ne.back() >= 1, Reason::shape, "tensor \"", name, "\": extent ", t.ne.back(), " of axis ", i);
  }
  t.shape.assign(t.ne.rbegin(), t.ne.rend());
  const auto number = in.take<std::uint32_t>();
  const GgmlTypeInfo* type = find_ggml_type(number);
  in.check(type != nullptr, Reason::dtype, "tensor \"", name, "\": unknown type ", number);
  t.type = type->type;
  const Reason size_fault = gguf_tensor_bytes(*type, t.ne, t.bytes);
  in.check(size_fault != Reason::shape, Reason::shape, "tensor \"", name, "\": ", describe(t),
           " has rows that are no multiple of ", type->block_elements);
  in.check(size_fault == Reason::none, size_fault, "tensor \"", name, "\": ", describe(t), " overflows 63 bits");
  t.offset = in.take<std::int64_t>();
  return t;
}

void check_start(Cursor& in, std::uint32_t& version) {
  in.check(in.remaining() >= 24, Reason::trunc, "want at least 24 bytes, got ", in.remaining());
  char magic[4];
  in.copy(magic, sizeof magic);
  const std::string_view got(magic, sizeof magic);
  const bool older = got == "tjgg" || got == "fmgg" || got == "lmgg" || got == "GGJT" || got == "GGML";
  in.check(got == "GGUF", Reason::magic, "want GGUF, got \"", excerpt(got), "\"",
           older ? "; an older ggml format: convert it with llama.cpp" : "");
  version = in.take<std::uint32_t>();
  const bool swapped = __builtin_bswap32(version) <= kGgufVersion && version > kGgufVersion;
  in.check(version == 2 || version == kGgufVersion, Reason::version, "GGUF version ", version, ", want 2 or 3",
           swapped ? "; is the file big-endian?" : "");
}

// A field takes at least 14 bytes and a tensor 33: a larger count cannot be true, whatever it claims.
std::uint64_t checked_count(Cursor& in, std::string_view what, std::uint64_t limit, std::uint64_t least_bytes) {
  const auto count = in.take<std::uint64_t>();
  in.check(count <= limit && count <= in.remaining() / least_bytes, Reason::limit, count, " ", what, ", the limit is ",
           std::min(limit, in.remaining() / least_bytes), " for this file");
  return count;
}

std::int64_t padded(std::int64_t bytes, std::int64_t alignment, const std::string& path) {
  std::int64_t sum = 0;
  FT_CHECK_FILE(!__builtin_add_overflow(bytes, alignment - 1, &sum), overflow, path, ": tensor sizes overflow 63 bits");
  return sum / alignment * alignment;
}

}  // namespace

Reason gguf_key_fault(std::string_view key) noexcept {
  for (const char letter : key) {
    if (static_cast<unsigned char>(letter) >= 0x80) return Reason::utf8;
    if (letter <= 0x20 || letter == 0x7f) return Reason::schema;
  }
  return Reason::none;
}

Reason gguf_tensor_name_fault(std::string_view name) noexcept {
  for (std::size_t i = 0, length = 0; i < name.size(); i += length) {
    length = utf8_length(name, i);
    if (length == 0) return Reason::utf8;
    if (static_cast<unsigned char>(name[i]) < 0x20 || name[i] == 0x7f) return Reason::schema;
  }
  return Reason::none;
}

Reason gguf_tensor_bytes(const GgmlTypeInfo& type, std::span<const std::int64_t> ne, std::int64_t& bytes) noexcept {
  if (ne.front() % type.block_elements != 0) return Reason::shape;
  bytes = 1;
  for (const std::int64_t extent : ne)
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return Reason::overflow;
  bytes /= type.block_elements;
  return __builtin_mul_overflow(bytes, std::int64_t{type.block_bytes}, &bytes) ? Reason::overflow : Reason::none;
}

std::int64_t GgufTensor::numel() const noexcept {
  std::int64_t count = 1;
  for (const std::int64_t extent : ne) count *= extent;
  return count;
}

std::string describe(const GgufTensor& tensor) {
  std::string text = concat(ggml_type_info(tensor.type).name, " [");
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) text += concat(i ? ", " : "", tensor.shape[i]);
  return text + "]";
}

GgufFile::GgufFile(InputFile file) : file_(std::move(file)) {
  Cursor in(file_);
  check_start(in, version_);
  const std::uint64_t tensor_count = checked_count(in, "tensors", kGgufMaxTensors, 33);
  const std::uint64_t field_count = checked_count(in, "fields", kGgufMaxFields, 14);
  for (std::uint64_t i = 0; i < field_count; ++i) metadata_.push_back(field(in));
  check_metadata();
  for (std::uint64_t i = 0; i < tensor_count; ++i) tensors_.push_back(tensor(in));
  check_tensors(padded(in.at(), alignment_, path()));
}

void GgufFile::check_metadata() {
  std::vector<std::string_view> keys;
  for (const auto& [key, content] : metadata_) keys.push_back(key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  FT_CHECK_FILE(twice == keys.end(), dup, path(), ": key ", *twice, " appears twice");
  at("general.architecture").as_string(what("general.architecture"));
  if (const GgufValue* alignment = find(kGgufAlignmentKey)) {
    FT_CHECK_FILE(alignment->type() == GgufType::u32, schema, what(kGgufAlignmentKey), ": want u32, got ",
                  gguf_type_name(alignment->type()));
    alignment_ = alignment->as_integer("");
    FT_CHECK_FILE(gguf_alignment_fits(alignment_), range, what(kGgufAlignmentKey), ": want a power of two from 8 to ",
                  kGgufMaxAlignment, ", got ", alignment_);
  }
  const GgufValue* parts = find("split.count");
  const std::int64_t count = parts ? parts->as_integer(what("split.count")) : 1;
  if (count <= 1) return;
  const std::int64_t number = at("split.no").as_integer(what("split.no"));
  FT_CHECK_FILE(number >= 0 && number < count, mismatch, what("split.no"), ": part ", number, " of ", count);
  FT_CHECK_FILE(false, unsupported, path(), ": part ", number, " of ", count,
                "; join the parts with llama-gguf-split --merge");
}

// In the file's order, each at the padded end of the one before: as ggml demands it, so nothing overlaps or hides.
void GgufFile::check_tensors(std::int64_t data_begin) {
  std::int64_t end = 0;
  for (GgufTensor& t : tensors_) {
    const std::string name = excerpt(t.name, 48);
    FT_CHECK_FILE(t.offset == end, layout, path(), ": tensor \"", name, "\" lies at ", t.offset, " of the data, want ",
                  end);
    FT_CHECK_FILE(!__builtin_add_overflow(end, t.bytes, &end), overflow, path(), ": tensor sizes overflow 63 bits");
    FT_CHECK_FILE(data_begin <= file_.size() && end <= file_.size() - data_begin, trunc, path(), ": tensor \"", name,
                  "\" ends at ", end, " of the data, the file has ", std::max<std::int64_t>(0, file_.size() - data_begin),
                  " bytes of data", kIncomplete);
    end = padded(end, alignment_, path());
    t.offset += data_begin;
  }
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  const auto name_of = [this](std::uint32_t i) -> std::string_view { return tensors_[i].name; };
  std::ranges::sort(by_name_, {}, name_of);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name_of);
  FT_CHECK_FILE(twice == by_name_.end(), dup, path(), ": tensor \"", excerpt(name_of(*twice), 48), "\" appears twice");
}

const GgufValue* GgufFile::find(std::string_view key) const noexcept {
  const auto found = std::ranges::find(metadata_, key, [](const GgufField& f) -> std::string_view { return f.first; });
  return found == metadata_.end() ? nullptr : &found->second;
}

const GgufValue& GgufFile::at(std::string_view key) const {
  const GgufValue* found = find(key);
  FT_CHECK_FILE(found != nullptr, schema, what(key), ": is missing");
  return *found;
}

std::string GgufFile::what(std::string_view key) const { return concat(path(), ": ", key); }

const GgufTensor* GgufFile::find_tensor(std::string_view name) const noexcept {
  const auto name_of = [this](std::uint32_t i) -> std::string_view { return tensors_[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return found != by_name_.end() && name_of(*found) == name ? &tensors_[*found] : nullptr;
}

void GgufFile::read(const GgufTensor& tensor, void* out) const { read(tensor, 0, tensor.bytes, out); }

void GgufFile::read(const GgufTensor& tensor, std::int64_t begin, std::int64_t bytes, void* out) const {
  FT_CHECK(begin >= 0 && bytes >= 0 && begin <= tensor.bytes && bytes <= tensor.bytes - begin, invalid_argument,
           "[gguf] bytes ", begin, " to ", begin + bytes, " of \"", excerpt(tensor.name), "\", it has ", tensor.bytes);
  file_.read(tensor.offset + begin, out, bytes);
}

}  // namespace ftlib
