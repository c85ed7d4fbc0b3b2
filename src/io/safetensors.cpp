// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "io/safetensors_header.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

static_assert(std::endian::native == std::endian::little, "the containers store little-endian numbers");

constexpr std::pair<std::string_view, std::string_view> kOtherFiles[] = {
    {"PK\x03\x04", "a zip archive; a PyTorch checkpoint? convert it with safetensors.torch.save_file"},
    {"\x80\x02", "a Python pickle; convert it with safetensors.torch.save_file"},
    {"\x80\x03", "a Python pickle; convert it with safetensors.torch.save_file"},
    {"\x80\x04", "a Python pickle; convert it with safetensors.torch.save_file"},
    {"version https://git-lfs", "a git-lfs pointer; run git lfs pull"},
    {"GGUF", "a GGUF file"},
    {"\x1f\x8b", "a gzip file; unpack it"},
    {"<", "an HTML or XML page; was the download refused?"},
};

// Only asked when the header is wrong: a valid length may begin with any of these bytes.
void check_looks(const std::string& path, std::string_view head) {
  for (const auto& [magic, hint] : kOtherFiles)
    FT_CHECK_FILE(!head.starts_with(magic), magic, path, ": not safetensors: it looks like ", hint);
}

std::int64_t header_bytes(const InputFile& file) {
  FT_CHECK_FILE(file.size() >= 8, trunc, file.path(), ": want at least 8 bytes, got ", file.size());
  std::string head(static_cast<std::size_t>(std::min<std::int64_t>(file.size(), 32)), '\0');
  file.read(0, head.data(), static_cast<std::int64_t>(head.size()));
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, head.data(), sizeof bytes);
  const auto rest = static_cast<std::uint64_t>(file.size() - 8);
  const bool good = bytes <= kSafetensorsMaxHeader && bytes <= rest && bytes >= 2 && head[8] == '{';
  if (good) return static_cast<std::int64_t>(bytes);
  check_looks(file.path(), head);
  const std::uint64_t swapped = __builtin_bswap64(bytes);
  FT_CHECK_FILE(bytes <= kSafetensorsMaxHeader, limit, file.path(), ": byte 0: header of ", bytes,
                " bytes, the limit is ", kSafetensorsMaxHeader,
                swapped <= rest ? "; is its length stored big-endian?" : "");
  FT_CHECK_FILE(bytes <= rest, trunc, file.path(), ": byte 0: header of ", bytes, " bytes, the file has ", rest,
                " after its length");
  throw Error(Status::invalid_file, Reason::json,
              concat(file.path(), ": byte 8: want a JSON header that begins with {"));
}

}  // namespace

std::string_view safetensors_dtype_name(SafetensorsDType dtype) noexcept { return info_of(dtype).name; }

std::optional<DType> core_dtype(SafetensorsDType dtype) noexcept {
  switch (dtype) {
    case SafetensorsDType::f32:
      return DType::f32;
    case SafetensorsDType::bf16:
      return DType::bf16;
    case SafetensorsDType::f16:
      return DType::f16;
    case SafetensorsDType::u8:
      return DType::u8;
    case SafetensorsDType::i8:
      return DType::i8;
    case SafetensorsDType::i32:
      return DType::i32;
    case SafetensorsDType::i64:
      return DType::i64;
    default:
      return std::nullopt;
  }
}

SafetensorsDType safetensors_dtype(DType dtype) noexcept {
  constexpr SafetensorsDType kRows[] = {SafetensorsDType::f32, SafetensorsDType::bf16, SafetensorsDType::f16,
                                        SafetensorsDType::u8,  SafetensorsDType::i8,   SafetensorsDType::i32,
                                        SafetensorsDType::i64};
  return kRows[static_cast<int>(dtype)];
}

std::int64_t SafetensorsTensor::numel() const noexcept {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

SafetensorsFile::SafetensorsFile(const std::string& path, Symlinks symlinks) : file_(path, symlinks) {
  const std::int64_t bytes = header_bytes(file_);
  std::string text(static_cast<std::size_t>(bytes), '\0');
  file_.read(8, text.data(), bytes);
  SafetensorsHeader header(path, text, 8 + bytes, file_.size() - 8 - bytes);
  metadata_ = std::move(header.metadata);
  tensors_ = std::move(header.tensors);
}

const SafetensorsTensor* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found =
      std::ranges::lower_bound(tensors_, name, {}, [](const auto& t) { return std::string_view(t.name); });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

void SafetensorsFile::read(const SafetensorsTensor& tensor, void* out) const { read(tensor, 0, tensor.bytes, out); }

void SafetensorsFile::read(const SafetensorsTensor& tensor, std::int64_t begin, std::int64_t bytes, void* out) const {
  if (info_of(tensor.dtype).rank == 0)
    throw Error(Status::unsupported, Reason::dtype,
                concat(path(), ": tensor \"", excerpt(tensor.name), "\": dtype ", safetensors_dtype_name(tensor.dtype),
                       " is not supported"));
  FT_CHECK(begin >= 0 && bytes >= 0 && begin <= tensor.bytes && bytes <= tensor.bytes - begin, invalid_argument,
           "[safetensors] bytes ", begin, " to ", begin + bytes, " of \"", excerpt(tensor.name), "\", it has ",
           tensor.bytes);
  file_.read(tensor.offset + begin, out, bytes);
}

}  // namespace ftlib
