// SPDX-License-Identifier: Apache-2.0
// What adapters must not be, numbered as in the catalogue of hostile files (AD); GG 39 is the table of GGUF files. AD 17
// and 21 are check_base(), 18 and 19 have cases of their own, 20 is the digest. Not refused: AD 2, a rank above
// min(in, out), which PEFT trains too; and AD 11, which ranks that rank_pattern states make well defined (9 if not).
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>

#include "adapter_fixture.h"
#include "ftlib/io/gguf.h"
#include "temporary_folder.h"

using namespace ftlib;

namespace {

using Change = std::function<void(RawAdapter&)>;

struct Case {
  const char* name;
  Reason reason;
  const char* message;
  Change change;
};

/// Every refusal is invalid_file with its reason, names the folder, and leaves the folder loadable once it is mended.
void check_refused(const Case& row, Status status = Status::invalid_file) {
  CAPTURE(row.name);
  const RawAdapter good = RawAdapter::read(tiny_llama("plain/adapter"));
  const ModelConfig model = tiny_config("plain");
  const TemporaryFolder folder;
  RawAdapter changed = good;
  row.change(changed);
  changed.write(folder.path());
  try {
    load_adapter(folder.path(), model);
    FAIL("accepted");
  } catch (const Error& error) {
    const std::string text = error.what();
    CAPTURE(text);
    CHECK(error.status() == status);
    CHECK(reason_name(error.reason()) == reason_name(row.reason));
    CHECK(text.find(row.message) != text.npos);
    CHECK(text.find(folder.path()) != text.npos);
    CHECK(std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
    CHECK(text.size() < 700);
  }
  good.write(folder.path());
  CHECK(load_adapter(folder.path(), model).adapter.modules.size() == 14);
}

Change set(const char* key, Json value) {
  return [key, value](RawAdapter& raw) { raw.config[key] = value; };
}

Change drop(const char* key) {
  return [key](RawAdapter& raw) {
    Json::Object kept;
    for (const auto& member : raw.config.as_object(""))
      if (member.first != key) kept.push_back(member);
    raw.config = kept;
  };
}

const std::string kA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const std::string kB = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

Change rename(std::string from, std::string to) {
  return [from, to](RawAdapter& raw) {
    raw.tensors[to] = raw.tensors.at(from);
    raw.tensors.erase(from);
  };
}

Change add(std::string name, std::vector<std::int64_t> shape) {
  return [name, shape](RawAdapter& raw) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    raw.tensors[name] = {SafetensorsDType::f32, shape, std::vector<float>(static_cast<std::size_t>(count), 0.5f)};
  };
}

Change reshape(std::string name, std::vector<std::int64_t> shape) { return add(std::move(name), std::move(shape)); }

Change poke(std::string name, std::size_t index, float value) {
  return [name, index, value](RawAdapter& raw) { raw.tensors.at(name).values[index] = value; };
}

}  // namespace

TEST_CASE("adapter refusals: rank, alpha and dropout") {
  const std::int64_t two_31 = std::int64_t{1} << 31;
  const Case rows[] = {
      {"1 r missing", Reason::schema, "\"r\" is missing", drop("r")},
      {"1 r 0", Reason::range, "r: want 1 to 16384, got 0", set("r", 0)},
      {"1 r -1", Reason::range, "got -1", set("r", -1)},
      {"1 r 2^31", Reason::range, "got 2147483648", set("r", two_31)},
      {"1 r 8.5", Reason::schema, "r: want an integer, got number", set("r", 8.5)},
      {"1 r text", Reason::schema, "r: want an integer, got string", set("r", "8")},
      {"3 alpha missing", Reason::schema, "\"lora_alpha\" is missing", drop("lora_alpha")},
      {"3 alpha text", Reason::schema, "lora_alpha: want a number", set("lora_alpha", "12")},
      {"3 alpha 0", Reason::range, "lora_alpha: alpha must be 1e-30 to 1e30 in magnitude, got 0", set("lora_alpha", 0)},
      {"3 alpha huge", Reason::range, "got 1e+300", set("lora_alpha", 1e300)},
      {"3 alpha pattern", Reason::range, "alpha_pattern.q_proj", set("alpha_pattern", Json::Object{{"q_proj", 0.0}})},
      {"1 rank pattern", Reason::range, "rank_pattern.q_proj", set("rank_pattern", Json::Object{{"q_proj", 0}})},
      {"1 rank pattern list", Reason::schema, "rank_pattern: want an object", set("rank_pattern", Json::Array{1})},
      {"4 dropout -0.1", Reason::range, "lora_dropout: want 0 to below 1, got -0.1", set("lora_dropout", -0.1)},
      {"4 dropout 1", Reason::range, "got 1", set("lora_dropout", 1)},
      {"rslora text", Reason::schema, "use_rslora: want true or false", set("use_rslora", "true")},
  };
  for (const Case& row : rows) check_refused(row);
}

TEST_CASE("adapter refusals: NaN and Infinity as JSON literals") {
  const TemporaryFolder folder;
  for (const std::string literal : {"NaN", "Infinity", "-Infinity"}) {
    RawAdapter::read(tiny_llama("plain/adapter")).write(folder.path());
    std::string text = read_file(folder / "adapter_config.json");
    const std::string key = "\"lora_alpha\":12";
    text.replace(text.find(key), key.size(), "\"lora_alpha\":" + literal);
    write_file_atomic(folder / "adapter_config.json", text);
    CHECK_THROWS_WITH_AS(load_adapter(folder.path(), tiny_config("plain")), doctest::Contains("adapter_config.json"),
                         Error);
  }
}

TEST_CASE("adapter refusals: targets") {
  const Case rows[] = {
      {"5 targets null", Reason::mismatch, "target_modules: names no module", set("target_modules", nullptr)},
      {"5 targets empty", Reason::mismatch, "target_modules: names no module", set("target_modules", Json::array())},
      {"5 targets match nothing", Reason::mismatch, "does not select model.layers.0.self_attn.q_proj",
       set("target_modules", Json::Array{"c_attn"})},
      {"5 targets too few", Reason::mismatch, "does not select model.layers.0.mlp.gate_proj",
       set("target_modules", Json::Array{"q_proj", "k_proj", "v_proj", "o_proj"})},
      {"6 regex invalid", Reason::unsupported, "missing closing parenthesis", set("target_modules", ".*(q_proj")},
      {"6 regex endless", Reason::unsupported, "nested repetition", set("target_modules", "(([a-z_.0-9])+)+[A-Z]")},
      {"head", Reason::unsupported, "asks for lm_head", set("target_modules", Json::Array{"q_proj", "lm_head"})},
      {"target a number", Reason::schema, "target_modules: want a string", set("target_modules", Json::Array{1})},
      {"6 pattern invalid", Reason::unsupported, "missing terminating ]", set("rank_pattern", Json::Object{{"[a", 2}})},
      {"14 layer out of range", Reason::range, "layers_to_transform: 2 is not below the model's 2 layers",
       set("layers_to_transform", Json::Array{0, 2})},
      {"14 layer negative", Reason::range, "layers_to_transform", set("layers_to_transform", -1)},
  };
  for (const Case& row : rows) check_refused(row);
}

TEST_CASE("adapter refusals: fields of PEFT that change the computation, by name") {
  const Case rows[] = {
      {"7 peft_type", Reason::unsupported, "peft_type: LOHA is not supported", set("peft_type", "LOHA")},
      {"7 peft_type missing", Reason::schema, "\"peft_type\" is missing", drop("peft_type")},
      {"7 task_type", Reason::unsupported, "task_type: SEQ_CLS", set("task_type", "SEQ_CLS")},
      {"7 bias", Reason::unsupported, "bias: all", set("bias", "all")},
      {"7 lora_bias", Reason::unsupported, "lora_bias: true", set("lora_bias", true)},
      {"7 dora", Reason::unsupported, "use_dora: true", set("use_dora", true)},
      {"qalora", Reason::unsupported, "use_qalora", set("use_qalora", true)},
      {"fan_in_fan_out", Reason::unsupported, "fan_in_fan_out", set("fan_in_fan_out", true)},
      {"modules_to_save", Reason::unsupported, "modules_to_save", set("modules_to_save", Json::Array{"lm_head"})},
      {"tokens", Reason::unsupported, "trainable_token_indices", set("trainable_token_indices", Json::Array{1, 2})},
      {"replication", Reason::unsupported, "layer_replication",
       set("layer_replication", Json::Array{Json::Array{0, 2}})},
      {"parameters", Reason::unsupported, "target_parameters", set("target_parameters", Json::Array{"experts"})},
      {"alora", Reason::unsupported, "alora_invocation_tokens", set("alora_invocation_tokens", Json::Array{1})},
      {"bdlora", Reason::unsupported, "use_bdlora", set("use_bdlora", Json::Object{{"n", 1}})},
      {"tying", Reason::unsupported, "ensure_weight_tying", set("ensure_weight_tying", true)},
      {"megatron", Reason::unsupported, "megatron_config", set("megatron_config", Json::Object{{"n", 1}})},
      {"pissa", Reason::unsupported, "init_lora_weights: \"pissa\" rewrites the base",
       set("init_lora_weights", "pissa")},
      {"a later field", Reason::unsupported, "use_quantum: true is not supported", set("use_quantum", true)},
      {"control characters", Reason::unsupported, "\\x1b", set("x\x1b[31m", true)},
  };
  for (const Case& row : rows) check_refused(row);
}

TEST_CASE("unset fields of a later PEFT are fine, and so are other plain initialisations") {
  const TemporaryFolder folder;
  RawAdapter raw = RawAdapter::read(tiny_llama("plain/adapter"));
  raw.config["a_later_field"] = nullptr, raw.config["another"] = false, raw.config["third"] = Json::object();
  raw.config["init_lora_weights"] = "gaussian", raw.config["runtime_config"] = Json::Object{{"x", 1}};
  raw.config["base_model_name_or_path"] = "../../etc/passwd", raw.config["revision"] = "https://example.org/x";
  raw.write(folder.path());
  const AdapterFile file = load_adapter(folder.path(), tiny_config("plain"));
  CHECK(file.adapter.modules.size() == 14);
  CHECK(file.origin.base_model_name_or_path == "../../etc/passwd");  // shown, never opened
}

TEST_CASE("adapter refusals: tensors") {
  const Case rows[] = {
      {"8 A alone", Reason::mismatch, "has no B beside it", [](RawAdapter& raw) { raw.tensors.erase(kB); }},
      {"8 B alone", Reason::mismatch, "has no A beside it", [](RawAdapter& raw) { raw.tensors.erase(kA); }},
      {"no tensors for a module", Reason::mismatch, "selects model.layers.0.self_attn.q_proj",
       [](RawAdapter& raw) { raw.tensors.erase(kA), raw.tensors.erase(kB); }},
      {"no tensors", Reason::mismatch, "holds no adapter tensors", [](RawAdapter& raw) { raw.tensors.clear(); }},
      {"9 ranks of A and B differ", Reason::mismatch, "has rank 4", reshape(kB, {32, 5})},
      {"9 rank is not r", Reason::mismatch, "has rank 4 in adapter_model.safetensors, 8 by adapter_config.json",
       set("r", 8)},
      {"9 rank is not the pattern's", Reason::mismatch, "q_proj has rank 4",
       set("rank_pattern", Json::Object{{"q_proj", 2}})},
      {"9 rank 0", Reason::range, "has rank 0",
       [](RawAdapter& raw) {
         reshape(kA, {0, 32})(raw), reshape(kB, {32, 0})(raw);
       }},
      {"10 in differs", Reason::mismatch, "[4, 33], want [r, 32] for the base's [32, 32]", reshape(kA, {4, 33})},
      {"10 out differs", Reason::mismatch, "[31, 4], want [32, r]", reshape(kB, {31, 4})},
      {"10 transposed", Reason::mismatch, "both are transposed",
       [](RawAdapter& raw) {
         reshape(kA, {32, 4})(raw), reshape(kB, {4, 32})(raw);
       }},
      {"10 one axis", Reason::mismatch, "[128], want two axes", reshape(kA, {128})},
      {"13 unknown module", Reason::mismatch, "c_attn",
       rename(kA, "base_model.model.transformer.h.0.c_attn.lora_A.weight")},
      {"13 a layer too many", Reason::mismatch, "of a model with 2 layers",
       add("base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight", {4, 32})},
      {"13 no prefix", Reason::mismatch, "is not base_model.model.MODULE",
       rename(kA, "model.layers.0.self_attn.q_proj.lora_A.weight")},
      {"12 the adapter's name left in", Reason::mismatch, "lora_A.default.weight",
       add("base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight", {4, 32})},
      {"the prefix alone", Reason::mismatch, "is not base_model.model.MODULE",
       add("base_model.model.lora_A.weight", {4, 32})},
      {"head", Reason::unsupported, "adapter on the head", add("base_model.model.lm_head.lora_A.weight", {4, 32})},
      {"embedding", Reason::unsupported, "adapter on the embedding",
       add("base_model.model.model.embed_tokens.lora_embedding_A", {4, 97})},
      {"magnitude", Reason::unsupported, "use_dora",
       add("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", {32})},
      {"bias of B", Reason::unsupported, "lora_bias",
       add("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", {32})},
      {"whole head", Reason::unsupported, "adapter on the head", add("base_model.model.lm_head.weight", {97, 32})},
      {"15 i64", Reason::dtype, "is I64, want F32, F16 or BF16",
       [](RawAdapter& raw) { raw.tensors.at(kA).dtype = SafetensorsDType::i64; }},
      {"a newer format", Reason::version, "ftlib.format is 2",
       [](RawAdapter& raw) { raw.metadata.emplace_back("ftlib.format", "2"); }},
      {"an unknown base format", Reason::unsupported, "ftlib.base_format fp3 is not known",
       [](RawAdapter& raw) { raw.metadata.emplace_back("ftlib.base_format", "fp3"); }},
  };
  for (const Case& row : rows) check_refused(row);
}

TEST_CASE("adapter refusals: NaN and infinity in weights, with tensor and index") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Case rows[] = {
      {"16 NaN", Reason::none, "q_proj.lora_A.weight holds nan at index 7", poke(kA, 7, nan)},
      {"16 infinity", Reason::none, "q_proj.lora_B.weight holds -inf at index 127", poke(kB, 127, -inf)},
      {"16 infinity of f16", Reason::none, "holds inf at index 0",
       [](RawAdapter& raw) { raw.tensors.at(kA).dtype = SafetensorsDType::f16, raw.tensors.at(kA).values[0] = 1e6f; }},
  };
  for (const Case& row : rows) check_refused(row, Status::non_finite);
}

TEST_CASE("half-precision adapters load, each value widened exactly") {
  for (const SafetensorsDType dtype : {SafetensorsDType::f16, SafetensorsDType::bf16}) {
    const TemporaryFolder folder;
    RawAdapter raw = RawAdapter::read(tiny_llama("plain/adapter"));
    raw.tensors.at(kB).dtype = dtype;
    raw.write(folder.path());
    const AdapterFile file = load_adapter(folder.path(), tiny_config("plain"));
    const float value = raw.tensors.at(kB).values[9];
    const bool half = dtype == SafetensorsDType::f16;
    CHECK(file.adapter.modules[0].b[9] == (half ? to_float(to_f16(value)) : to_float(to_bf16(value))));
  }
}

TEST_CASE("adapter files that are missing, pickled, or not what they claim are refused") {
  const ModelConfig model = tiny_config("plain");
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(load_adapter(folder / "nowhere", model), doctest::Contains("there is nothing"), Error);
  CHECK_THROWS_WITH_AS(load_adapter(folder.path(), model), doctest::Contains("has no adapter_config.json"), Error);
  write_file_atomic(folder / "adapter_config.json", std::string_view("{}"));
  CHECK_THROWS_WITH_AS(load_adapter(folder.path(), model), doctest::Contains("has no adapter_model.safetensors"),
                       Error);
  write_file_atomic(folder / "adapter_model.bin", std::string_view("PK"));
  CHECK_THROWS_WITH_AS(load_adapter(folder.path(), model), doctest::Contains("is a pickle and never read"), Error);
  write_file_atomic(folder / "adapter_model.safetensors", std::string_view("<!DOCTYPE html>"));
  CHECK_THROWS_AS(load_adapter(folder.path(), model), Error);
  CHECK_THROWS_AS(load_adapter(folder / "adapter_config.json", model), Error);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(load_adapter(folder / "pipe", model), Error);
}

TEST_CASE("a configuration beside another adapter's weights is refused by the digest") {
  const ModelConfig model = tiny_config("plain");
  const TemporaryFolder folder;
  AdapterFile file = load_adapter(tiny_llama("plain/adapter"), model);
  save_peft_adapter(folder / "one", file.adapter, {});
  file.adapter.config.lora_alpha = 24;
  for (LoraModule& module : file.adapter.modules) module.alpha = 24, module.scale = 6;
  save_peft_adapter(folder / "two", file.adapter, {});
  std::filesystem::copy_file(folder / "two/adapter_model.safetensors", folder / "one/adapter_model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_WITH_AS(load_adapter(folder / "one", model), doctest::Contains("do not belong together"), Error);
  CHECK(load_adapter(folder / "two", model).adapter.modules[0].scale == 6);
}

TEST_CASE("an adapter states its base, and another base or another form of it is refused") {
  const auto files = ModelFiles::open(tiny_llama("plain"));
  AdapterOrigin origin;
  CHECK_NOTHROW(check_base(origin, *files, {BaseFormat::Kind::bf16, 64, false}));  // nothing stated
  origin.base_digest = files->digest();
  CHECK_NOTHROW(check_base(origin, *files, {}));
  CHECK_NOTHROW(check_base(origin, *files, {BaseFormat::Kind::f32, 64, false}));  // the same values
  CHECK_THROWS_WITH_AS(check_base(origin, *files, {BaseFormat::Kind::bf16, 64, false}),
                       doctest::Contains("this is bf16"), Error);
  CHECK_THROWS_WITH_AS(check_base(origin, *ModelFiles::open(tiny_llama("rich")), {}),
                       doctest::Contains("it needs the base it was trained on"), Error);
  origin.base_format = {BaseFormat::Kind::nf4, 64, true};
  CHECK_NOTHROW(check_base(origin, *files, {BaseFormat::Kind::nf4, 64, true}));
  CHECK_THROWS_WITH_AS(check_base(origin, *files, {}), doctest::Contains("nf4/64/double_quant, this is native"), Error);
  CHECK_THROWS_WITH_AS(check_base(origin, *files, {BaseFormat::Kind::nf4, 128, true}), doctest::Contains("nf4/128"),
                       Error);
}

namespace {

struct RawGguf {
  std::vector<GgufField> fields{{"general.architecture", GgufValue::string("llama")},
                                {"general.type", GgufValue::string("adapter")},
                                {"adapter.type", GgufValue::string("lora")},
                                {"adapter.lora.alpha", GgufValue::f32(12)}};
  std::vector<float> zeros = std::vector<float>(8192, 0.25f);
  std::vector<GgufSource> tensors{{"blk.0.attn_q.weight.lora_a", GgmlType::f32, {4, 32}, zeros.data(), {}},
                                  {"blk.0.attn_q.weight.lora_b", GgmlType::f32, {32, 4}, zeros.data(), {}}};

  void set(const std::string& key, GgufValue value) {
    std::erase_if(fields, [&](const GgufField& field) { return field.first == key; });
    fields.emplace_back(key, std::move(value));
  }
};

struct GgufCase {
  Reason reason;
  const char* message;
  std::function<void(RawGguf&)> change;
};

}  // namespace

TEST_CASE("adapter refusals: GGUF files") {
  const GgufCase rows[] = {
      {Reason::schema, "general.type: want \"adapter\", got \"model\"",
       [](RawGguf& g) { g.set("general.type", GgufValue::string("model")); }},
      {Reason::schema, "general.architecture",
       [](RawGguf& g) { g.set("general.architecture", GgufValue::string("gpt2")); }},
      {Reason::schema, "adapter.type: want \"lora\"",
       [](RawGguf& g) { g.set("adapter.type", GgufValue::string("dora")); }},
      {Reason::schema, "adapter.lora.alpha",
       [](RawGguf& g) { std::erase_if(g.fields, [](const GgufField& f) { return f.first == "adapter.lora.alpha"; }); }},
      {Reason::range, "adapter.lora.alpha", [](RawGguf& g) { g.set("adapter.lora.alpha", GgufValue::f32(NAN)); }},
      {Reason::range, "adapter.lora.alpha", [](RawGguf& g) { g.set("adapter.lora.alpha", GgufValue::f32(0)); }},
      {Reason::schema, "adapter.lora.alpha", [](RawGguf& g) { g.set("adapter.lora.alpha", GgufValue::string("1")); }},
      {Reason::unsupported, "adapter.alora.invocation_tokens",
       [](RawGguf& g) { g.set("adapter.alora.invocation_tokens", GgufValue::u32(1)); }},
      {Reason::mismatch, "has no B beside it", [](RawGguf& g) { g.tensors.pop_back(); }},
      {Reason::mismatch, "has rank 4",
       [](RawGguf& g) {
         g.tensors[1].shape = {32, 5};
       }},
      {Reason::mismatch, "want [32, r]",
       [](RawGguf& g) {
         g.tensors[1].shape = {16, 4};
       }},
      {Reason::mismatch, "both are transposed",
       [](RawGguf& g) {
         g.tensors[0].shape = {32, 4}, g.tensors[1].shape = {4, 32};
       }},
      {Reason::mismatch, "holds no adapter tensors", [](RawGguf& g) { g.tensors.clear(); }},
      {Reason::mismatch, "is not blk.N.MODULE", [](RawGguf& g) { g.tensors[0].name = "blk.2.attn_q.weight.lora_a"; }},
      {Reason::mismatch, "is not blk.N.MODULE", [](RawGguf& g) { g.tensors[0].name = "blk.00.attn_q.weight.lora_a"; }},
      {Reason::mismatch, "is not blk.N.MODULE", [](RawGguf& g) { g.tensors[0].name = "blk.0.attn_norm.weight"; }},
      {Reason::mismatch, "is not blk.N.MODULE", [](RawGguf& g) { g.tensors[0].name = ".lora_a"; }},
      {Reason::unsupported, "outside the decoder's layers",
       [](RawGguf& g) { g.tensors[0].name = "output.weight.lora_a"; }},
      {Reason::dtype, "is q8_0, want f32, f16 or bf16", [](RawGguf& g) { g.tensors[0].type = GgmlType::q8_0; }},
      {Reason::version, "ftlib.format is 9", [](RawGguf& g) { g.set("ftlib.format", GgufValue::string("9")); }},
  };
  for (const GgufCase& row : rows) {
    CAPTURE(row.message);
    RawGguf raw;
    row.change(raw);
    const TemporaryFolder folder;
    write_gguf(folder / "a.gguf", raw.fields, raw.tensors);
    try {
      load_adapter(folder / "a.gguf", tiny_config("plain"));
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.status() == Status::invalid_file);
      CHECK(reason_name(error.reason()) == reason_name(row.reason));
      CHECK(std::string_view(error.what()).find(row.message) != std::string_view::npos);
    }
  }
}

TEST_CASE("a GGUF adapter as other tools write it loads with the model's name, and says so without") {
  RawGguf raw;
  const TemporaryFolder folder;
  write_gguf(folder / "a.gguf", raw.fields, raw.tensors);
  const AdapterFile file = load_adapter(folder / "a.gguf", tiny_config("plain"));
  CHECK(file.adapter.modules.size() == 1);
  CHECK(file.adapter.modules[0].scale == 3);
  CHECK(file.adapter.config.target_modules == std::vector<std::string>{"model.layers.0.self_attn.q_proj"});
  CHECK_THROWS_WITH_AS(load_gguf_adapter(folder / "a.gguf"), doctest::Contains("name the model"), Error);
  raw.zeros[3] = INFINITY;
  write_gguf(folder / "b.gguf", raw.fields, raw.tensors);
  CHECK_THROWS_WITH_AS(load_adapter(folder / "b.gguf", tiny_config("plain")), doctest::Contains("holds inf at index 3"),
                       Error);
}

TEST_CASE("every prefix of an adapter's two files is refused or loads, without a crash") {
  const ModelConfig model = tiny_config("plain");
  const TemporaryFolder folder;
  RawAdapter::read(tiny_llama("plain/adapter")).write(folder.path());
  for (const std::string name : {"adapter_config.json", "adapter_model.safetensors"}) {
    const std::string whole = read_file(folder / name);
    for (std::size_t cut = 0; cut < whole.size(); cut += cut < 3000 ? 37 : 997) {
      write_file_atomic(folder / name, std::string_view(whole).substr(0, cut));
      CHECK_THROWS_AS(load_adapter(folder.path(), model), Error);
    }
    write_file_atomic(folder / name, whole);
  }
  CHECK_NOTHROW(load_adapter(folder.path(), model));
}
