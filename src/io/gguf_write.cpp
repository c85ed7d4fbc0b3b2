// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ftlib/io/atomic_file.h"
#include "ftlib/io/json.h"
#include "io/gguf_types.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put(out, std::uint64_t{text.size()});
  out += text;
}

void put_array(std::string& out, const GgufArray& array) {
  put(out, static_cast<std::uint32_t>(array.element_type()));
  put(out, std::uint64_t{array.size()});
  if (array.element_type() != GgufType::string)
    out += array.bytes();
  else
    for (std::size_t i = 0; i < array.size(); ++i) put_text(out, array.string(i, "[gguf]"));
}

void put_value(std::string& out, const GgufValue& value) {
  put(out, static_cast<std::uint32_t>(value.type()));
  if (value.type() == GgufType::f32) return put(out, static_cast<float>(std::get<double>(value.variant())));
  std::visit(
      [&](const auto& content) {
        using T = std::decay_t<decltype(content)>;
        if constexpr (std::is_same_v<T, std::string>)
          put_text(out, content);
        else if constexpr (std::is_same_v<T, GgufArray>)
          put_array(out, content);
        else
          out.append(reinterpret_cast<const char*>(&content), gguf_type_bytes(value.type()));
      },
      value.variant());
}

void check_fields(std::span<const GgufField> metadata) {
  bool architecture = false;
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : metadata) {
    const bool good = !key.empty() && key.size() <= kGgufMaxKey && gguf_key_fault(key) == Reason::none;
    FT_CHECK(good, invalid_argument, "[gguf] the key \"", excerpt(key, 48), "\" is not printable ASCII");
    architecture |= key == "general.architecture" && value.type() == GgufType::string;
    keys.push_back(key);
  }
  FT_CHECK(architecture, invalid_argument, "[gguf] the string general.architecture is missing");
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  FT_CHECK(twice == keys.end(), invalid_argument, "[gguf] key ", *twice, " twice");
}

std::int64_t alignment_of(std::span<const GgufField> metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != kGgufAlignmentKey) continue;
    const std::int64_t alignment = value.type() == GgufType::u32 ? value.as_integer(key) : 0;
    FT_CHECK(gguf_alignment_fits(alignment), invalid_argument,
             "[gguf] general.alignment: want a power of two from 8, u32");
    return alignment;
  }
  return kGgufDefaultAlignment;
}

std::int64_t bytes_of(const GgufSource& source) {
  const std::string name = excerpt(source.name, 48);
  const std::size_t axes = source.shape.size();
  const bool named = !source.name.empty() && source.name.size() <= kGgufMaxTensorName &&
                     gguf_tensor_name_fault(source.name) == Reason::none;
  FT_CHECK(named, invalid_argument, "[gguf] the tensor name \"", name, "\": want 1 to ", kGgufMaxTensorName,
           " bytes of text");
  const bool extents = std::ranges::all_of(source.shape, [](std::int64_t extent) { return extent >= 1; });
  FT_CHECK(axes >= 1 && axes <= kGgufMaxAxes && extents, invalid_argument, "[gguf] tensor \"", name,
           "\": want 1 to 4 extents >= 1");
  const std::vector<std::int64_t> ne(source.shape.rbegin(), source.shape.rend());
  std::int64_t bytes = 0;
  const GgmlTypeInfo& type = ggml_type_info(source.type);
  FT_CHECK(gguf_tensor_bytes(type, ne, bytes) == Reason::none, invalid_argument, "[gguf] tensor \"", name,
           "\": rows of ", ne.front(), " elements, want a multiple of ", type.block_elements);
  FT_CHECK(source.data || source.fill, invalid_argument, "[gguf] tensor \"", name, "\" has no data");
  return bytes;
}

std::int64_t padding(std::int64_t bytes, std::int64_t alignment) { return (alignment - bytes % alignment) % alignment; }

void check_tensor_names(std::span<const GgufSource> tensors) {
  std::vector<std::string_view> names;
  for (const GgufSource& tensor : tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  FT_CHECK(twice == names.end(), invalid_argument, "[gguf] tensor \"", excerpt(*twice, 48), "\" twice");
}

struct Plan {
  std::string header;
  std::int64_t data_bytes = 0;
};

Plan plan(std::span<const GgufField> metadata, std::span<const GgufSource> tensors, std::int64_t alignment) {
  Plan p;
  p.header = "GGUF";
  put(p.header, kGgufVersion);
  put(p.header, std::uint64_t{tensors.size()});
  put(p.header, std::uint64_t{metadata.size()});
  for (const auto& [key, value] : metadata) put_text(p.header, key), put_value(p.header, value);
  for (const GgufSource& source : tensors) {
    const std::int64_t bytes = bytes_of(source);
    put_text(p.header, source.name);
    put(p.header, static_cast<std::uint32_t>(source.shape.size()));
    for (std::size_t i = source.shape.size(); i-- > 0;) put(p.header, source.shape[i]);
    put(p.header, static_cast<std::uint32_t>(source.type));
    put(p.header, p.data_bytes);
    p.data_bytes += bytes + padding(bytes, alignment);
  }
  p.header.append(static_cast<std::size_t>(padding(static_cast<std::int64_t>(p.header.size()), alignment)), '\0');
  return p;
}

}  // namespace

void write_gguf(const std::string& path, std::span<const GgufField> metadata, std::span<const GgufSource> tensors) {
  check_fields(metadata);
  check_tensor_names(tensors);
  const std::int64_t alignment = alignment_of(metadata);
  const auto [header, data_bytes] = plan(metadata, tensors, alignment);
  const auto header_bytes = static_cast<std::int64_t>(header.size());
  AtomicFile file(path, header_bytes + data_bytes);
  file.write(header.data(), header_bytes);
  std::vector<char> filled;
  const std::vector<char> zeros(static_cast<std::size_t>(alignment));
  for (const GgufSource& source : tensors) {
    const std::int64_t bytes = bytes_of(source);
    if (source.fill) filled.resize(static_cast<std::size_t>(bytes)), source.fill(filled.data());
    file.write(source.fill ? filled.data() : source.data, bytes);
    file.write(zeros.data(), padding(bytes, alignment));
  }
  file.commit();
}

}  // namespace ftlib
