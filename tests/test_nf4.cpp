// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/ops/backend.h"
#include "ftlib/ops/nf4.h"
#include "golden/nf4.h"
#include "oracle.h"

using namespace ftlib;

namespace {

struct Quantized {
  std::vector<std::uint8_t> codes;
  std::vector<float> absmax;
  int code(std::size_t i) const { return i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15; }
};

Quantized quantized(const void* values, std::int64_t n, int block_size, DType dtype = DType::f32) {
  Quantized result;
  result.codes.resize(static_cast<std::size_t>(n / 2 + n % 2));
  result.absmax.resize(static_cast<std::size_t>((n + block_size - 1) / block_size));
  nf4_quantize({vector_view(values, n, dtype), block_size,
                vector_view<void*>(result.codes.data(), n / 2 + n % 2, DType::u8),
                vector_view<void*>(result.absmax.data(), static_cast<std::int64_t>(result.absmax.size()))});
  return result;
}

Quantized quantized(const std::vector<float>& values, int block_size) {
  return quantized(values.data(), static_cast<std::int64_t>(values.size()), block_size);
}

struct DoubleQuantized {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  float offset = 0;
  float restored(std::size_t i) const { return dynamic_map(true)[codes[i]] * scales[i / 256] + offset; }
};

DoubleQuantized double_quantized(const std::vector<float>& absmax) {
  const auto n = static_cast<std::int64_t>(absmax.size());
  DoubleQuantized result{std::vector<std::uint8_t>(absmax.size()), std::vector<float>((absmax.size() + 255) / 256)};
  result.offset = double_quantize({vector_view<const void*>(absmax.data(), n),
                                   vector_view<void*>(result.codes.data(), n, DType::u8),
                                   vector_view<void*>(result.scales.data(), (n + 255) / 256)});
  return result;
}

/// Decoded as bitsandbytes would: rounded to `dtype`, stored in it.
std::vector<std::uint8_t> decoded_bytes(const Quantized& quantized, std::int64_t n, int block_size, DType dtype) {
  WeightView weight;
  weight.format = WeightFormat::nf4, weight.block_size = block_size, weight.shape[0] = 1, weight.shape[1] = n;
  weight.data = quantized.codes.data(), weight.scales = quantized.absmax.data(), weight.dtype = dtype;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(n * dtype_bytes(dtype)));
  nf4_dequantize({weight, vector_view<void*>(bytes.data(), n, dtype)});
  return bytes;
}

}  // namespace

TEST_CASE("nf4_quantize writes bitsandbytes' codes and absmax, and decodes to its rounding, bit for bit") {
  oracle::for_each_backend([](const KernelTable& backend) {
    CAPTURE(backend.name);
    for (const Nf4Golden& want : kNf4Golden) {
      CAPTURE(want.kind);
      CAPTURE(dtype_name(want.dtype));
      CAPTURE(want.block_size);
      CAPTURE(want.n);
      const std::vector<std::uint8_t> values = golden::values(want.kind, want.dtype, want.n);
      const Quantized got = quantized(values.data(), want.n, want.block_size, want.dtype);
      CHECK(backend_used("nf4_quantize") == (backend.nf4_quantize ? backend.name : "ref"));
      CHECK(golden::digest(got.codes) == want.codes);
      CHECK(golden::digest(got.absmax) == want.absmax);
      CHECK(golden::digest(decoded_bytes(got, want.n, want.block_size, want.dtype)) == want.decoded);
    }
  });
}

TEST_CASE("the codebook and the dynamic maps are bitsandbytes' bit for bit") {
  CHECK(golden::digest(kNf4Values, sizeof kNf4Values) == kNf4MapDigest);
  CHECK(golden::digest(dynamic_map(false), 1024) == kUnsignedMapDigest);
  CHECK(golden::digest(dynamic_map(true), 1024) == kSignedMapDigest);
}

TEST_CASE("double_quantize has bitsandbytes' offset and scales, and the exact nearest codes") {
  for (const NestedGolden& want : kNestedGolden) {
    CAPTURE(want.n);
    CAPTURE(want.differing);
    const DoubleQuantized got = double_quantized(golden::absmax(want.peaked, want.n));
    CHECK(got.offset == want.offset);
    CHECK(golden::digest(got.scales) == want.scales);
    CHECK(golden::digest(got.codes) == want.codes);
  }
}

TEST_CASE("nf4_quantize gives a tie the lower code, and one ulp more the upper") {
  for (const float absmax : {1.0f, 0.25f, 1024.0f, 0x1p-100f}) {
    std::vector<float> values(64, 0.0f);
    values[0] = -absmax;
    for (int code = 0; code < 15; ++code) {
      const auto at = static_cast<std::size_t>(2 + 3 * code);
      values[at] = nf4_threshold(code) * absmax;
      values[at + 1] = std::nextafter(nf4_threshold(code), 2.0f) * absmax;
      values[at + 2] = std::nextafter(nf4_threshold(code), -2.0f) * absmax;
    }
    const Quantized got = quantized(values, 64);
    CHECK(got.absmax[0] == absmax);
    for (int code = 0; code < 15; ++code) {
      const auto at = static_cast<std::size_t>(2 + 3 * code);
      CHECK(got.code(at) == code);
      CHECK(got.code(at + 1) == code + 1);
      CHECK(got.code(at + 2) == code);
    }
  }
}

TEST_CASE("nf4_quantize takes the nearest value of the table for every float of a fine walk") {
  std::vector<float> values;
  for (float x = -1; x < 1; x += 0x1p-12f) {
    if (values.size() % 4096 == 0) values.push_back(1);  // every block's absmax
    values.push_back(x);
  }
  values.resize(4096 * 3, 1.0f);
  oracle::for_each_backend([&](const KernelTable&) {
    const Quantized got = quantized(values, 4096);
    for (std::size_t i = 0; i < values.size(); ++i) {
      int want = 0;
      for (int code = 0; code < 15; ++code) want += values[i] > nf4_threshold(code);
      CHECK(got.code(i) == want);
    }
  });
}

TEST_CASE("nf4_quantize keeps zeros exact: a zero block is code 7 throughout, negative zero too") {
  std::vector<float> values(100, 0.0f);
  values[3] = -0.0f;
  const Quantized got = quantized(values, 32);
  CHECK(got.codes == std::vector<std::uint8_t>(50, 0x77));
  CHECK(got.absmax[0] == 0.0f);
  CHECK(got.absmax[3] == 1e-38f);  // the partial last block: bitsandbytes stores its smallest divisor
}

TEST_CASE("nf4_quantize pads an odd count with the code of zero in the last low nibble") {
  const Quantized got = quantized(std::vector<float>{1, -1, 0.5f}, 32);
  CHECK(got.codes == std::vector<std::uint8_t>{0xF0, 0xC7});
}

TEST_CASE("nf4_quantize gives the same bits for any number of threads") {
  Random random(5);
  std::vector<float> values(300001);
  for (float& value : values) value = static_cast<float>(random.normal());
  const int before = threads();
  set_threads(1);
  const Quantized want = quantized(values, 64);
  for (const int count : {2, 3, 8}) {
    set_threads(count);
    const Quantized got = quantized(values, 64);
    CHECK(got.codes == want.codes);
    CHECK(got.absmax == want.absmax);
  }
  set_threads(before);
}

TEST_CASE("nf4_quantize stays in its buffers for NaN and infinity") {
  std::vector<float> values(64, 0.5f);
  values[1] = std::numeric_limits<float>::quiet_NaN();
  values[40] = std::numeric_limits<float>::infinity();
  oracle::for_each_backend([&](const KernelTable&) {
    const Quantized got = quantized(values, 32);
    CHECK(got.code(1) == 0);
    CHECK(got.absmax[0] == 0.5f);
    CHECK(std::isinf(got.absmax[1]));
    CHECK(got.code(40) == 0);
  });
}

TEST_CASE("nf4_quantize names what does not fit") {
  float values[64] = {}, absmax[2] = {};
  std::uint8_t codes[32] = {};
  const auto call = [&](int block_size, std::int64_t code_count, std::int64_t blocks, DType dtype) {
    nf4_quantize({vector_view<const void*>(values, 64, dtype), block_size,
                  vector_view<void*>(codes, code_count, DType::u8), vector_view<void*>(absmax, blocks)});
  };
  CHECK_THROWS_WITH_AS(call(48, 32, 2, DType::f32),
                       "[nf4_quantize] block_size, got 48, want 32, 64, 128, 256, 512, 1024, 2048 or 4096", Error);
  CHECK_THROWS_WITH_AS(call(64, 31, 1, DType::f32), "[nf4_quantize] codes got u8 [31], want u8 [32]", Error);
  CHECK_THROWS_WITH_AS(call(32, 32, 1, DType::f32), "[nf4_quantize] absmax got f32 [1], want f32 [2]", Error);
  CHECK_THROWS_WITH_AS(call(32, 32, 2, DType::i32), "[nf4_quantize] values got i32 [64], want f32, bf16 or f16", Error);
}

TEST_CASE("dynamic_map rises strictly and holds an exact zero and one") {
  for (const bool is_signed : {false, true}) {
    const float* map = dynamic_map(is_signed);
    for (int i = 1; i < 256; ++i) CHECK(map[i - 1] < map[i]);
    CHECK(map[is_signed ? 127 : 0] == 0.0f);
    CHECK(map[255] == 1.0f);
  }
  CHECK(dynamic_map(true)[0] == doctest::Approx(-0.992968738));
}

TEST_CASE("nearest_code is the exact nearest value, the lower code on a tie") {
  for (const bool is_signed : {false, true}) {
    const float* map = dynamic_map(is_signed);
    Random random(6);
    std::vector<float> values{-2, 2, 0, -0.0f, 1e-30f, -1e-30f};
    for (int i = 0; i < 256; ++i) {
      values.push_back(map[i]);
      if (i == 255) break;
      const float middle = static_cast<float>((static_cast<double>(map[i]) + map[i + 1]) / 2);
      for (const float value : {middle, std::nextafter(middle, -2.0f), std::nextafter(middle, 2.0f)})
        values.push_back(value);
    }
    for (int i = 0; i < 2000; ++i) values.push_back(std::ldexp(2 * random.uniform() - 1, -(i % 30)));
    for (const float value : values) {
      int want = 0;
      const auto distance = [&](int i) { return std::fabs(static_cast<double>(value) - static_cast<double>(map[i])); };
      for (int i = 1; i < 256; ++i)
        if (distance(i) < distance(want)) want = i;
      CHECK(nearest_code(map, value) == want);
    }
    CHECK(map[nearest_code(map, 0.0f)] == 0.0f);
  }
}

TEST_CASE("double_quantize restores each absmax to the map's precision and equal ones exactly") {
  Random random(7);
  std::vector<float> absmax(1000);
  for (float& value : absmax) value = 2 + static_cast<float>(random.normal()) / 4;
  const DoubleQuantized got = double_quantized(absmax);
  for (std::size_t i = 0; i < absmax.size(); ++i)
    CHECK(std::fabs(got.restored(i) - absmax[i]) <= 0.008f * got.scales[i / 256]);
  const DoubleQuantized flat = double_quantized(std::vector<float>(300, 0.75f));
  CHECK(flat.offset == 0.75f);
  CHECK(flat.scales == std::vector<float>{0, 0});
  for (std::size_t i = 0; i < 300; ++i) CHECK(flat.restored(i) == 0.75f);
}

TEST_CASE("double_quantize keeps subnormal differences finite and an exact zero zero") {
  const std::vector<float> absmax{1e-40f, 3e-40f, 2e-40f};
  const DoubleQuantized got = double_quantized(absmax);
  CHECK(got.offset == 2e-40f);
  CHECK(got.codes[2] == 127);
  for (std::size_t i = 0; i < 3; ++i) CHECK(got.restored(i) == doctest::Approx(absmax[i]).epsilon(1).scale(1e-40));
}

TEST_CASE("double quantisation keeps the weights of a zero block exactly zero") {
  std::vector<float> values(64 * 300);
  Random random(8);
  for (std::size_t i = 64; i < values.size(); ++i) values[i] = static_cast<float>(random.normal());
  const Quantized four_bit = quantized(values, 64);
  const DoubleQuantized nested = double_quantized(four_bit.absmax);
  WeightView weight;
  weight.format = WeightFormat::nf4, weight.block_size = 64, weight.shape[0] = 300, weight.shape[1] = 64;
  weight.data = four_bit.codes.data(), weight.scales = nested.codes.data();
  weight.nested_scales = nested.scales.data(), weight.nested_code = dynamic_map(true);
  weight.nested_offset = nested.offset;
  std::vector<float> row(64, 1.0f);
  decode_rows(weight, 0, 1, row.data());
  CHECK(row == std::vector<float>(64, 0.0f));
  CHECK(nf4_absmax(weight, 1) == nested.restored(1));
}

TEST_CASE("nf4_dequantize gives what decode_rows gives, for every backend, dtype, tail and kind of scale") {
  Random random(9);
  for (const std::int64_t n : {1, 31, 64, 1000, 64 * 256 * 3 + 5}) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = static_cast<float>(random.normal());
    for (std::int64_t i = 0; i < n && i < 64; ++i) values[static_cast<std::size_t>(i)] *= 1e-38f;  // subnormal products
    if (n > 200) values[70] = 3.3e38f;
    const Quantized four_bit = quantized(values, 64);
    const DoubleQuantized nested = double_quantized(four_bit.absmax);
    WeightView weight;
    weight.format = WeightFormat::nf4, weight.block_size = 64, weight.shape[0] = 1, weight.shape[1] = n;
    weight.data = four_bit.codes.data(), weight.scales = four_bit.absmax.data();
    WeightView doubly = weight;
    doubly.scales = nested.codes.data(), doubly.nested_scales = nested.scales.data();
    doubly.nested_code = dynamic_map(true), doubly.nested_offset = nested.offset;
    for (const WeightView& view : {weight, doubly}) {
      std::vector<float> want(static_cast<std::size_t>(n)), got(want.size());
      decode_rows(view, 0, 1, want.data());
      oracle::for_each_backend([&](const KernelTable& backend) {
        CAPTURE(backend.name);
        CAPTURE(n);
        nf4_dequantize({view, vector_view<void*>(got.data(), n)});
        CHECK(std::memcmp(got.data(), want.data(), got.size() * 4) == 0);
        std::vector<bf16> rounded(got.size());
        nf4_dequantize({view, vector_view<void*>(rounded.data(), n, DType::bf16)});
        bool equal = true;
        for (std::size_t i = 0; i < got.size(); ++i) equal = equal && rounded[i].bits == to_bf16(want[i]).bits;
        CHECK(equal);
      });
    }
  }
}

TEST_CASE("nf4_dequantize names what does not fit") {
  const float values[4] = {};
  float out[4] = {};
  CHECK_THROWS_WITH_AS(nf4_dequantize({dense_weight(values, 1, 4), vector_view<void*>(out, 4)}),
                       "[nf4_dequantize] weight got f32 [1, 4], want nf4", Error);
  const Quantized four_bit = quantized(values, 4, 64);
  WeightView weight;
  weight.format = WeightFormat::nf4, weight.block_size = 64, weight.shape[0] = 1, weight.shape[1] = 4;
  weight.data = four_bit.codes.data(), weight.scales = four_bit.absmax.data();
  CHECK_THROWS_WITH_AS(nf4_dequantize({weight, vector_view<void*>(out, 3)}),
                       "[nf4_dequantize] values got f32 [3], want f32 [4]", Error);
  CHECK_THROWS_WITH_AS(nf4_dequantize({weight, vector_view<void*>(out, 4, DType::i32)}),
                       "[nf4_dequantize] values got i32 [4], want f32, bf16 or f16", Error);
}
