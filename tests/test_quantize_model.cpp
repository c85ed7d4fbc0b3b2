// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "ftlib/core/buffer.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/data/tokenizer_files.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/gguf.h"
#include "ftlib/model/bitsandbytes.h"
#include "ftlib/model/quantize.h"
#include "ftlib/model/weights.h"
#include "golden.h"
#include "temporary_folder.h"
#include "tiny_gguf.h"

using namespace ftlib;

namespace {

void check_same_bytes(const void* a, const void* b, std::int64_t bytes) {
  CHECK(std::memcmp(a, b, static_cast<std::size_t>(bytes)) == 0);
}

/// The same codes, scales and offsets; for dense weights the same values.
void check_same_weight(const WeightView& a, const WeightView& b) {
  REQUIRE(a.numel() == b.numel());
  std::vector<float> x(static_cast<std::size_t>(a.numel())), y(x.size());
  decode_rows(a, 0, a.out(), x.data());
  decode_rows(b, 0, b.out(), y.data());
  check_same_bytes(x.data(), y.data(), a.numel() * 4);
  if (a.format == WeightFormat::nf4) CHECK(a.block_size == b.block_size);
  CHECK((a.nested_scales == nullptr) == (b.nested_scales == nullptr));
  CHECK(a.nested_offset == b.nested_offset);
}

void check_same_weights(const ModelWeights& a, const ModelWeights& b, std::int64_t hidden) {
  check_same_weight(a.embedding, b.embedding);
  check_same_weight(a.head, b.head);
  check_same_bytes(a.norm, b.norm, hidden * 4);
  REQUIRE(a.layers.size() == b.layers.size());
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    check_same_bytes(a.layers[i].input_norm, b.layers[i].input_norm, hidden * 4);
    for (std::size_t kind = 0; kind < kLinearKinds; ++kind) {
      CHECK(b.layers[i].linear[kind].format == WeightFormat::nf4);
      check_same_weight(a.layers[i].linear[kind], b.layers[i].linear[kind]);
    }
  }
}

}  // namespace

TEST_CASE("a quantised folder holds the very weights that --base nf4 makes in memory, of a GGUF and of a folder") {
  const TemporaryFolder folder;
  write_tiny_gguf(folder / "tiny.gguf");
  for (const std::string& model :
       {folder / "tiny.gguf", golden_path("tiny_llama/plain"), golden_path("tiny_llama/rich")})
    for (const bool double_quant : {false, true}) {
      CAPTURE(model);
      CAPTURE(double_quant);
      const QuantizeReport report = quantize_model(model, folder / "out", {32, double_quant});
      const auto before = ModelFiles::open(model), after = ModelFiles::open(folder / "out");
      CHECK(report.quantized == before->config().num_hidden_layers * kLinearKinds);
      CHECK(report.quantized + report.copied == static_cast<std::int64_t>(before->tensors().size()));
      check_same_weights(load_weights(*before, {BaseFormat::Kind::nf4, 32, double_quant}), load_weights(*after, {}),
                         before->config().hidden_size);
      Json config = model_config_to_json(before->config());
      config["rms_norm_eps"] = after->config().rms_norm_eps;  // a GGUF's f32 becomes its shortest decimal
      CHECK(dump_json(config) == dump_json(model_config_to_json(after->config())));
      CHECK(static_cast<float>(before->config().rms_norm_eps) == static_cast<float>(after->config().rms_norm_eps));
    }
}

TEST_CASE("the config of a quantised folder is its model's, with transformers' quantization_config") {
  const TemporaryFolder folder;
  quantize_model(golden_path("tiny_llama/plain"), folder / "out", {64, true});
  Json want = golden_json("tiny_llama/plain/config.json"), got = parse_json(read_file(folder / "out/config.json"), "");
  want["quantization_config"] = bitsandbytes_config(true, DType::f32);
  CHECK(dump_json(got, kPythonPrettyJson) == dump_json(want, kPythonPrettyJson));
  CHECK(got.at("quantization_config", "").at("bnb_4bit_use_double_quant", "").as_bool(""));
  CHECK(SafetensorsFile(folder / "out/model.safetensors").metadata() == SafetensorsMetadata{{"format", "pt"}});
}

TEST_CASE("a GGUF's tokenizer is written as the files that give the same ids, template and special tokens") {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"})
    for (const bool adds_bos : {false, true}) {
      CAPTURE(pre);
      const TemporaryFolder folder;
      write_tiny_gguf(folder / "tiny.gguf", pre, adds_bos, "{{ messages[0].content }} \u00e9");
      quantize_model(folder / "tiny.gguf", folder / "out", {});
      const Tokenizer before = Tokenizer::load(folder / "tiny.gguf"), after = Tokenizer::load(folder / "out");
      CHECK(after.digest() == before.digest());
      CHECK(after.adds_bos() == adds_bos);
      CHECK(after.bos_id() == 94);
      CHECK(after.eos_id() == 96);
      CHECK(after.is_special(95));
      CHECK(after.chat_template() == before.chat_template());
      CHECK(after.encode("abc tt12<s>", true) == before.encode("abc tt12<s>", true));
      const Json config = parse_json(read_file(folder / "out/config.json"), "");
      CHECK(config.at("bos_token_id", "").as_integer("") == 94);
      CHECK(config.at("rms_norm_eps", "").as_number("") == 1e-5);
    }
}

TEST_CASE("a folder's tokenizer files are copied as they are") {
  const TemporaryFolder folder;
  make_directories(folder / "in");
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(golden_path(concat("tiny_llama/plain/", name)), folder / concat("in/", name));
  write_file_atomic(folder / "in/tokenizer.json", std::string_view("{ \"any\" : 1 }"));
  write_file_atomic(folder / "in/notes.txt", std::string_view("not of the tokenizer"));
  quantize_model(folder / "in", folder / "out", {});
  CHECK(read_file(folder / "out/tokenizer.json") == "{ \"any\" : 1 }");
  CHECK_FALSE(std::filesystem::exists(folder / "out/notes.txt"));
}

TEST_CASE("quantize_model refuses to write over its model, beside foreign shards, and what is 4-bit already") {
  const TemporaryFolder folder;
  quantize_model(golden_path("tiny_llama/plain"), folder / "once", {});
  CHECK_THROWS_WITH_AS(
      quantize_model(folder / "once", folder / "twice", {}),
      concat(folder / "once", ": model.layers.0.mlp.down_proj.weight is 4-bit already; quantise the original model")
          .c_str(),
      Error);
  CHECK_THROWS_WITH_AS(
      quantize_model(folder / "once", folder / "./once", {}),
      concat("[quantize] ", folder / "./once", " is the model itself; write to another folder").c_str(), Error);
  write_file_atomic(folder / "file", std::string_view("x"));
  CHECK_THROWS_WITH_AS(quantize_model(golden_path("tiny_llama/plain"), folder / "file", {}),
                       concat("[quantize] ", folder / "file", " is a file; a model is written as a folder").c_str(),
                       Error);
  write_file_atomic(folder / "once/model-00001-of-00002.safetensors", std::string_view("x"));
  CHECK_THROWS_WITH_AS(quantize_model(golden_path("tiny_llama/plain"), folder / "once", {}),
                       concat("[quantize] ", folder / "once",
                              " holds model-00001-of-00002.safetensors of another model; write to an empty folder")
                           .c_str(),
                       Error);
}

TEST_CASE("a config that asks for another quantisation is refused by its field") {
  const auto refused = [](const char* section) -> std::string {
    try {
      check_bitsandbytes_config(parse_json(concat("{\"quantization_config\": ", section, "}"), "x"), "config.json");
      return "";
    } catch (const Error& error) {
      return concat(reason_name(error.reason()), " ", error.what());
    }
  };
  const std::string at = "UNSUPPORTED config.json: quantization_config";
  CHECK(refused(R"({"quant_method": "gptq", "bits": 4})") ==
        at + ".quant_method: \"gptq\" is not supported (bitsandbytes is)");
  CHECK(refused(R"({"quant_method": "bitsandbytes", "load_in_8bit": true})") ==
        at + ": only load_in_4bit is supported");
  CHECK(refused(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})") ==
        at + ".bnb_4bit_quant_type: \"fp4\" is not supported (nf4 is)");
  CHECK(refused(R"({"bits": 3})").starts_with("SCHEMA "));
  CHECK(refused(R"([])") != "");
  CHECK(refused(dump_json(bitsandbytes_config(false, DType::bf16)).c_str()) == "");
  CHECK_FALSE(check_bitsandbytes_config(Json::object(), ""));
  CHECK_FALSE(check_bitsandbytes_config(parse_json(R"({"quantization_config": null})", ""), ""));
}

TEST_CASE("a folder whose config promises 4-bit weights must hold them") {
  const TemporaryFolder folder;
  quantize_model(golden_path("tiny_llama/plain"), folder / "out", {});
  std::filesystem::copy_file(golden_path("tiny_llama/plain/model.safetensors"), folder / "out/model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_WITH_AS(ModelFiles::open(folder / "out"),
                       concat(folder / "out/config.json",
                              ": quantization_config asks for 4-bit weights, but the files hold "
                              "none; remove it and give --base nf4")
                           .c_str(),
                       Error);
}
