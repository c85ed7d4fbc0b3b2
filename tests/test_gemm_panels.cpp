// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "ftlib/core/buffer.h"
#include "gemm_data.h"
#include "kernels/backends.h"
#include "kernels/gemm_kernels.h"

using namespace ftlib;
using namespace ftlib::test;
using detail::GemmOperand;
using detail::PanelJob;

namespace {

struct Filler {
  std::string name;
  bool (*available)() noexcept;
  bool (*fill)(const PanelJob&) noexcept;
  bool pairs, rounds;
  std::int64_t widest;
};
const Filler kFillers[] = {
    {"AVX-512 bf16", kernels::cpu_has_avx512bf16, kernels::avx512_fill_bf16, true, true, 64},
    {"AVX-512 f32", kernels::cpu_has_avx512bf16, kernels::avx512_fill_f32, false, false, 64},
    {"AVX2 bf16", kernels::cpu_has_avx2, kernels::avx2_fill_bf16, false, true, 16},
    {"AVX2 f32", kernels::cpu_has_avx2, kernels::avx2_fill_f32, false, false, 16},
};

/// What a panel must hold, from the table's decoder and one rounding: bf16 pairs as words, else f32 bits.
std::vector<std::uint32_t> expected(const Filler& filler, const PanelJob& job, const RandomWeight& weight) {
  const std::vector<float> values = weight.decoded(filler.rounds ? DType::bf16 : DType::f32);
  const auto value = [&](std::int64_t lane, std::int64_t depth) {
    if (lane >= job.lanes || depth >= job.depths) return 0.0f;
    const std::int64_t l = job.lane + lane, d = job.depth + depth, in = weight.view().in();
    return values[static_cast<std::size_t>(job.source->across ? d * in + l : l * in + d)];
  };
  std::vector<std::uint32_t> words;
  for (std::int64_t d = 0; d < job.depths; d += filler.pairs ? 2 : 1)
    for (std::int64_t lane = 0; lane < job.width; ++lane)
      words.push_back(filler.pairs ? to_bf16(value(lane, d)).bits | std::uint32_t{to_bf16(value(lane, d + 1)).bits} << 16
                                   : std::bit_cast<std::uint32_t>(value(lane, d)));
  return words;
}

struct Shape {
  std::int64_t out, in;
};
constexpr Shape kShapes[] = {{64, 64}, {70, 96}, {33, 320}, {5, 33}, {130, 50}, {3, 256}};

void check_panels(const Filler& filler, const WeightKind& kind, std::int64_t out, std::int64_t in, bool across) {
  const RandomWeight weight(kind, out, in, 1);
  const GemmOperand operand{weight.view(), in, across};
  const std::int64_t all_lanes = across ? in : out, all_depths = across ? out : in;
  for (std::int64_t lane = 0; lane < all_lanes; lane += filler.widest)
    for (std::int64_t depth = 0; depth < all_depths; depth += 64) {
      PanelJob job{&operand, lane, std::min(filler.widest, all_lanes - lane), depth, std::min<std::int64_t>(64, all_depths - depth), 16, nullptr};
      while (job.width < job.lanes) job.width *= 2;
      Buffer panel(job.width * 64 * 4);
      job.panel = panel.data();
      if (!filler.fill(job)) return;  // the driver decodes such a format first
      const auto want = expected(filler, job, weight);
      INFO(filler.name, " ", std::string(kind.name), " [", out, ", ", in, "] across ", across, " lane ", lane, " depth ", depth);
      CHECK(std::memcmp(panel.data(), want.data(), want.size() * 4) == 0);
    }
}

}  // namespace

TEST_CASE("panels hold the bits of decoding and one rounding, in every format, along and across the rows") {
  for (const Filler& filler : kFillers) {
    if (!filler.available()) continue;
    for (const WeightKind& kind : kWeightKinds)
      for (const Shape& shape : kShapes)
        for (const bool across : {false, true})
          if (RandomWeight::exists(kind, shape.in)) check_panels(filler, kind, shape.out, shape.in, across);
  }
}

TEST_CASE("the fast panels cover the dense formats, nf4 and the GGUF blocks of 32") {
  if (!kernels::cpu_has_avx512bf16()) return;
  for (const WeightKind& kind : kWeightKinds) {
    const RandomWeight weight(kind, 64, 256, 1);
    const GemmOperand operand{weight.view(), 256, false};
    Buffer panel(64 * 64 * 4);
    const PanelJob job{&operand, 0, 64, 0, 64, 64, panel.data()};
    const bool fast = kind.format != WeightFormat::q4_k && kind.format != WeightFormat::q6_k;
    CHECK(kernels::avx512_fill_bf16(job) == fast);
    CHECK(kernels::avx512_fill_f32(job) == fast);
  }
}
