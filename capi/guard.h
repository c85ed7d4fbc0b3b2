// SPDX-License-Identifier: Apache-2.0
// What every function of the C ABI is made of: a body whose exceptions become a status, options and views that may be
// older or newer than this library, results that are copied into the caller's buffers.
#pragma once
#include <cxxabi.h>

#include <algorithm>
#include <cfenv>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ftlib/core/error.h"
#include "ftlib/core/parallel.h"
#include "ftlib_c.h"

namespace ftlib::capi {

/// What ft_last_error() and ft_last_error_reason() give on this thread. The text is cut at 1,023 bytes, between characters.
ft_status fail(ft_status status, Reason reason, std::string_view text) noexcept;
void succeed() noexcept;

/// Tells the host's log callback, if it has set one.
void warn(const std::string& message);

/// Default rounding, no flushing of subnormals, no traps while the library computes; the host's own in callbacks and
/// afterwards.
class FloatingPoint {
 public:
  FloatingPoint() noexcept : outer_(current()) {
    std::fegetenv(&host_);
    std::fesetenv(FE_DFL_ENV);
    current() = this;
  }
  ~FloatingPoint() {
    std::fesetenv(&host_);
    current() = outer_;
  }
  FloatingPoint(const FloatingPoint&) = delete;
  FloatingPoint& operator=(const FloatingPoint&) = delete;

  /// Runs `body` as the host's code.
  template <class Body>
  static auto as_host(Body&& body) {
    struct Host {
      Host() noexcept {
        std::fegetenv(&library);
        std::fesetenv(&current()->host_);
      }
      ~Host() {
        std::fegetenv(&current()->host_);
        std::fesetenv(&library);
      }
      std::fenv_t library;
    } host;
    return body();
  }

 private:
  static FloatingPoint*& current() noexcept {
    thread_local FloatingPoint* innermost = nullptr;
    return innermost;
  }

  FloatingPoint* outer_;
  std::fenv_t host_;
};

/// Thrown by copy_out().
struct BufferTooSmall {
  std::size_t needed, capacity;
};

/// Runs the body of a C function. A cancelled thread goes on unwinding.
template <class Body>
ft_status guard(Body&& body) {
  const FloatingPoint scope;
  try {
    body();
    succeed();
    return FT_OK;
  } catch (const Error& error) {
    return fail(static_cast<ft_status>(error.status()), error.reason(), error.what());
  } catch (const BufferTooSmall& small) {
    char text[96];
    const int n = std::snprintf(text, sizeof text, "the buffer has room for %zu, there are %zu", small.capacity, small.needed);
    return fail(FT_ERROR_BUFFER_TOO_SMALL, Reason::none, {text, static_cast<std::size_t>(n)});
  } catch (const std::bad_alloc&) {
    return fail(FT_ERROR_OUT_OF_MEMORY, Reason::none, "out of memory");
  } catch (const std::length_error&) {
    return fail(FT_ERROR_OUT_OF_MEMORY, Reason::none, "out of memory: more elements than any memory holds");
  } catch (const std::exception& error) {
    return fail(FT_ERROR_INTERNAL, Reason::none, error.what());
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return fail(FT_ERROR_INTERNAL, Reason::none, "unknown exception");
  }
}

/// What a host's callback answers; one that lets an exception out says "cancel".
template <class Callback, class... Arguments>
bool wants_to_go_on(Callback callback, Arguments... arguments) {
  if (callback == nullptr) return true;
  try {
    return FloatingPoint::as_host([&] { return callback(arguments...); }) == 0;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    return false;
  }
}

/// First of all in every function that computes, however little: throws in a child that was forked while the pool had
/// threads. What a child may do then depends on the function alone.
inline void check_process() { detail::check_process(); }

[[noreturn]] inline void cancelled(std::string_view what) {
  throw Error(Status::cancelled, concat(what, ": cancelled by the callback"));
}

// --- Arguments ---------------------------------------------------------------------------------------------------------

/// The argument, which may not be NULL.
template <class T>
T* need(T* pointer, std::string_view name) {
  FT_CHECK(pointer != nullptr, invalid_argument, name, " is NULL");
  return pointer;
}

/// A text that may be NULL.
inline std::string text_or_empty(const char* text) { return text ? std::string(text) : std::string(); }

/// An array of the caller's; NULL is an array of nothing.
template <class T>
std::span<T> array(T* data, std::size_t count, std::string_view name) {
  FT_CHECK(data != nullptr || count == 0, invalid_argument, name, " is NULL, with a count of ", count);
  FT_CHECK(count <= PTRDIFF_MAX / sizeof(T), invalid_argument, name, ": a count of ", count, " is more than memory holds");
  return {data, count};
}

/// The bits of an enum, which the caller may have filled with any number.
template <class Enum>
Enum choice(const Enum& value, Enum last, std::string_view name) {
  std::int32_t number = 0;
  static_assert(sizeof number == sizeof value);
  std::memcpy(&number, &value, sizeof number);
  FT_CHECK(number >= 0 && number <= static_cast<std::int32_t>(last), unsupported, name, ": ", number,
           " is no value that this library knows (0 to ", static_cast<std::int32_t>(last), " are)");
  return static_cast<Enum>(number);
}

inline bool flag(std::int32_t value, std::string_view name) {
  FT_CHECK(value == 0 || value == 1, invalid_argument, name, " must be 0 or 1, got ", value);
  return value == 1;
}

inline void check_flags(std::uint32_t flags, std::uint32_t known) {
  FT_CHECK((flags & ~known) == 0, unsupported, "flags: bits ", flags & ~known, " are none that this library knows");
}

inline constexpr std::size_t kLargestStruct = 4096;

template <class T>
std::size_t checked_size(std::size_t struct_size) {
  FT_CHECK(struct_size >= sizeof(std::uint32_t) && struct_size <= kLargestStruct && struct_size % alignof(T) == 0,
           invalid_argument, "struct_size is ", struct_size, "; set it to the sizeof of the struct");
  return struct_size;
}

/// The defaults, as far as they fit the caller's struct.
template <class T>
void init_options(T* options, std::size_t struct_size, T defaults) {
  need(options, "options");
  const std::size_t size = checked_size<T>(struct_size);
  defaults.struct_size = static_cast<std::uint32_t>(size);
  std::memset(options, 0, size);
  std::memcpy(options, &defaults, std::min(size, sizeof defaults));
}

/// The caller's options over the defaults. A longer struct is of a newer header: what it adds must be unset.
template <class T>
T read_options(const T* options, T defaults) {
  if (options == nullptr) return defaults;
  const std::size_t size = checked_size<T>(options->struct_size);
  const auto* bytes = reinterpret_cast<const unsigned char*>(options);
  for (std::size_t i = sizeof(T); i < size; ++i)
    FT_CHECK(bytes[i] == 0, unsupported, "options: byte ", i, " is set, which this library (", FTLIB_VERSION,
             ") does not know; it needs a newer one");
  std::memcpy(&defaults, options, std::min(size, sizeof defaults));
  if constexpr (requires { defaults.reserved; })
    FT_CHECK(defaults.reserved == 0, unsupported, "options: a reserved field is set; it must be 0");
  return defaults;
}

/// A struct that is an argument by itself: it may not be NULL.
template <class T>
T read_struct(const T* from, std::string_view name) {
  return read_options(need(from, name), T{});
}

/// Fills as much of the caller's struct as it has.
template <class T>
void fill_struct(T* to, const T& value, std::string_view name) {
  const std::size_t size = checked_size<T>(need(to, name)->struct_size);
  constexpr std::size_t kAfterSize = sizeof(std::uint32_t);
  auto* bytes = reinterpret_cast<unsigned char*>(to);
  std::memset(bytes + kAfterSize, 0, size - kAfterSize);
  std::memcpy(bytes + kAfterSize, reinterpret_cast<const unsigned char*>(&value) + kAfterSize,
              std::min(size, sizeof value) - kAfterSize);
}

/// Elements to the caller's buffer; the count always, but for a buffer that is none.
template <class T>
void copy_out(std::span<const T> from, T* to, std::size_t capacity, std::size_t* count) {
  FT_CHECK(to != nullptr || capacity == 0, invalid_argument, "the buffer is NULL, with a capacity of ", capacity);
  *need(count, "the count") = from.size();
  if (to == nullptr) return;
  if (from.size() > capacity) throw BufferTooSmall{from.size(), capacity};
  std::copy(from.begin(), from.end(), to);
}
inline void copy_out(std::string_view from, char* to, std::size_t capacity, std::size_t* bytes) {
  copy_out(std::span<const char>(from), to, capacity, bytes);
}

}  // namespace ftlib::capi
