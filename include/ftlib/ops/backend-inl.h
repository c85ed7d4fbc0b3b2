// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdlib>
#include <string>

#include "ftlib/ops/backend.h"
#include "ftlib/ops/portable_backend-inl.h"
#include "ftlib/ops/reference_backend-inl.h"

namespace ftlib::inline FTLIB_ABI {
namespace detail {

/// What ops may run, decided once: the available tables, and for each table of the build the pair (it, reference).
struct BackendChoices {
  static constexpr std::size_t kMost = 8;
  const KernelTable* automatic[kMost];
  std::size_t automatic_count = 0;
  const KernelTable* forced[kMost][2];

  BackendChoices() noexcept {
    const auto all = backends();
    for (std::size_t i = 0; i < all.size() && i < kMost; ++i) {
      forced[i][0] = all[i], forced[i][1] = all.back();
      if (all[i]->available()) automatic[automatic_count++] = all[i];
    }
  }
  static const BackendChoices& instance() noexcept {
    static const BackendChoices choices;
    return choices;
  }
};

inline constexpr int kAutomatic = -1, kEnvironmentNotRead = -2;
inline std::atomic<int> backend_choice{kEnvironmentNotRead};  ///< or an index into backends()

/// The index of an available backend; throws with the names of those that are.
inline int backend_index(std::string_view name, std::string_view source) {
  if (name.empty()) return kAutomatic;
  std::string present;
  const auto all = backends();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i]->available()) continue;
    if (all[i]->name == name) return static_cast<int>(i);
    present += concat(present.empty() ? "" : ", ", all[i]->name);
  }
  throw Error(Status::unsupported, concat("[", source, "] no such backend on this machine, got ", name, ", want one of ",
                                          present));
}

struct BackendNote {
  std::string_view op, backend;
};
inline BackendNote& backend_note(std::string_view op) noexcept {
  static thread_local BackendNote notes[32];
  BackendNote* note = notes;
  while (!note->op.empty() && note->op != op && note != notes + 31) ++note;
  return *note;
}

FTLIB_INLINE void note_backend(std::string_view op, std::string_view backend) noexcept { backend_note(op) = {op, backend}; }

}  // namespace detail

FTLIB_INLINE void force_backend(std::string_view name) {
  detail::backend_choice.store(detail::backend_index(name, "force_backend"), std::memory_order_relaxed);
}

FTLIB_INLINE std::string_view backend_used(std::string_view op) noexcept {
  const detail::BackendNote& note = detail::backend_note(op);
  return note.op == op ? note.backend : std::string_view{};
}

FTLIB_INLINE std::span<const KernelTable* const> active_backends() {
  int choice = detail::backend_choice.load(std::memory_order_relaxed);
  if (choice == detail::kEnvironmentNotRead) {
    const char* name = std::getenv("FTLIB_FORCE_BACKEND");
    choice = detail::backend_index(name ? name : "", "FTLIB_FORCE_BACKEND");
    detail::backend_choice.store(choice, std::memory_order_relaxed);
  }
  const detail::BackendChoices& choices = detail::BackendChoices::instance();
  if (choice == detail::kAutomatic) return {choices.automatic, choices.automatic_count};
  return choices.forced[choice];
}

#ifdef FTLIB_HEADER_ONLY
inline std::span<const KernelTable* const> backends() noexcept {
  static const KernelTable* const tables[] = {&detail::portable_backend(), &detail::reference_backend()};
  return tables;
}
#endif

}  // namespace ftlib
