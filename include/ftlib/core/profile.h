// SPDX-License-Identifier: Apache-2.0
// Where the time goes: while a ProfileScope lives, every op that its thread starts is timed with the work it had to do.
// Without one an op pays for a null test.
#pragma once
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// What one call has to do, whatever the backend: arithmetic (2 a multiply-add), and each operand's bytes once.
struct OpWork {
  double flops = 0, bytes = 0;
  std::int64_t columns = 0, depth = 0;  ///< of products: tells their shapes apart whatever the batch
  std::string_view format = {};         ///< of products: of the weight
};

using ProfileClock = std::chrono::steady_clock;

/// Sums by op and shape, and the first calls one by one. Not thread-safe: it belongs to one thread at a time.
class Profile {
 public:
  static constexpr std::size_t kMostCalls = std::size_t{1} << 16;

  struct Total {
    std::string_view op;
    OpWork work;  ///< flops and bytes of all calls
    std::int64_t calls = 0;
    double seconds = 0;
  };
  struct Call {
    std::size_t total;  ///< its index in totals()
    ProfileClock::time_point begin, end;
    OpWork work;
  };

  /// `op` and `work.format` must be literals.
  void add(std::string_view op, const OpWork& work, ProfileClock::time_point begin, ProfileClock::time_point end);

  const std::vector<Total>& totals() const noexcept { return totals_; }  ///< in the order of their first calls
  const std::vector<Call>& calls() const noexcept { return calls_; }     ///< the first kMostCalls of them
  double seconds() const noexcept { return seconds_; }                   ///< that scopes of this profile lived

 private:
  friend class ProfileScope;
  std::vector<Total> totals_;
  std::vector<Call> calls_;
  double seconds_ = 0;
};

/// Ops of this thread report to `profile` while this lives. Scopes nest: the innermost one counts.
class ProfileScope {
 public:
  explicit ProfileScope(Profile& profile) noexcept;
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;
  ~ProfileScope();

 private:
  Profile* outer_;
  ProfileClock::time_point begin_ = ProfileClock::now();
};

namespace detail {

/// That of this thread, or null.
Profile*& current_profile() noexcept;

/// Reports the time between its ends, where somebody profiles. `work` is called then only.
template <class Work>
class ProfiledCall {
 public:
  ProfiledCall(std::string_view op, Work work) noexcept : profile_(current_profile()), op_(op), work_(work) {
    if (profile_ != nullptr) begin_ = ProfileClock::now();
  }
  ProfiledCall(const ProfiledCall&) = delete;
  ProfiledCall& operator=(const ProfiledCall&) = delete;
  ~ProfiledCall() {
    if (profile_ != nullptr) profile_->add(op_, work_(), begin_, ProfileClock::now());
  }

 private:
  Profile* profile_;
  std::string_view op_;
  Work work_;
  ProfileClock::time_point begin_{};
};

}  // namespace detail
}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/core/profile-inl.h"
#endif
