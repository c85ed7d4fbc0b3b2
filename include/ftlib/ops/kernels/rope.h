// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ftlib/core/parallel.h"
#include "ftlib/ops/kernels/grain.h"
#include "ftlib/ops/kernels/vector_math.h"
#include "ftlib/ops/rope.h"
#include "ftlib/ops/rows.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

template <class V>
Status rope(const RopeArgs& args) noexcept {
  const std::int64_t tokens = args.x.shape[0], heads = args.x.shape[1], half = args.x.shape[2] / 2;
  const std::int32_t* positions = data_as<std::int32_t>(args.positions);
  const auto cosine = rows_of<float>(args.cos), sine = rows_of<float>(args.sin);
  const V sign = V::set(args.inverse ? -1.f : 1.f);
  return with_storage(args.x.dtype, [&]<class S>() {
    const auto x = heads_of<S>(args.x);
    parallel_ranges(tokens, rows_per_chunk(heads * half * 2), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        for (std::int64_t h = 0; h < heads; ++h)
          each<V>(half, [=, low = x(t, h), c = cosine[positions[t]], s = sine[positions[t]]](std::int64_t i,
                                                                                           auto... part) {
            const V a = V::load(low + i, part...), b = V::load(low + half + i, part...);
            const V co = V::load(c + i, part...), si = V::load(s + i, part...) * sign;
            (a * co - b * si).store(low + i, part...);
            (b * co + a * si).store(low + half + i, part...);
          });
    });
  });
}

}  // namespace kernels
}  // namespace ftlib
