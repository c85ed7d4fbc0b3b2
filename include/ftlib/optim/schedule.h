// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules as pure functions of the step, equal to transformers' get_*_schedule_with_warmup.
#pragma once
#include <cmath>
#include <cstdint>
#include <string_view>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

enum class Schedule : std::int32_t { constant = 0, linear, cosine };

constexpr std::string_view schedule_name(Schedule schedule) noexcept {
  constexpr std::string_view kNames[] = {"constant", "linear", "cosine"};
  return kNames[static_cast<int>(schedule)];
}

inline Schedule schedule_by_name(std::string_view name) {
  for (const Schedule schedule : {Schedule::constant, Schedule::linear, Schedule::cosine})
    if (schedule_name(schedule) == name) return schedule;
  throw Error(Status::invalid_argument, concat("[schedule] want constant, linear or cosine, got ", name));
}

/// The factor on the base rate for step `step` (from 1) of `total`: 0 -> 1 over `warmup` steps, then the schedule.
/// Step 1 uses transformers' value at 0, as its trainer does.
inline double schedule_factor(Schedule schedule, std::int64_t step, std::int64_t warmup, std::int64_t total) noexcept {
  const std::int64_t at = step - 1;
  if (at < warmup) return static_cast<double>(at) / static_cast<double>(warmup);
  const double span = static_cast<double>(total - warmup > 1 ? total - warmup : 1);
  const double progress = static_cast<double>(at - warmup) / span;
  switch (schedule) {
    case Schedule::constant: return 1;
    case Schedule::linear: return at < total ? static_cast<double>(total - at) / span : 0;
    case Schedule::cosine: break;
  }
  const double value = 0.5 * (1 + std::cos(3.14159265358979323846 * progress));
  return value > 0 ? value : 0;
}

}  // namespace ftlib
