// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/profile.h"

namespace ftlib::inline FTLIB_ABI {

FTLIB_INLINE void Profile::add(std::string_view op, const OpWork& work, ProfileClock::time_point begin,
                               ProfileClock::time_point end) {
  std::size_t i = 0;
  for (; i < totals_.size(); ++i) {
    const Total& t = totals_[i];
    if (t.op == op && t.work.columns == work.columns && t.work.depth == work.depth && t.work.format == work.format) break;
  }
  if (i == totals_.size()) totals_.push_back({op, {0, 0, work.columns, work.depth, work.format}});
  Total& total = totals_[i];
  total.work.flops += work.flops, total.work.bytes += work.bytes;
  total.seconds += std::chrono::duration<double>(end - begin).count();
  ++total.calls;
  if (calls_.size() < kMostCalls) calls_.push_back({i, begin, end, work});
}

FTLIB_INLINE ProfileScope::ProfileScope(Profile& profile) noexcept : outer_(detail::current_profile()) {
  detail::current_profile() = &profile;
}

FTLIB_INLINE ProfileScope::~ProfileScope() {
  Profile*& current = detail::current_profile();
  current->seconds_ += std::chrono::duration<double>(ProfileClock::now() - begin_).count();
  current = outer_;
}

namespace detail {

FTLIB_INLINE Profile*& current_profile() noexcept {
  static thread_local Profile* profile = nullptr;
  return profile;
}

}  // namespace detail
}  // namespace ftlib
