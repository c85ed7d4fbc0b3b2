// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "ftlib/io/atomic_file.h"
#include "ftlib/io/json.h"
#include "io/safetensors_dtypes.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

std::int64_t bytes_of(const SafetensorsSource& source) {
  const SafetensorsDTypeInfo& info = info_of(source.dtype);
  const std::string name = excerpt(source.name, 48);
  FT_CHECK(info.rank > 0, invalid_argument, "[safetensors] tensor \"", name, "\": dtype ", info.name,
           " is not supported");
  FT_CHECK(source.shape.size() <= kSafetensorsMaxRank, invalid_argument, "[safetensors] tensor \"", name,
           "\": ", source.shape.size(), " axes, the limit is ", kSafetensorsMaxRank);
  std::int64_t bytes = info.bits / 8;
  for (const std::int64_t extent : source.shape)
    FT_CHECK(extent >= 0 && !__builtin_mul_overflow(bytes, extent, &bytes), invalid_argument, "[safetensors] tensor \"",
             name, "\": extent ", extent);
  FT_CHECK(source.data || source.fill || bytes == 0, invalid_argument, "[safetensors] tensor \"", name,
           "\" has no data");
  return bytes;
}

/// The order of the reference writer: larger alignment first, then names.
std::vector<const SafetensorsSource*> ordered(std::span<const SafetensorsSource> tensors) {
  std::vector<const SafetensorsSource*> order;
  for (const SafetensorsSource& tensor : tensors) order.push_back(&tensor);
  const auto before = [](const SafetensorsSource* a, const SafetensorsSource* b) {
    const int one = info_of(a->dtype).rank, other = info_of(b->dtype).rank;
    return one != other ? one > other : a->name < b->name;
  };
  std::ranges::sort(order, before);
  return order;
}

void check_names(std::vector<const SafetensorsSource*> tensors) {
  const auto name_of = [](const SafetensorsSource* t) -> const std::string& { return t->name; };
  for (const SafetensorsSource* t : tensors) {
    const std::string_view fault = t->name == kSafetensorsMetadataKey ? "is reserved" : safetensors_name_fault(t->name);
    FT_CHECK(fault.empty(), invalid_argument, "[safetensors] the tensor name \"", excerpt(t->name, 48), "\" ", fault);
  }
  std::ranges::sort(tensors, {}, name_of);
  const auto twice = std::ranges::adjacent_find(tensors, {}, name_of);
  FT_CHECK(twice == tensors.end(), invalid_argument, "[safetensors] tensor \"", excerpt((*twice)->name, 48),
           "\" twice");
}

Json array_of(std::span<const std::int64_t> values) {
  Json array = Json::array();
  for (const std::int64_t value : values) array.push_back(value);
  return array;
}

void check_metadata(const SafetensorsMetadata& metadata) {
  FT_CHECK(metadata.size() <= kSafetensorsMaxMetadata, invalid_argument, "[safetensors] ", metadata.size(),
           " entries of metadata, the limit is ", kSafetensorsMaxMetadata);
  const auto fits = [](const std::string& text) { return dump_json(Json(text)).size() < kSafetensorsMaxString; };
  for (const auto& [key, value] : metadata)
    FT_CHECK(fits(key) && fits(value), invalid_argument, "[safetensors] metadata \"", excerpt(key, 48),
             "\": want less than ", kSafetensorsMaxString, " bytes of JSON");
}

std::string header_of(const std::vector<const SafetensorsSource*>& order, SafetensorsMetadata metadata) {
  Json header = Json::object();
  std::ranges::sort(metadata);
  const auto key_of = [](const auto& entry) -> const std::string& { return entry.first; };
  const auto twice = std::ranges::adjacent_find(metadata, {}, key_of);
  FT_CHECK(twice == metadata.end(), invalid_argument, "[safetensors] metadata key \"", excerpt(twice->first, 48),
           "\" twice");
  for (const auto& [key, value] : metadata) header[kSafetensorsMetadataKey].append(key, value);
  std::int64_t at = 0;
  for (const SafetensorsSource* source : order) {
    const std::int64_t offsets[2] = {at, at + bytes_of(*source)};
    Json entry;
    entry.append("dtype", info_of(source->dtype).name);
    entry.append("shape", array_of(source->shape));
    entry.append("data_offsets", array_of(offsets));
    header.append(source->name, std::move(entry));
    at = offsets[1];
  }
  std::string text = dump_json(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  FT_CHECK(text.size() <= kSafetensorsMaxHeader, invalid_argument, "[safetensors] header of ", text.size(),
           " bytes, the limit is ", kSafetensorsMaxHeader);
  const std::uint64_t bytes = text.size();
  return std::string(reinterpret_cast<const char*>(&bytes), sizeof bytes) + text;
}

/// Hands the file's bytes to `write(data, bytes)` piece by piece.
template <class Write>
void emit(std::span<const SafetensorsSource> tensors, const SafetensorsMetadata& metadata, Write&& write) {
  const auto order = ordered(tensors);
  check_names(order);
  check_metadata(metadata);
  const std::string header = header_of(order, metadata);
  write(header.data(), static_cast<std::int64_t>(header.size()));
  std::vector<char> filled;
  for (const SafetensorsSource* source : order) {
    const std::int64_t bytes = bytes_of(*source);
    if (source->fill) filled.resize(static_cast<std::size_t>(bytes)), source->fill(filled.data());
    write(source->fill ? filled.data() : source->data, bytes);
  }
}

}  // namespace

void write_safetensors(const std::string& path, std::span<const SafetensorsSource> tensors,
                       const SafetensorsMetadata& metadata) {
  std::int64_t total = 0;
  for (const SafetensorsSource& source : tensors) total += bytes_of(source);
  AtomicFile file(path, total);
  emit(tensors, metadata, [&](const void* data, std::int64_t bytes) { file.write(data, bytes); });
  file.commit();
}

std::string safetensors_bytes(std::span<const SafetensorsSource> tensors, const SafetensorsMetadata& metadata) {
  std::string out;
  emit(tensors, metadata, [&](const void* data, std::int64_t bytes) {
    if (bytes > 0) out.append(static_cast<const char*>(data), static_cast<std::size_t>(bytes));
  });
  return out;
}

}  // namespace ftlib
