// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <pthread.h>
#include <csignal>
#include <sched.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "ftlib/core/error.h"
#include "ftlib/core/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ftlib::inline FTLIB_ABI {
namespace detail {

inline void relax() noexcept {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

/// CPU affinity capped by the cgroup quota (version 2 or 1), at least 1.
inline int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  long long quota = -1, period = 0;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    if (std::fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;  // "max 100000" has no number first
    std::fclose(file);
  } else {
    const auto read = [](const char* path, long long& value) {
      std::FILE* one = std::fopen(path, "re");
      const bool ok = one != nullptr && std::fscanf(one, "%lld", &value) == 1;
      if (one) std::fclose(one);
      return ok;
    };
    if (!read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota) || !read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period))
      quota = -1;
  }
  if (quota > 0 && period > 0) count = std::min<int>(count, static_cast<int>((quota + period - 1) / period));
  return std::max(count, 1);
}

/// A region in flight: lives on its caller's stack until every chunk is done and no worker looks at it.
struct Region {
  void (*body)(void*, std::int64_t);
  void* context;
  std::int64_t chunks;
  int worker_limit;
  std::atomic<std::int64_t> next{0};
  std::atomic<int> workers{0};  // changed under the pool's mutex
  Region* following = nullptr;

  void work() noexcept {
    for (std::int64_t chunk; (chunk = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) body(context, chunk);
  }
};

class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: nothing may run in static destructors
    return *pool;
  }

  int limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  void set_limit(int count) noexcept { limit_.store(count, std::memory_order_relaxed); }

  void run(std::int64_t chunks, void (*body)(void*, std::int64_t), void* context) {
    check_process();  // however small the work is: what a child may do does not depend on shapes
    const int wanted = static_cast<int>(std::min<std::int64_t>(limit(), chunks)) - 1;
    if (inside() || wanted < 1) {
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk);
      return;
    }
    Region region{body, context, chunks, wanted};
    publish(region, wanted);
    inside() = true;
    region.work();
    inside() = false;
    retire(region);
  }

  void check_process() const {
    FT_CHECK(!lost_.load(std::memory_order_relaxed), unsupported,
             "[parallel_for] this process was forked after ftlib started its threads; start workers by exec (in Python: "
             "multiprocessing's spawn), or join the threads by shutdown() before the fork");
  }

  void shutdown() {
    check_process();  // a child would wait for ever for threads that it does not have
    std::vector<std::thread> joining;
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      joining.swap(workers_);
    }
    wake_.notify_all();
    for (std::thread& worker : joining) worker.join();
    const std::lock_guard lock(mutex_);
    stop_ = false;
    started_.store(false, std::memory_order_relaxed);
  }

 private:
  /// Without memory for the handler a forked child is not told that its workers are gone.
  Pool() { ::pthread_atfork(nullptr, nullptr, [] { instance().lost_ = instance().started_.load(); }); }

  static bool& inside() noexcept {
    static thread_local bool value = false;
    return value;
  }

  /// Where the system gives no more threads, those that are there do the same work.
  void add_workers(int wanted) noexcept {
    try {
      while (static_cast<int>(workers_.size()) < wanted) workers_.emplace_back([this] { serve(); });
    } catch (const std::exception&) {
      return;
    }
  }

  void publish(Region& region, int wanted) {
    {
      const std::lock_guard lock(mutex_);
      started_.store(true, std::memory_order_relaxed);
      add_workers(wanted);
      region.following = regions_;
      regions_ = &region;
      version_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load(std::memory_order_seq_cst) > 0) wake_.notify_all();
  }

  /// Unlinks the region, then waits until the workers that joined it have left. Parks where one of them lost its CPU:
  /// a caller that goes on spinning takes the time that this worker needs.
  void retire(Region& region) {
    std::unique_lock lock(mutex_);
    for (Region** link = &regions_; *link; link = &(*link)->following)
      if (*link == &region) {
        *link = region.following;
        break;
      }
    lock.unlock();
    const auto empty = [&] { return region.workers.load(std::memory_order_acquire) == 0; };
    if (spin(empty)) return;
    lock.lock();
    left_.wait(lock, empty);
  }

  Region* join_one() {  // under the mutex
    for (Region* region = regions_; region; region = region->following)
      if (region->workers < region->worker_limit && region->next.load(std::memory_order_relaxed) < region->chunks) {
        ++region->workers;
        return region;
      }
    return nullptr;
  }

  void serve() {
    inside() = true;
    std::fesetenv(FE_DFL_ENV);  // a thread inherits what its maker had set
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::uint64_t seen = 0;
    for (;;) {
      seen = wait_for_news(seen);
      std::unique_lock lock(mutex_);
      if (stop_) return;
      while (Region* region = join_one()) {
        lock.unlock();
        region->work();
        lock.lock();
        if (region->workers.fetch_sub(1, std::memory_order_release) == 1) left_.notify_all();
      }
    }
  }

  /// Until done(), at most about 200 us; returns whether it came true.
  template <class Done>
  static bool spin(Done done) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    for (int spins = 0; !done(); ++spins) {
      relax();
      if (spins % 64 == 63 && std::chrono::steady_clock::now() > until) return false;
    }
    return true;
  }

  std::uint64_t wait_for_news(std::uint64_t seen) {
    if (spin([&] { return version_.load(std::memory_order_acquire) != seen; }))
      return version_.load(std::memory_order_acquire);
    std::unique_lock lock(mutex_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return stop_ || version_.load(std::memory_order_acquire) != seen; });
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    return version_.load(std::memory_order_acquire);
  }

  std::mutex mutex_;
  std::condition_variable wake_;  // news for parked workers
  std::condition_variable left_;  // the last worker left a region
  std::vector<std::thread> workers_;
  Region* regions_ = nullptr;
  bool stop_ = false;
  std::atomic<std::uint64_t> version_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<int> limit_{available_cpus()};
  std::atomic<bool> started_{false};
  std::atomic<bool> lost_{false};  // in a forked child: the workers that had started are not here
};

FTLIB_INLINE void parallel_for(std::int64_t chunks, void (*body)(void*, std::int64_t), void* context) {
  if (chunks > 0) Pool::instance().run(chunks, body, context);
}

FTLIB_INLINE void check_process() { Pool::instance().check_process(); }

}  // namespace detail

FTLIB_INLINE int threads() { return detail::Pool::instance().limit(); }

FTLIB_INLINE void set_threads(int count) {
  FT_CHECK(count >= 1 && count <= 1024, invalid_argument, "[set_threads] count must be 1 to 1024, got ", count);
  detail::Pool::instance().set_limit(count);
}

FTLIB_INLINE void shutdown() { detail::Pool::instance().shutdown(); }

}  // namespace ftlib
