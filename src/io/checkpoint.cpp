// SPDX-License-Identifier: Apache-2.0
#include "ftlib/io/checkpoint.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>

#include "ftlib/core/digest.h"
#include "ftlib/io/atomic_file.h"
#include "io/checkpoint_manifest.h"
#include "io/sys.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kStep = "step-";

std::string step_folder(const std::string& folder, std::int64_t step) { return concat(folder, "/", kStep, step); }

std::vector<std::string> names_in(const std::string& folder) {
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
    names.push_back(at->path().filename().string());
  const bool absent = failed == std::errc::no_such_file_or_directory;
  if (failed && !absent) sys::fail(failed.value(), folder, "cannot list");
  return names;
}

void remove_quietly(const std::string& path) noexcept {
  try {
    remove_tree(path);
  } catch (const std::exception&) {  // the next save tries again
  }
}

/// A folder in the making; removed unless it was renamed.
struct Staging {
  std::string path;
  ~Staging() {
    if (!path.empty()) remove_quietly(path);
  }
};

void write_durable(const std::string& path, std::span<const std::byte> data, std::int64_t total) {
  sys::Fd fd = sys::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, total);
  sys::write_all(fd.get(), path, data.data(), static_cast<std::int64_t>(data.size()), total);
  sys::sync(fd.get(), path, total);
  sys::close(std::move(fd), path, total);
}

void check_arguments(std::int64_t step, std::span<const CheckpointPart> parts, int keep) {
  FT_CHECK(step >= 0, invalid_argument, "[save_checkpoint] step must be >= 0, got ", step);
  FT_CHECK(keep >= 1, invalid_argument, "[save_checkpoint] keep must be >= 1, got ", keep);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string& name = parts[i].name;
    FT_CHECK(checkpoint_part_name_fits(name), invalid_argument, "[save_checkpoint] not a name for a part: \"",
             excerpt(name), "\"");
    for (std::size_t j = 0; j < i; ++j)
      FT_CHECK(parts[j].name != name, invalid_argument, "[save_checkpoint] part ", name, " twice");
  }
}

// Swapping keeps a valid checkpoint under the name at every instant; elsewhere there is a moment without one.
void move_into_place(Staging& staging, const std::string& target) {
  const char *from = staging.path.c_str(), *to = target.c_str();
  if (sys::calls().rename(from, to) == 0) return staging.path.clear();
  if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) sys::fail(errno, target, "cannot rename into place");
  if (sys::calls().exchange(from, to) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) sys::fail(errno, target, "cannot rename into place");
  const Staging old{target + sys::temporary_suffix()};
  if (sys::calls().rename(to, old.path.c_str()) != 0) sys::fail(errno, target, "cannot set the old one aside");
  if (sys::calls().rename(from, to) != 0) sys::fail(errno, target, "cannot rename into place");
  staging.path.clear();
}

void prune(const std::string& folder, std::int64_t saved, int keep) {
  std::vector<std::int64_t> others = checkpoint_steps(folder);
  std::erase(others, saved);
  for (std::size_t i = static_cast<std::size_t>(keep - 1); i < others.size(); ++i) {
    remove_quietly(step_folder(folder, others[i]));
  }
}

void remove_leftovers(const std::string& folder) {
  for (const std::string& name : names_in(folder))
    if (name.starts_with(kStep) && name.find(sys::kTemporary) != name.npos) remove_quietly(concat(folder, "/", name));
}

}  // namespace

const std::string& Checkpoint::part(std::string_view name) const {
  const auto found = std::ranges::find(parts, name, [](const auto& p) -> std::string_view { return p.first; });
  FT_CHECK_FILE(found != parts.end(), mismatch, "checkpoint of step ", step, ": part ", name, " is missing");
  return found->second;
}

void save_checkpoint(const std::string& folder, std::int64_t step, std::span<const CheckpointPart> parts,
                     const Json& meta, int keep) {
  check_arguments(step, parts, keep);
  const std::string manifest = checkpoint_manifest(step, parts, meta);
  auto total = static_cast<std::int64_t>(manifest.size());
  for (const CheckpointPart& part : parts) total += static_cast<std::int64_t>(part.data.size());
  make_directories(folder);
  const DirectoryLock lock(folder);
  remove_leftovers(folder);
  const std::string target = step_folder(folder, step);
  const std::int64_t free = sys::free_bytes(folder);
  if (free >= 0 && free < total) sys::fail(ENOSPC, target, "cannot save", total);
  Staging staging{target + sys::temporary_suffix()};
  if (sys::calls().mkdir(staging.path.c_str(), 0777) != 0)
    sys::fail(errno, staging.path, "cannot create the folder", total);
  for (const CheckpointPart& part : parts) write_durable(concat(staging.path, "/", part.name), part.data, total);
  write_durable(concat(staging.path, "/", kCheckpointManifest), std::as_bytes(std::span(manifest)), total);
  sys::sync_directory(staging.path, total);
  read_checkpoint(staging.path, step);
  move_into_place(staging, target);
  sys::sync_directory(folder, total);
  prune(folder, step, keep);
}

Checkpoint load_checkpoint(const std::string& folder, std::int64_t step) {
  return read_checkpoint(step_folder(folder, step), step);
}

std::vector<std::int64_t> checkpoint_steps(const std::string& folder) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(folder)) {
    std::int64_t step = -1;
    if (name.starts_with(kStep)) std::from_chars(name.data() + kStep.size(), name.data() + name.size(), step);
    if (step >= 0 && name == concat(kStep, step)) steps.push_back(step);
  }
  std::ranges::sort(steps, std::greater<>());
  return steps;
}

CheckpointSearch newest_valid_checkpoint(const std::string& folder) {
  CheckpointSearch search;
  for (const std::int64_t step : checkpoint_steps(folder)) {
    try {
      search.checkpoint = load_checkpoint(folder, step);
      break;
    } catch (const Error& error) {
      if (error.reason() == Reason::version) throw;
      search.skipped.push_back({concat(kStep, step), error.what()});
    }
  }
  return search;
}

}  // namespace ftlib
