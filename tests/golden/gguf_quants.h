// SPDX-License-Identifier: Apache-2.0
// Written by tools/golden/gguf_quants.py with gguf 0.19.0, numpy 2.4.6.
#pragma once
#include "../golden_inputs.h"

struct DecodedGolden {
  const char* format;
  std::int64_t n;
  std::uint64_t digest;
  std::int64_t nans;
};
inline constexpr DecodedGolden kDecodedGolden[] = {
    {"f16", 16384, 0x8166f2ad89496325, 524},
    {"bf16", 16384, 0x50fff7df68322325, 84},
    {"q4_0", 16384, 0xe6046df94eea8b25, 448},
    {"q4_1", 16384, 0xefec9a8723903a5b, 928},
    {"q8_0", 16384, 0xf88dd2173fae04e5, 512},
    {"q4_k", 131072, 0x347a91c2aa9ecc19, 5376},
    {"q6_k", 131072, 0x5f6be0c3a55b063f, 3072},
};

struct EncodedGolden {
  const char *format, *kind;
  std::int64_t n;
  std::uint64_t digest;
};
inline constexpr EncodedGolden kEncodedGolden[] = {
    {"q4_0", "spread", 16384, 0x5ce0577dcbcc9a4e},
    {"q4_0", "bits", 16384, 0x2ced4504d31a254a},
    {"q4_0", "ties", 16384, 0xc3ddf3bc4b4fce46},
    {"q4_0", "sparse", 16384, 0xf1c5e2e5ba291bb},
    {"q4_0", "huge", 16384, 0x435b776d792e3645},
    {"q4_0", "near", 16384, 0x4beec42f4538d6d},
    {"q4_0", "halves", 16384, 0xcee344872d0a30c1},
    {"q4_1", "spread", 16384, 0x6d4c7efdbdb4977b},
    {"q4_1", "bits", 16384, 0x11b5549c106056fa},
    {"q4_1", "ties", 16384, 0x45790cade459481a},
    {"q4_1", "sparse", 16384, 0x793096c6527bd891},
    {"q4_1", "huge", 16384, 0x94910ac7cb9b2b25},
    {"q4_1", "near", 16384, 0x5b3b38f8bc97e407},
    {"q4_1", "halves", 16384, 0xb9e5368ef5d7ef75},
    {"q8_0", "spread", 16384, 0xf8d4f957c8b568ed},
    {"q8_0", "bits", 16384, 0xd05ed6ae6d077e77},
    {"q8_0", "ties", 16384, 0xc013638fb0b980ae},
    {"q8_0", "sparse", 16384, 0x6e979d4510205092},
    {"q8_0", "huge", 16384, 0x48811e81a16e824a},
    {"q8_0", "near", 16384, 0xd885a00275be277a},
    {"q8_0", "halves", 16384, 0xe41268ef5fbf51ff},
};
