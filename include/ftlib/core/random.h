// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: the n-th number of a stream is a pure function of (key, n), so nothing is stored,
// nothing depends on threads, and resume needs no generator state.
// Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, section 3 (Philox4x32-10).
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "ftlib/config.h"

namespace ftlib::inline FTLIB_ABI {

/// One Philox4x32-10 block: four uniform 32-bit words for a 64-bit key and a 128-bit counter.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t low, std::uint64_t high = 0) noexcept {
  std::uint32_t c0 = static_cast<std::uint32_t>(low), c1 = static_cast<std::uint32_t>(low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(high), c3 = static_cast<std::uint32_t>(high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c0 = n0, c1 = static_cast<std::uint32_t>(p1), c2 = n2, c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

/// [0, 1) with 24 bits.
constexpr float uniform_from_bits(std::uint32_t bits) noexcept { return static_cast<float>(bits >> 8) * 0x1p-24f; }

/// A convenience walk along one stream (key, stream); copyable, two words of state.
class Random {
 public:
  explicit Random(std::uint64_t key, std::uint64_t stream = 0) noexcept : key_(key), stream_(stream) {}

  std::uint32_t next_u32() noexcept {
    if (index_ % 4 == 0) block_ = philox(key_, index_ / 4, stream_);
    return block_[index_++ % 4];
  }
  std::uint64_t next_u64() noexcept {
    const std::uint64_t high = next_u32();
    return (high << 32) | next_u32();
  }
  float uniform() noexcept { return uniform_from_bits(next_u32()); }
  /// Uniform in [0, bound), bound >= 1, without bias: values in the last, partial stretch are drawn again.
  std::uint64_t below(std::uint64_t bound) noexcept {
    const std::uint64_t unfair = (0 - bound) % bound;  // 2^64 mod bound
    for (;;) {
      const std::uint64_t x = next_u64();
      if (x >= unfair) return x % bound;
    }
  }
  /// Standard normal by Box-Muller, in double.
  double normal() noexcept {
    const double u = (static_cast<double>(next_u32()) + 0.5) * 0x1p-32, v = next_u32() * 0x1p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  std::uint64_t key_, stream_, index_ = 0;
  std::array<std::uint32_t, 4> block_{};
};

/// Fisher-Yates over [begin, begin + n).
template <class Iterator>
void shuffle(Iterator begin, std::uint64_t n, Random random) {
  const auto at = [&](std::uint64_t i) { return begin + static_cast<std::ptrdiff_t>(i); };
  for (std::uint64_t i = n; i > 1; --i) std::iter_swap(at(i - 1), at(random.below(i)));
}

}  // namespace ftlib
