// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/parallel.h"
#include "ftlib/ops/dropout.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

/// Counters that philox_lanes() takes at once: 64 words, in arrays that the compiler turns into vectors.
inline constexpr int kPhiloxLanes = 16;

/// words[4 * lane + i] = philox(key, block + lane, row_key)[i]
template <class V>
FT_ALWAYS_INLINE void philox_lanes(std::uint64_t key, std::uint64_t block, std::uint64_t row_key,
                                   std::uint32_t (&words)[4 * kPhiloxLanes]) noexcept {
  std::uint32_t c0[kPhiloxLanes], c1[kPhiloxLanes], c2[kPhiloxLanes], c3[kPhiloxLanes];
  for (int i = 0; i < kPhiloxLanes; ++i) {
    const std::uint64_t counter = block + static_cast<std::uint64_t>(i);
    c0[i] = static_cast<std::uint32_t>(counter), c1[i] = static_cast<std::uint32_t>(counter >> 32);
    c2[i] = static_cast<std::uint32_t>(row_key), c3[i] = static_cast<std::uint32_t>(row_key >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
    for (int i = 0; i < kPhiloxLanes; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0[i], p1 = std::uint64_t{0xCD9E8D57u} * c2[i];
      c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ k0, c1[i] = static_cast<std::uint32_t>(p1);
      c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ k1, c3[i] = static_cast<std::uint32_t>(p0);
    }
  for (int i = 0; i < kPhiloxLanes; ++i)
    words[4 * i] = c0[i], words[4 * i + 1] = c1[i], words[4 * i + 2] = c2[i], words[4 * i + 3] = c3[i];
}

template <class V, class S>
FT_ALWAYS_INLINE void dropout_row(const S* x, std::uint64_t key, std::int64_t row_key, float probability, S* y,
                                  std::int64_t dim) noexcept {
  constexpr std::int64_t kWords = 4 * kPhiloxLanes;
  const V scale = V::set(1 / (1 - probability)), bound = V::set(probability), zero = V::set(0);
  for (std::int64_t first = 0; first < dim; first += kWords) {
    std::uint32_t words[kWords];
    float uniform[kWords];
    philox_lanes<V>(key, static_cast<std::uint64_t>(first / 4), static_cast<std::uint64_t>(row_key), words);
    for (int i = 0; i < kWords; ++i) uniform[i] = static_cast<float>(static_cast<std::int32_t>(words[i] >> 8)) * 0x1p-24f;
    each<V>(dim - first < kWords ? dim - first : kWords, [&](std::int64_t i, auto... part) {
      const V kept = V::load(x + first + i, part...) * scale;
      if_less(V::load(uniform + i), bound, zero, kept).store(y + first + i, part...);
    });
  }
}

template <class V>
Status dropout(const DropoutArgs& args) noexcept {
  const std::int64_t tokens = args.x.shape[0], dim = args.x.shape[1];
  const std::int64_t* row_keys = data_as<std::int64_t>(args.row_keys);
  return with_storage(args.x.dtype, [&]<class S>() {
    const auto x = rows_of<S>(args.x);
    const auto y = rows_of<S>(args.y);
    parallel_ranges(tokens, rows_per_chunk(dim * 8), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        dropout_row<V>(x[t], args.key, row_keys[t], args.probability, y[t], dim);
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
