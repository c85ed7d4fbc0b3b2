// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "ftlib/io/gguf.h"
#include "ftlib/io/safetensors.h"
#include "temporary_folder.h"

using namespace ftlib;

TEST_CASE("a safetensors file comes back as it was written") {
  const TemporaryFolder folder;
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const std::uint8_t byte = 7;
  const SafetensorsSource sources[] = {{"b", SafetensorsDType::u8, {}, &byte, {}},
                                       {"a.weight", SafetensorsDType::f32, {2, 3}, values, {}},
                                       {"none", SafetensorsDType::bf16, {0, 4}, nullptr, {}}};
  write_safetensors(folder / "t.safetensors", sources, {{"format", "pt"}});
  const SafetensorsFile file(folder / "t.safetensors");
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.metadata() == SafetensorsMetadata{{"format", "pt"}});
  CHECK(describe(*file.find("a.weight")) == "F32 [2, 3]");
  std::vector<float> got(6);
  file.read(*file.find("a.weight"), got.data());
  CHECK(std::equal(got.begin(), got.end(), values));
  CHECK(file.find("c") == nullptr);
  CHECK(SafetensorsModel(folder / "t.safetensors").at("b").tensor->bytes == 1);
}

TEST_CASE("a GGUF file comes back as it was written") {
  const TemporaryFolder folder;
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> blocks(2 * 34, 1);
  const std::string words[] = {"a", "", "\xc3\xa9"};
  const GgufField fields[] = {{"general.architecture", GgufValue::string("llama")},
                              {"llama.block_count", GgufValue::u32(2)},
                              {"tokenizer.ggml.tokens", GgufValue::array(GgufArray::strings(words))}};
  const GgufSource sources[] = {{"norm.weight", GgmlType::f32, {6}, values, {}},
                                {"blk.0.weight", GgmlType::q8_0, {2, 32}, blocks.data(), {}}};
  write_gguf(folder / "t.gguf", fields, sources);
  const GgufFile file(folder / "t.gguf");
  CHECK(file.metadata() == std::vector<GgufField>(std::begin(fields), std::end(fields)));
  CHECK(file.at("llama.block_count").as_integer("") == 2);
  CHECK(file.at("tokenizer.ggml.tokens").as_array("", GgufType::string).string(2, "") == "\xc3\xa9");
  CHECK(describe(*file.find_tensor("blk.0.weight")) == "q8_0 [2, 32]");
  CHECK(file.find_tensor("blk.0.weight")->ne == std::vector<std::int64_t>{32, 2});
  std::vector<float> got(6);
  file.read(*file.find_tensor("norm.weight"), got.data());
  CHECK(std::equal(got.begin(), got.end(), values));
}
