// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <map>

#include "ftlib/core/parallel.h"
#include "ftlib/model/bitsandbytes.h"
#include "ftlib/model/quantize.h"
#include "ftlib/ops/nf4.h"
#include "golden.h"
#include "golden_inputs.h"
#include "temporary_folder.h"

using namespace ftlib;

namespace {

std::string text_of(const std::string& path) { return read_file(path); }

std::vector<float> decoded(const WeightView& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.numel()));
  decode_rows(weight, 0, weight.out(), values.data());
  return values;
}

std::string bytes_of(const SafetensorsModel::Tensor& t) {
  std::string bytes(static_cast<std::size_t>(t.tensor->bytes), '\0');
  t.file->read(*t.tensor, bytes.data());
  return bytes;
}

std::string bytes_of(const SafetensorsSource& source) {
  std::int64_t bytes = dtype_bytes(*core_dtype(source.dtype));
  for (const std::int64_t extent : source.shape) bytes *= extent;
  std::string out(static_cast<std::size_t>(bytes), '\0');
  if (source.fill)
    source.fill(out.data());
  else
    std::memcpy(out.data(), source.data, out.size());
  return out;
}

DType dtype_named(const std::string& name) {
  return name == "f32" ? DType::f32 : name == "bf16" ? DType::bf16 : DType::f16;
}

/// A valid double-quantised weight "w" of 2 x 64, whose parts a test may spoil before it is written.
struct Hostile {
  std::string state =
      R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [2, 64], "nested_blocksize": 256, )"
      R"("nested_dtype": "float32", "nested_offset": 0.5})";
  std::map<std::string, SafetensorsSource> parts;
  std::vector<std::uint8_t> codes = std::vector<std::uint8_t>(64, 0x77), absmax{0, 255};
  std::vector<float> nested_absmax{1}, quant_map{kNf4Values, kNf4Values + 16},
      nested_quant_map{dynamic_map(true), dynamic_map(true) + 256};

  Hostile() {
    add("w", SafetensorsDType::u8, {64, 1}, codes.data());
    add("w.absmax", SafetensorsDType::u8, {2}, absmax.data());
    add("w.quant_map", SafetensorsDType::f32, {16}, quant_map.data());
    add("w.nested_absmax", SafetensorsDType::f32, {1}, nested_absmax.data());
    add("w.nested_quant_map", SafetensorsDType::f32, {256}, nested_quant_map.data());
  }
  Hostile(const Hostile&) = delete;
  Hostile& operator=(const Hostile&) = delete;

  void add(const std::string& name, SafetensorsDType dtype, std::vector<std::int64_t> shape, const void* data) {
    parts[name] = {name, dtype, std::move(shape), data, {}};
  }
  void replace(const std::string& from, const std::string& to) {
    const std::size_t at = state.find(from);
    REQUIRE(at != std::string::npos);
    state.replace(at, from.size(), to);
  }

  /// What reading it says, without the folder: "" when it is read.
  std::string error(const std::string& state_name = "w.quant_state.bitsandbytes__nf4") {
    add(state_name, SafetensorsDType::u8, {static_cast<std::int64_t>(state.size())}, state.data());
    std::vector<SafetensorsSource> sources;
    for (const auto& [name, source] : parts) sources.push_back(source);
    const TemporaryFolder folder;
    write_safetensors(folder / "model.safetensors", sources);
    try {
      const SafetensorsModel model(folder.path());
      for (const BitsAndBytesWeight& weight : bitsandbytes_weights(model)) read_bitsandbytes(weight);
      return "";
    } catch (const Error& error) {
      const std::string text = error.what();
      REQUIRE(text.starts_with(folder / "model.safetensors: "));
      return concat(reason_name(error.reason()), ": ", text.substr((folder / "model.safetensors: ").size()));
    }
  }
};

}  // namespace

TEST_CASE("bitsandbytes' files are read to its own dequantised values, bit for bit") {
  const SafetensorsModel model(golden_path("bitsandbytes/read.safetensors"));
  const std::vector<BitsAndBytesWeight> weights = bitsandbytes_weights(model);
  const Json golden = golden_json("bitsandbytes/read.json");
  const Json::Array& rows = golden.at("weights", "read.json").as_array("weights");
  REQUIRE(weights.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(weights[i].name);
    const auto text = [&](const char* key) { return rows[i].at(key, "").as_string(key); };
    CHECK(weights[i].name == text("name"));
    CHECK(weights[i].layout.dtype == dtype_named(text("dtype")));
    CHECK(weights[i].layout.block_size == rows[i].at("block_size", "").as_integer(""));
    CHECK(weights[i].double_quant == rows[i].at("nested", "").as_bool(""));
    CHECK(weights[i].layout.out() == rows[i].at("shape", "").as_array("")[0].as_integer(""));
    const Nf4Weight weight = read_bitsandbytes(weights[i]);
    CHECK(concat("0x", std::stoull(text("digest"), nullptr, 16)) == concat("0x", golden::digest(decoded(weight.view))));
  }
}

TEST_CASE("what was read is written again with the bytes of bitsandbytes") {
  const SafetensorsModel model(golden_path("bitsandbytes/read.safetensors"));
  int compared = 0;
  for (const BitsAndBytesWeight& info : bitsandbytes_weights(model)) {
    const Nf4Weight weight = read_bitsandbytes(info);
    for (const SafetensorsSource& source : bitsandbytes_sources(info.name, weight.view)) {
      CAPTURE(source.name);
      CHECK(is_bitsandbytes_part(source.name) == (source.name != info.name));
      CHECK(bytes_of(source) == bytes_of(model.at(source.name)));
      ++compared;
    }
  }
  CHECK(compared == 4 * 4 + 3 * 6);
}

TEST_CASE("quant_state's offset is written with Python's digits") {
  const Json golden = golden_json("bitsandbytes/read.json");
  for (std::size_t i = 0; i < 5; ++i) {
    WeightView weight;
    weight.nested_code = dynamic_map(true);
    weight.nested_offset = static_cast<float>(golden.at("offsets", "").as_array("")[i].as_number(""));
    const std::string want = golden.at("offset_texts", "").as_array("")[i].as_string("").substr(1);
    CHECK(bitsandbytes_quant_state(weight).ends_with(want));
  }
}

TEST_CASE("every field of quant_state and every part is checked by name") {
  CHECK(Hostile().error() == "");
  const auto spoiled = [](const std::string& from, const std::string& to) {
    Hostile hostile;
    hostile.replace(from, to);
    return hostile.error();
  };
  const std::string state = "w.quant_state.bitsandbytes__nf4: ";
  CHECK(spoiled("\"nf4\"", "\"fp4\"") == "UNSUPPORTED: " + state + "quant_type: \"fp4\" is not supported (nf4 is)");
  CHECK(spoiled("\"nf4\"", "4").starts_with("SCHEMA: " + state + "quant_type"));
  for (const char* size : {"0", "-64", "63", "16", "8192", "9223372036854775807"})
    CHECK(spoiled("64,", concat(size, ",")) ==
          concat("RANGE: ", state, "blocksize: got ", size, ", want 32, 64, 128, 256, 512, 1024, 2048 or 4096"));
  CHECK(spoiled("64,", "64.0,").starts_with("SCHEMA: "));
  CHECK(spoiled("\"bfloat16\"", "\"float64\"") ==
        "DTYPE: " + state + "dtype: got \"float64\", want float32, bfloat16 or float16");
  CHECK(spoiled("[2, 64]", "[2, 64, 1]") == "SHAPE: " + state + "shape: got 3 axes, want [out, in]");
  for (const char* shape : {"[0, 64]", "[-2, 64]", "[2, 4294967296]"})
    CHECK(spoiled("[2, 64]", shape).starts_with("RANGE: " + state + "shape"));
  CHECK(spoiled("[2, 64]", "[2147483648, 2147483648]").starts_with("MISMATCH: w: got 64 bytes of codes"));
  CHECK(spoiled("[2, 64]", "[2, 65]") == "MISMATCH: w: got 64 bytes of codes, quant_state wants 65");
  CHECK(spoiled("[2, 64]", "null").starts_with("SCHEMA: "));
  CHECK(spoiled("256", "64") == "UNSUPPORTED: " + state + "nested_blocksize: 64 is not supported (256 is)");
  CHECK(spoiled("\"float32\"", "\"float16\"") ==
        "UNSUPPORTED: " + state + "nested_dtype: \"float16\" is not supported (float32 is)");
  CHECK(spoiled("0.5", "1e39") == "RANGE: " + state + "nested_offset: 1e+39 is beyond f32");
  CHECK(spoiled("0.5", "NaN").starts_with("JSON: "));
  CHECK(spoiled(", \"nested_offset\": 0.5", "").starts_with("SCHEMA: "));
  CHECK(spoiled("\"dtype\"", "\"blocksize\"").starts_with("DUP: "));
  CHECK(spoiled("\"dtype\"", "\"extra\"") == "SCHEMA: " + state + "unknown field \"extra\"");
  CHECK(spoiled("{", "[{") != "");
  CHECK(spoiled("}", "} x") != "");
}

TEST_CASE("parts that are missing, left over, of another size, dtype or kind are refused") {
  for (const char* part : {"w", "w.absmax", "w.quant_map", "w.nested_absmax", "w.nested_quant_map"}) {
    Hostile hostile;
    hostile.parts.erase(part);
    CHECK(hostile.error().starts_with("MISMATCH: w.quant_state.bitsandbytes__nf4: the 4-bit weight lacks its "));
  }
  Hostile left_over;
  left_over.add("v.absmax", SafetensorsDType::u8, {2}, left_over.absmax.data());
  CHECK(left_over.error() == "MISMATCH: v.absmax: no quant_state of a 4-bit weight uses it");
  Hostile single;
  single.replace(R"(, "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.5)", "");
  single.add("w.absmax", SafetensorsDType::f32, {2}, single.quant_map.data());
  CHECK(single.error() == "MISMATCH: w.nested_absmax: no quant_state of a 4-bit weight uses it");
  Hostile longer;
  longer.absmax.resize(3);
  longer.add("w.absmax", SafetensorsDType::u8, {3}, longer.absmax.data());
  CHECK(longer.error() == "MISMATCH: w.absmax: got U8 [3], quant_state wants [2]");
  Hostile wide;
  wide.add("w.absmax", SafetensorsDType::f32, {2}, wide.quant_map.data());
  CHECK(wide.error() == "DTYPE: w.absmax: got F32, want U8");
  Hostile codes;
  codes.add("w", SafetensorsDType::i64, {8, 1}, codes.codes.data());
  CHECK(codes.error() == "DTYPE: w: got I64, want 4-bit codes as U8, BF16, F16 or F32");
  Hostile codebook;
  codebook.quant_map[3] = -0.3f;
  CHECK(codebook.error().starts_with("MISMATCH: w.quant_map: entry 3, got -0.3, want NF4's "));
  Hostile map;
  map.nested_quant_map[9] = std::numeric_limits<float>::infinity();
  CHECK(map.error() == "RANGE: w.nested_quant_map: entry 9 is inf");
  Hostile large;
  large.state += std::string(4096, ' ');
  CHECK(large.error().starts_with("LIMIT: w.quant_state.bitsandbytes__nf4: got "));
  Hostile fp4;
  CHECK(fp4.error("w.quant_state.bitsandbytes__fp4") ==
        "UNSUPPORTED: w.quant_state.bitsandbytes__fp4: the 4-bit type \"bitsandbytes__fp4\" is not supported "
        "(bitsandbytes__nf4 is)");
  Hostile int8;
  int8.add("v.SCB", SafetensorsDType::f32, {1}, int8.nested_absmax.data());
  CHECK(int8.error() == "UNSUPPORTED: v.SCB: LLM.int8 weights are not supported (bitsandbytes NF4 is)");
}

TEST_CASE(
    "quantize_file writes the file that bitsandbytes and safetensors write, byte for byte, for any thread count") {
  const TemporaryFolder folder;
  const int before = threads();
  for (const int count : {1, 3}) {
    set_threads(count);
    const QuantizeReport report = quantize_file(golden_path("bitsandbytes/dense.safetensors"), folder / "out", {});
    CHECK(text_of(folder / "out") == text_of(golden_path("bitsandbytes/quantized.safetensors")));
    CHECK(report.quantized == 3);
    CHECK(report.copied == 5);
  }
  set_threads(before);
}

TEST_CASE("quantize_file double quantises to the values of quantising in memory") {
  const TemporaryFolder folder;
  std::int64_t last = -1, total = 0;
  quantize_file(golden_path("bitsandbytes/dense.safetensors"), folder / "out", {32, true},
                [&](const QuantizeProgress& progress) {
                  CHECK(progress.done_bytes > last);
                  last = progress.done_bytes, total = progress.total_bytes;
                });
  CHECK(last < total);
  const SafetensorsModel dense(golden_path("bitsandbytes/dense.safetensors")), quantized(folder / "out");
  const std::vector<BitsAndBytesWeight> weights = bitsandbytes_weights(quantized);
  REQUIRE(weights.size() == 3);
  for (const BitsAndBytesWeight& info : weights) {
    CAPTURE(info.name);
    CHECK(info.double_quant);
    const std::string values = bytes_of(dense.at(info.name));
    const std::int64_t n = info.layout.numel(), blocks = (n + 31) / 32;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(n + 1) / 2),
        absmax_codes(static_cast<std::size_t>(blocks));
    std::vector<float> absmax(absmax_codes.size()), scales((absmax_codes.size() + 255) / 256);
    nf4_quantize({vector_view<const void*>(values.data(), n, info.layout.dtype), 32,
                  vector_view<void*>(codes.data(), (n + 1) / 2, DType::u8), vector_view<void*>(absmax.data(), blocks)});
    const float offset = double_quantize({vector_view<const void*>(absmax.data(), blocks),
                                          vector_view<void*>(absmax_codes.data(), blocks, DType::u8),
                                          vector_view<void*>(scales.data(), (blocks + 255) / 256)});
    const Nf4Weight weight = read_bitsandbytes(info);
    CHECK(weight.view.nested_offset == offset);
    CHECK(std::memcmp(weight.codes.data(), codes.data(), codes.size()) == 0);
    CHECK(std::memcmp(weight.view.scales, absmax_codes.data(), absmax_codes.size()) == 0);
    CHECK(std::memcmp(weight.view.nested_scales, scales.data(), scales.size() * 4) == 0);
  }
}

TEST_CASE("embeddings and heads keep their format by the module's own name") {
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "transformer.wte.weight", "output.weight",
                           "tok_embeddings.weight", "token_embd.weight", "model.layers.0.q_proj.bias", "weight_scale"})
    CHECK_FALSE(is_nf4_candidate(name));
  for (const char* name : {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_output.weight",
                           "h.0.attn.c_attn.weight", "output.dense.weight", "x.weight", "a.my_lm_head.weight"})
    CHECK(is_nf4_candidate(name));
}

TEST_CASE("quantize_file refuses NaN by tensor and element, a second quantisation, and unknown block sizes") {
  const TemporaryFolder folder;
  std::vector<float> values(64 * 3, 1.0f);
  values[2 * 64 + 5] = std::numeric_limits<float>::quiet_NaN();
  values[2 * 64 + 9] = std::numeric_limits<float>::infinity();
  const SafetensorsSource source{"a.weight", SafetensorsDType::f32, {3, 64}, values.data(), {}};
  write_safetensors(folder / "in.safetensors", {&source, 1});
  const std::string want =
      concat(folder / "in.safetensors", ": a.weight: element [2, 5] is NaN or infinite and cannot become nf4");
  CHECK_THROWS_WITH_AS(quantize_file(folder / "in.safetensors", folder / "out", {}), want.c_str(), Error);
  CHECK_THROWS_WITH_AS(quantize_file(folder / "in.safetensors", folder / "out", {64, true}), want.c_str(), Error);
  CHECK_THROWS_AS(text_of(folder / "out"), Error);
  const std::string twice = golden_path("bitsandbytes/quantized.safetensors");
  CHECK_THROWS_WITH_AS(
      quantize_file(twice, folder / "out", {}),
      concat(twice, ": model.layers.0.mlp.up_proj.weight is 4-bit already; quantise the original model").c_str(),
      Error);
  CHECK_THROWS_WITH_AS(quantize_file(twice, folder / "out", {48}),
                       "[quantize] block size, got 48, want 32, 64, 128, 256, 512, 1024, 2048 or 4096", Error);
}
