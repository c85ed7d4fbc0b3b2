// SPDX-License-Identifier: Apache-2.0
#include "handle.h"

#include <mutex>
#include <vector>

namespace ftlib::capi {
namespace {

struct Slot {
  const char* name = nullptr;  ///< null: free
  std::uint32_t generation = 0;
  std::shared_ptr<void> object;
};

// Never destroyed: a host may use handles while its own statics go.
struct Table {
  std::mutex mutex;
  std::vector<Slot> slots;
  std::vector<std::uint32_t> free;
};
Table& table() {
  static Table* const one = new Table;
  return *one;
}

// The low bits are those of no aligned address.
constexpr std::uintptr_t kMark = 5, kMarkBits = 4;
constexpr std::uint32_t kSlots = 1u << 28;

void* to_handle(std::uint32_t slot, std::uint32_t generation) {
  const std::uintptr_t bits = std::uintptr_t{generation} << 32 | std::uintptr_t{slot} << kMarkBits | kMark;
  return reinterpret_cast<void*>(bits);
}

/// The slot of a handle that lives; under the mutex.
Slot& slot_of(Table& t, const char* name, const void* handle) {
  FT_CHECK(handle != nullptr, invalid_argument, name, ": the handle is NULL");
  const auto bits = reinterpret_cast<std::uintptr_t>(handle);
  const std::size_t index = (bits & 0xffffffff) >> kMarkBits;
  const auto generation = static_cast<std::uint32_t>(bits >> 32);
  const bool lives = (bits & 15) == kMark && index < t.slots.size() && t.slots[index].name != nullptr &&
                     t.slots[index].generation == generation;
  FT_CHECK(lives, invalid_argument, name, ": this is no handle that lives; was it freed?");
  FT_CHECK(t.slots[index].name == name, invalid_argument, "want a handle of ", name, ", got one of ",
           t.slots[index].name);
  return t.slots[index];
}

}  // namespace

void* add_handle(const char* name, std::shared_ptr<void> object) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  if (t.free.empty()) {
    FT_CHECK(t.slots.size() < kSlots, out_of_memory, "there are ", kSlots, " handles already");
    if (t.free.capacity() <= t.slots.size()) t.free.reserve(2 * t.slots.size() + 16);  // freeing must not fail
    t.slots.emplace_back();
    t.free.push_back(static_cast<std::uint32_t>(t.slots.size() - 1));
  }
  const std::uint32_t index = t.free.back();
  t.free.pop_back();
  Slot& slot = t.slots[index];
  if (++slot.generation == 0) slot.generation = 1;
  slot.name = name, slot.object = std::move(object);
  return to_handle(index, slot.generation);
}

std::shared_ptr<void> find_handle(const char* name, const void* handle) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  return slot_of(t, name, handle).object;
}

std::shared_ptr<void> remove_handle(const char* name, const void* handle) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  Slot& slot = slot_of(t, name, handle);
  slot.name = nullptr;
  t.free.push_back(static_cast<std::uint32_t>(&slot - t.slots.data()));
  return std::move(slot.object);
}

}  // namespace ftlib::capi
