// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ftlib/core/random.h"
#include "ftlib/core/weight.h"
#include "golden/gguf_quants.h"

using namespace ftlib;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes random_bytes(std::int64_t n, std::uint64_t stream) {
  Random random(11, stream);
  Bytes bytes(static_cast<std::size_t>(n));
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next_u32() >> 24);
  return bytes;
}

std::vector<float> random_values(std::int64_t n, std::uint64_t stream) {
  Random random(12, stream);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

WeightView view_of(WeightFormat format, std::int64_t out, std::int64_t in, const void* data) {
  WeightView view;
  view.format = format, view.block_size = weight_format_info(format).block_size;
  view.shape[0] = out, view.shape[1] = in, view.data = data;
  return view;
}

std::vector<float> decoded(const WeightView& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.numel()));
  decode_rows(weight, 0, weight.out(), values.data());
  return values;
}

}  // namespace

TEST_CASE("random blocks of every GGUF format decode to the bits of llama.cpp's arithmetic") {
  for (const DecodedGolden& want : kDecodedGolden) {
    CAPTURE(want.format);
    const WeightFormatInfo& info = weight_format_by_name(want.format);
    const std::int64_t bytes = weight_data_bytes(info.format, want.n);
    Random random(3, static_cast<std::uint64_t>(info.block_bytes));
    std::vector<std::uint32_t> words(static_cast<std::size_t>(bytes + 3) / 4);
    for (std::uint32_t& word : words) word = random.next_u32();
    std::vector<float> values = decoded(view_of(info.format, 1, want.n, words.data()));
    std::int64_t nans = 0;
    for (float& value : values)
      if (std::isnan(value)) value = std::bit_cast<float>(0x7fc00000u), ++nans;
    CHECK(nans == want.nans);
    CHECK(golden::digest(values) == want.digest);
  }
}

TEST_CASE("q4_0, q4_1 and q8_0 encode to the bytes of llama.cpp's reference quantiser") {
  for (const EncodedGolden& want : kEncodedGolden) {
    CAPTURE(want.format);
    CAPTURE(want.kind);
    const WeightFormatInfo& info = weight_format_by_name(want.format);
    const Bytes raw = golden::values(want.kind, DType::f32, want.n);
    std::vector<float> values(static_cast<std::size_t>(want.n));
    std::memcpy(values.data(), raw.data(), raw.size());
    Bytes blocks(static_cast<std::size_t>(weight_data_bytes(info.format, want.n)));
    info.encode(values.data(), want.n, blocks.data());
    CHECK(golden::digest(blocks) == want.digest);
  }
}

TEST_CASE("weight formats stand in the order of the enum and are found by name") {
  REQUIRE(weight_formats().size() == kWeightFormats);
  for (std::size_t i = 0; i < kWeightFormats; ++i) {
    CHECK(static_cast<std::size_t>(weight_formats()[i].format) == i);
    CHECK(&weight_format_by_name(weight_formats()[i].name) == &weight_formats()[i]);
  }
  CHECK_THROWS_WITH_AS(weight_format_by_name("q5_k"),
                       "[weight_format] unknown name, got \"q5_k\", want one of f32, f16, bf16, nf4, q4_0, q4_1, q8_0, "
                       "q4_k, q6_k",
                       Error);
}

TEST_CASE("weight_data_bytes counts whole blocks, and half bytes of nf4 upwards") {
  CHECK(weight_data_bytes(WeightFormat::f32, 3) == 12);
  CHECK(weight_data_bytes(WeightFormat::bf16, 3) == 6);
  CHECK(weight_data_bytes(WeightFormat::nf4, 7) == 4);
  CHECK(weight_data_bytes(WeightFormat::q4_1, 64) == 40);
  CHECK(weight_data_bytes(WeightFormat::q6_k, 512) == 420);
  CHECK(describe(view_of(WeightFormat::nf4, 1536, 576, nullptr)) == "nf4 [1536, 576]");
}

TEST_CASE("decoding a part gives the bits of decoding the whole, for every format and every kind of edge") {
  for (const WeightFormatInfo& info : weight_formats()) {
    CAPTURE(info.name);
    const std::int64_t in = 512, out = 3, numel = in * out;
    const Bytes data = random_bytes(weight_data_bytes(info.format, numel), 1);
    const std::vector<float> scales = random_values(numel / 32, 2);
    WeightView weight = view_of(info.format, out, in, data.data());
    if (info.format == WeightFormat::nf4) weight.scales = scales.data();
    const std::vector<float> whole = decoded(weight);
    const bool any_range = info.block_size == 1 || info.format == WeightFormat::nf4;
    for (const std::int64_t first : any_range ? std::vector<std::int64_t>{0, 1, 63, 64, 65, 130}
                                              : std::vector<std::int64_t>{0, 256, 512})
      for (const std::int64_t count : any_range ? std::vector<std::int64_t>{0, 1, 2, 63, 64, 65, 191}
                                                : std::vector<std::int64_t>{0, 256, 768}) {
        std::vector<float> part(static_cast<std::size_t>(count) + 1, 42.0f);
        info.decode(weight, first, count, part.data());
        std::int64_t wrong = part.back() != 42.0f;
        for (std::int64_t i = 0; i < count; ++i)
          wrong += std::bit_cast<std::uint32_t>(part[static_cast<std::size_t>(i)]) !=
                   std::bit_cast<std::uint32_t>(whole[static_cast<std::size_t>(first + i)]);
        CHECK(wrong == 0);
      }
  }
}

TEST_CASE("what was encoded decodes to within half a step of each block") {
  for (const WeightFormatInfo& info : weight_formats()) {
    if (info.encode == nullptr || info.block_size == 1) continue;
    CAPTURE(info.name);
    const std::vector<float> values = random_values(4096, 3);
    Bytes data(static_cast<std::size_t>(weight_data_bytes(info.format, 4096)));
    info.encode(values.data(), 4096, data.data());
    const std::vector<float> back = decoded(view_of(info.format, 8, 512, data.data()));
    const float levels = info.format == WeightFormat::q8_0 ? 127 : info.format == WeightFormat::q4_1 ? 15 : 8;
    for (std::size_t block = 0; block < 128; ++block) {
      float low = values[block * 32], high = low, widest = 0, worst = 0;
      for (std::size_t i = block * 32; i < block * 32 + 32; ++i) {
        low = std::min(low, values[i]), high = std::max(high, values[i]);
        widest = std::max(widest, std::fabs(values[i])), worst = std::max(worst, std::fabs(values[i] - back[i]));
      }
      const float step = (info.format == WeightFormat::q4_1 ? high - low : widest) / levels;
      // q4_0 has no code for the widest value's opposite: up to a whole step there.
      CHECK(worst <= step * (info.format == WeightFormat::q4_0 ? 1.01f : 0.52f) + widest * 1e-3f);
    }
  }
}

TEST_CASE("a scale of NaN or infinity decodes to NaN or infinity in its own block only") {
  for (const WeightFormatInfo& info : weight_formats()) {
    if (info.block_size == 1) continue;
    CAPTURE(info.name);
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Bytes data(static_cast<std::size_t>(weight_data_bytes(info.format, 2 * 256)), 0x35);
      std::vector<float> scales(512 / 32, 1.0f);
      WeightView weight = view_of(info.format, 2, 256, data.data());
      if (info.format == WeightFormat::nf4) weight.scales = scales.data(), scales[0] = bad;
      const std::uint16_t half = to_f16(bad).bits;
      const std::size_t at = info.format == WeightFormat::q6_k ? 208 : 0;
      if (info.format != WeightFormat::nf4) std::memcpy(data.data() + at, &half, 2);
      const std::vector<float> values = decoded(weight);
      CHECK(!std::isfinite(values[0]));
      for (std::size_t i = static_cast<std::size_t>(info.block_size); i < 512; ++i) CHECK(std::isfinite(values[i]));
    }
  }
}

TEST_CASE("encoding hostile values is defined: no format reads or writes beyond its blocks") {
  const float big = std::numeric_limits<float>::max(), inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN(), tiny = std::numeric_limits<float>::denorm_min();
  for (const WeightFormatInfo& info : weight_formats()) {
    if (info.encode == nullptr) continue;
    for (const float bad : {big, -big, inf, -inf, nan, tiny, -tiny, 0.0f, -0.0f}) {
      std::vector<float> values = random_values(64, 4);
      for (std::size_t i = 0; i < 32; i += 3) values[i] = bad;
      Bytes data(static_cast<std::size_t>(weight_data_bytes(info.format, 64)) + 1, 0xA5);
      info.encode(values.data(), 64, data.data());
      CHECK(data.back() == 0xA5);
      decoded(view_of(info.format, 2, 32, data.data()));
    }
  }
}

TEST_CASE("nf4 decodes to table times absmax, rounded first to the type that bitsandbytes would give") {
  const Bytes codes{0x0F, 0x7E, 0xF0};
  const float absmax = 0.7f;
  WeightView weight = view_of(WeightFormat::nf4, 2, 3, codes.data());
  weight.scales = &absmax;
  const std::vector<float> exact = decoded(weight);
  CHECK(exact == std::vector<float>{-0.7f, 0.7f, 0.0f, kNf4Values[14] * 0.7f, 0.7f, -0.7f});
  weight.dtype = DType::bf16;
  CHECK(decoded(weight)[3] == to_float(to_bf16(exact[3])));
  weight.dtype = DType::f16;
  CHECK(decoded(weight)[3] == to_float(to_f16(exact[3])));
}
