// SPDX-License-Identifier: Apache-2.0
// The budgets of one run of a template: steps, depth, memory and output. Each ends the run with a LIMIT error.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI::jinja {

struct Limits {
  std::int64_t steps = 20'000'000;             ///< evaluated nodes, touched elements, 32 bytes of text each
  int depth = 800;                             ///< nested evaluations: expressions, blocks, macro calls
  std::int64_t memory = std::int64_t{256} << 20;  ///< live bytes of strings and containers
  std::size_t output = std::size_t{64} << 20;  ///< bytes printed and not yet handed on
};
inline constexpr int kMaxNesting = 256;  ///< of lists and dicts within each other

/// What a template raises; the renderer adds the line and makes an Error of it.
struct Raise {
  std::string message;
  Status status = Status::invalid_argument;
  Reason reason = Reason::none;
};

template <class... Parts>
[[noreturn]] void raise(const Parts&... parts) {
  throw Raise{concat(parts...)};
}
template <class... Parts>
[[noreturn]] void raise_limit(const Parts&... parts) {
  throw Raise{concat(parts...), Status::invalid_file, Reason::limit};
}
template <class... Parts>
[[noreturn]] void raise_unsupported(const Parts&... parts) {
  throw Raise{concat(parts...), Status::unsupported, Reason::unsupported};
}

class Heap {
 public:
  explicit Heap(const Limits& limits = {}) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  const Limits& limits() const noexcept { return limits_; }

  void step(std::size_t count = 1) {
    steps_ += static_cast<std::int64_t>(count);
    if (steps_ > limits_.steps) raise_limit("more than ", limits_.steps, " steps");
  }
  void step_bytes(std::size_t bytes) { step(bytes / 32); }
  void take(std::size_t bytes) {
    if (static_cast<std::int64_t>(bytes) > limits_.memory - live_)
      raise_limit("more than ", limits_.memory, " bytes of memory");
    live_ += static_cast<std::int64_t>(bytes);
  }
  void give(std::size_t bytes) noexcept { live_ -= static_cast<std::int64_t>(bytes); }

  /// Counts one nested evaluation while it lives.
  class Level {
   public:
    explicit Level(Heap& heap) : heap_(heap) {
      if (++heap_.depth_ > heap_.limits_.depth) {
        --heap_.depth_;
        raise_limit("nested deeper than ", heap_.limits_.depth, " levels");
      }
    }
    ~Level() { --heap_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Heap& heap_;
  };

 private:
  Limits limits_;
  std::int64_t steps_ = 0, live_ = 0;
  int depth_ = 0;
};

/// Bytes counted against a heap as long as this lives.
class Charge {
 public:
  Charge() = default;
  Charge(Heap& heap, std::size_t bytes) : heap_(&heap), bytes_(bytes) { heap.take(bytes); }
  Charge(Charge&& other) noexcept : heap_(std::exchange(other.heap_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (heap_ != nullptr) heap_->give(bytes_);
  }

 private:
  Heap* heap_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace ftlib::jinja
