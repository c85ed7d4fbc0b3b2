// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/core/digest.h"
#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/core/tensor.h"

using namespace ftlib;

TEST_CASE("bf16 and f16 survive a round trip and round to nearest even") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const bool bf16_nan = (half & 0x7fff) > 0x7f80, f16_nan = (half & 0x7fff) > 0x7c00;
    if (!bf16_nan) CHECK(to_bf16(to_float(bf16{half})).bits == half);
    if (!f16_nan) CHECK(to_f16(to_float(f16{half})).bits == half);
  }
  CHECK(to_bf16(1.00390625f).bits == 0x3f80);  // halfway: to even
  CHECK(to_bf16(1.01171875f).bits == 0x3f82);
  CHECK(to_f16(65519.0f).bits == 0x7bff);
  CHECK(to_f16(65520.0f).bits == 0x7c00);
  CHECK(to_f16(0x1p-25f).bits == 0);
  CHECK(to_f16(0x1.8p-25f).bits == 1);
}

TEST_CASE("philox gives the published known answers") {
  // Random123's kat_vectors for philox4x32-10.
  CHECK(philox(0, 0, 0) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~0ull, ~0ull, ~0ull) == std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

TEST_CASE("parallel_for runs every chunk once, for any thread count and from several host threads at once") {
  const int before = threads();
  for (const int count : {1, 2, 3, 7}) {
    set_threads(count);
    std::vector<std::thread> hosts;
    std::atomic<int> wrong{0};
    for (int host = 0; host < 3; ++host)
      hosts.emplace_back([&wrong] {
        for (int round = 0; round < 50; ++round) {
          std::vector<std::atomic<int>> hits(97);
          parallel_for(97, [&](std::int64_t chunk) {
            parallel_for(2, [&](std::int64_t) { hits[static_cast<std::size_t>(chunk)].fetch_add(1); });
          });
          for (const auto& hit : hits) wrong += hit.load() != 2;
        }
      });
    for (std::thread& host : hosts) host.join();
    CHECK(wrong == 0);
  }
  shutdown();
  set_threads(before);
  CHECK_THROWS_WITH_AS(set_threads(0), "[set_threads] count must be 1 to 1024, got 0", Error);
}

TEST_CASE("an arena hands out aligned zeroed blocks and keeps its plan") {
  Arena arena;
  const auto small = arena.add("small", 3), large = arena.add("large", 4 << 20);
  arena.allocate();
  CHECK(arena.slots()[small].name == "small");
  CHECK(reinterpret_cast<std::uintptr_t>(arena.at(large)) % 64 == 0);
  CHECK(*arena.at<char>(large) == 0);
  CHECK(arena.planned_bytes() == 64 + (4 << 20));
  CHECK_THROWS_AS(Buffer(std::int64_t{1} << 62), Error);
}

TEST_CASE("digests match the published test vectors") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(crc32c("123456789", 9) == 0xE3069283u);
  CHECK(crc32c("", 0) == 0);
  CHECK(xxh3_hex("", 0) == "99aa06d3014798d86001c324468d497f");
  CHECK_THROWS_AS(sha256_file("/nonexistent"), Error);
}

TEST_CASE("views describe themselves") {
  float x[6] = {};
  const TensorView v = matrix_view<void*>(x, 2, 3);
  CHECK(describe(v) == "f32 [2, 3]");
  CHECK(row_range(v, 1, 1).data == x + 3);
}
