// SPDX-License-Identifier: Apache-2.0
// Versions, errors, and what belongs to the process: log, backends, threads.
#include <mutex>
#include <shared_mutex>

#include "ftlib/core/parallel.h"
#include "ftlib/ops/backend.h"
#include "guard.h"

namespace ftlib::capi {
namespace {

constexpr std::size_t kErrorBytes = 1024;

struct LastError {
  char text[kErrorBytes];
  ft_reason reason;
};
thread_local LastError last_error;

/// How much of a text fits, without cutting a character.
std::size_t fitting_bytes(std::string_view text) noexcept {
  if (text.size() < kErrorBytes) return text.size();
  std::size_t n = kErrorBytes - 1;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return n;
}

struct Log {
  std::shared_mutex mutex;
  ft_log_callback callback = nullptr;
  void* user = nullptr;
};
Log& log() {
  static Log* const one = new Log;
  return *one;
}
thread_local bool inside_log = false;

}  // namespace

ft_status fail(ft_status status, Reason reason, std::string_view text) noexcept {
  const std::size_t n = fitting_bytes(text);
  std::memcpy(last_error.text, text.data(), n);
  last_error.text[n] = '\0';
  last_error.reason = static_cast<ft_reason>(reason);
  return status;
}

void succeed() noexcept {
  last_error.text[0] = '\0';
  last_error.reason = FT_REASON_NONE;
}

void warn(const std::string& message) {
  if (inside_log) return;
  Log& l = log();
  const std::shared_lock lock(l.mutex);
  if (l.callback == nullptr) return;
  inside_log = true;
  try {
    FloatingPoint::as_host([&] { l.callback(message.c_str(), l.user); });
  } catch (const abi::__forced_unwind&) {
    inside_log = false;
    throw;
  } catch (...) {  // a warning changes nothing
  }
  inside_log = false;
}

}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

// The enums of the header and those of the library are one list.
static_assert(FT_ERROR_INTERNAL == static_cast<int>(Status::internal) && FT_ERROR_BUSY == static_cast<int>(Status::busy));
static_assert(FT_REASON_IO == static_cast<int>(Reason::io) && FT_REASON_SCHEMA == static_cast<int>(Reason::schema));

const char* ft_version(void) { return FTLIB_VERSION; }

uint32_t ft_abi_version(void) { return FT_ABI_VERSION; }

const char* ft_status_name(ft_status status) {
  static constexpr const char* kNames[] = {"FT_OK",
                                           "FT_ERROR_INVALID_ARGUMENT",
                                           "FT_ERROR_UNSUPPORTED",
                                           "FT_ERROR_OUT_OF_MEMORY",
                                           "FT_ERROR_INVALID_FILE",
                                           "FT_ERROR_IO",
                                           "FT_ERROR_NOT_FOUND",
                                           "FT_ERROR_BUSY",
                                           "FT_ERROR_MISMATCH",
                                           "FT_ERROR_NON_FINITE",
                                           "FT_ERROR_CANCELLED",
                                           "FT_ERROR_INTERNAL",
                                           "FT_ERROR_BUFFER_TOO_SMALL"};
  const auto i = static_cast<std::size_t>(status);
  return i < std::size(kNames) ? kNames[i] : "unknown status";
}

const char* ft_reason_name(ft_reason reason) {
  const auto i = static_cast<std::size_t>(reason);
  return i <= static_cast<std::size_t>(FT_REASON_IO) ? reason_name(static_cast<Reason>(reason)).data() : "unknown reason";
}

const char* ft_last_error(void) { return last_error.text; }

ft_reason ft_last_error_reason(void) { return last_error.reason; }

ft_status ft_set_log(ft_log_callback callback, void* user) {
  return guard([&] {
    FT_CHECK(!inside_log, busy, "ft_set_log: called from within the log callback");
    Log& l = log();
    const std::unique_lock lock(l.mutex);
    l.callback = callback, l.user = user;
  });
}

ft_status ft_backend_count(size_t* count) {
  return guard([&] { *need(count, "count") = backends().size(); });
}

ft_status ft_backend_name(size_t index, const char** name, int32_t* available) {
  return guard([&] {
    need(name, "name");
    FT_CHECK(index < backends().size(), invalid_argument, "there are ", backends().size(), " backends, index is ", index);
    const KernelTable& backend = *backends()[index];
    *name = backend.name.data();
    if (available) *available = backend.available();
  });
}

ft_status ft_backend_force(const char* name) {
  return guard([&] { force_backend(name ? name : ""); });
}

ft_status ft_backend_used(const char* op, const char** name) {
  return guard([&] {
    const std::string_view used = backend_used(need(op, "op"));
    *need(name, "name") = used.empty() ? "" : used.data();
  });
}

ft_status ft_get_threads(int32_t* count) {
  return guard([&] { *need(count, "count") = threads(); });
}

ft_status ft_set_threads(int32_t count) {
  return guard([&] { set_threads(count); });
}

ft_status ft_shutdown(void) {
  return guard([] { shutdown(); });
}
