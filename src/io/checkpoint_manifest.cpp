// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint_manifest.h"

#include <algorithm>
#include <filesystem>

#include "ftlib/core/digest.h"
#include "ftlib/io/file.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kBefore = "{\"xxh3\":\"", kAfter = "\",";
constexpr std::size_t kDigits = 32, kEnvelope = kBefore.size() + kDigits + kAfter.size();
constexpr std::int64_t kLargestManifest = std::int64_t{64} << 20;

std::string digest_of(std::string_view text) { return xxh3_hex(text.data(), text.size()); }

/// The manifest's own digest is checked first: what is parsed after it is what was written.
Json read_manifest(const std::string& path) {
  const std::string text = read_file(path, kLargestManifest, Symlinks::refuse);
  const std::string_view view = text;
  const bool envelope =
      view.starts_with(kBefore) && view.substr(0, kEnvelope).ends_with(kAfter) && view.size() > kEnvelope;
  FT_CHECK_FILE(envelope, mismatch, path, ": byte 0: want the manifest of a checkpoint, got \"", excerpt(view, 48),
                "\"");
  const std::string want(view.substr(kBefore.size(), kDigits)), got = digest_of(view.substr(kEnvelope));
  FT_CHECK_FILE(got == want, mismatch, path, ": damaged: its digest is ", got, ", want ", excerpt(want));
  return parse_json(view, path);
}

void check_manifest(const Json& manifest, const std::string& path, std::int64_t step) {
  const std::string& format = manifest.at("format", path).as_string(concat(path, ": format"));
  FT_CHECK_FILE(format == kCheckpointFormat, schema, path, ": format: want ", kCheckpointFormat, ", got ",
                excerpt(format));
  const std::int64_t version = manifest.at("version", path).as_integer(concat(path, ": version"));
  FT_CHECK_FILE(version == kCheckpointVersion, version, path, ": checkpoint format version ", version, " of ftlib ",
                excerpt(manifest.at("library", path).as_string(path)),
                "; this build, ftlib " FTLIB_VERSION ", reads version ", kCheckpointVersion, "; use the newer program");
  const std::int64_t written = manifest.at("step", path).as_integer(concat(path, ": step"));
  FT_CHECK_FILE(written == step, mismatch, path, ": is of step ", written, ", want step ", step);
}

std::string read_part(const std::string& folder, const Json& entry, const std::string& manifest_path) {
  const std::string& name = entry.at("name", manifest_path).as_string(manifest_path);
  FT_CHECK_FILE(checkpoint_part_name_fits(name), schema, manifest_path, ": not a name for a part: \"", excerpt(name),
                "\"");
  const std::int64_t bytes = entry.at("bytes", manifest_path).as_integer(manifest_path);
  const InputFile file(concat(folder, "/", name), Symlinks::refuse);
  FT_CHECK_FILE(file.size() == bytes, mismatch, file.path(), ": ", file.size(), " bytes, want ", bytes);
  std::string data(static_cast<std::size_t>(bytes), '\0');
  file.read(0, data.data(), bytes);
  const std::string& want = entry.at("xxh3", manifest_path).as_string(manifest_path);
  const std::string got = digest_of(data);
  FT_CHECK_FILE(got == want, mismatch, file.path(), ": damaged: its digest is ", got, ", want ", excerpt(want));
  return data;
}

}  // namespace

bool checkpoint_part_name_fits(std::string_view name) noexcept {
  constexpr std::size_t kLongest = 64;
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= kLongest && name.front() != '.' && name != kCheckpointManifest &&
         name.find_first_not_of(kLetters) == name.npos;
}

std::string checkpoint_manifest(std::int64_t step, std::span<const CheckpointPart> parts, const Json& meta) {
  Json entries = Json::array();
  for (const CheckpointPart& part : parts) {
    Json entry;
    entry.append("name", part.name);
    entry.append("bytes", static_cast<std::int64_t>(part.data.size()));
    entry.append("xxh3", xxh3_hex(part.data.data(), part.data.size()));
    entries.push_back(std::move(entry));
  }
  Json manifest;
  manifest.append("format", kCheckpointFormat);
  manifest.append("version", kCheckpointVersion);
  manifest.append("library", FTLIB_VERSION);
  manifest.append("step", step);
  manifest.append("parts", std::move(entries));
  manifest.append("meta", meta);
  const std::string rest = dump_json(manifest).substr(1) + "\n";
  return concat(kBefore, digest_of(rest), kAfter, rest);
}

Checkpoint read_checkpoint(const std::string& path, std::int64_t step) {
  std::error_code ignored;
  FT_CHECK_FILE(!std::filesystem::is_symlink(path, ignored), schema, path, ": is a symbolic link, want a folder");
  const std::string manifest_path = concat(path, "/", kCheckpointManifest);
  const Json manifest = read_manifest(manifest_path);
  check_manifest(manifest, manifest_path, step);
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.library = manifest.at("library", manifest_path).as_string(manifest_path);
  checkpoint.meta = manifest.at("meta", manifest_path);
  for (const Json& entry : manifest.at("parts", manifest_path).as_array(manifest_path))
    checkpoint.parts.emplace_back(entry.at("name", manifest_path).as_string(manifest_path),
                                  read_part(path, entry, manifest_path));
  return checkpoint;
}

}  // namespace ftlib
