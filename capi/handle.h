// SPDX-License-Identifier: Apache-2.0
// Handles are numbers in the clothes of pointers: a slot and how often it was used. Looking one up reads no memory of the
// caller's, so one that was freed, is of another type or was made up is found out, and the object stays alive while a call
// uses it.
#pragma once
#include <memory>

#include "guard.h"

namespace ftlib::capi {

/// What is behind a handle: specialised in objects.h with `Type` and `kName`.
template <class Handle>
struct Object;

/// The bits of a new handle for an object of a type; `name` is the type's identity.
void* add_handle(const char* name, std::shared_ptr<void> object);
/// Throws Error{invalid_argument}.
std::shared_ptr<void> find_handle(const char* name, const void* handle);
/// The object, whose handle is none any more. Throws likewise.
std::shared_ptr<void> remove_handle(const char* name, const void* handle);

template <class Handle>
std::shared_ptr<typename Object<Handle>::Type> get(const Handle* handle) {
  return std::static_pointer_cast<typename Object<Handle>::Type>(find_handle(Object<Handle>::kName, handle));
}

/// The body of a function that makes a handle: `make` gives the shared object.
template <class Handle, class Make>
ft_status create(Handle** out, Make&& make) {
  return guard([&] {
    *need(out, "out") = nullptr;
    std::shared_ptr<typename Object<Handle>::Type> object = make();
    *out = static_cast<Handle*>(add_handle(Object<Handle>::kName, std::move(object)));
  });
}

/// The body of a function that frees one.
template <class Handle>
ft_status destroy(Handle* handle) {
  return guard([&] {
    if (handle != nullptr) remove_handle(Object<Handle>::kName, handle);
  });
}

}  // namespace ftlib::capi
