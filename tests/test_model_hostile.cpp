// SPDX-License-Identifier: Apache-2.0
// Malformed models, row by row of the catalogue of hostile files: CF 1-14 (config.json) and what a model asks of its
// container, GG 17 and 29-34, ST 47. Left out: ST 40, because no prefix is stripped from a model's names and so no two
// of them can meet. A scale of NaN (GG 40) is in test_weight.cpp, a part of a split model (GG 38) in test_io_gguf.cpp.
#include <cmath>
#include <limits>

#include "adapter_fixture.h"
#include "ftlib/eval/evaluate.h"
#include "ftlib/io/gguf.h"
#include "golden_model.h"
#include "hostile.h"
#include "temporary_folder.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

/// A copy of the tiny Llama whose config.json a test may spoil.
class TinyFolder {
 public:
  TinyFolder() { fs::copy_file(tiny_llama("plain/model.safetensors"), folder_ / "model.safetensors"); }

  const std::string& path() const { return folder_.path(); }
  void write(std::string_view text) const { write_raw(folder_ / "config.json", text); }

  /// The good configuration with `key` as this JSON; empty: without the key.
  static std::string with(std::string_view key, std::string_view value) {
    const std::string path = tiny_llama("plain/config.json");
    const Json good = parse_json(read_file(path), path);
    std::string text;
    for (const auto& [name, content] : good.as_object(path))
      if (name != key) text += concat(text.empty() ? "{" : ",", "\"", name, "\":", dump_json(content));
    return text + (value.empty() ? "}" : concat(",\"", key, "\":", value, "}"));
  }

 private:
  TemporaryFolder folder_;
};

struct ConfigCase {
  const char *row, *key, *value;
  std::vector<Reason> reasons;
  const char* hint;
};

const ConfigCase kConfigs[] = {
    {"1 missing", "vocab_size", "", {Reason::schema}, "\"vocab_size\" is missing"},
    {"1 missing kind", "model_type", "", {Reason::schema}, "\"model_type\" is missing"},
    {"1 null", "hidden_size", "null", {Reason::schema}, "\"hidden_size\" is missing"},
    {"1 string", "hidden_size", "\"32\"", {Reason::schema}, "hidden_size: want an integer, got string"},
    {"1 array", "hidden_size", "[32]", {Reason::schema}, "hidden_size"},
    {"1 flag as text", "attention_bias", "\"yes\"", {Reason::schema}, "attention_bias"},
    {"2 zero", "num_hidden_layers", "0", {Reason::range}, "num_hidden_layers: want 1 to"},
    {"2 negative", "num_attention_heads", "-1", {Reason::range}, "num_attention_heads"},
    {"2 2^63", "vocab_size", "9223372036854775808", {Reason::range}, "vocab_size"},
    {"2 2^62", "hidden_size", "4611686018427387904", {Reason::range}, "hidden_size"},
    {"2 1e3 is no integer", "hidden_size", "1e3", {Reason::schema}, "hidden_size: want an integer"},
    {"3 hidden % heads", "head_dim", "null", {}, ""},
    {"3 odd head_dim", "head_dim", "7", {Reason::range}, "is odd"},
    {"3 heads % kv", "num_key_value_heads", "3", {Reason::range}, "not a multiple of 3 key/value heads"},
    {"4 10^9 layers", "num_hidden_layers", "1000000000", {Reason::range}, "num_hidden_layers: want 1 to 4096"},
    {"4 more layers than tensors", "num_hidden_layers", "4096", {Reason::mismatch}, "model.layers.2."},
    {"4 fewer layers than tensors",
     "num_hidden_layers",
     "1",
     {Reason::mismatch},
     "has no place in a model of 1 layers"},
    {"5 vocabulary",
     "vocab_size",
     "98",
     {Reason::mismatch},
     "embed_tokens.weight is [97, 32], the configuration wants"},
    {"5 width of the mlp", "intermediate_size", "47", {Reason::mismatch}, "[47, 32]"},
    {"6 theta 0", "rope_theta", "0", {Reason::range}, "rope_theta"},
    {"6 theta negative", "rope_parameters", "{\"rope_theta\":-1}", {Reason::range}, "rope_theta"},
    {"6 theta beyond f64", "rope_theta", "1e999", {Reason::range}, "rope_theta"},
    {"6 unknown scaling", "rope_scaling", "{\"type\":\"yarn\",\"factor\":2}", {Reason::unsupported}, "yarn"},
    {"6 factor 0", "rope_scaling", "{\"type\":\"linear\",\"factor\":0}", {Reason::range}, "factor"},
    {"6 factor missing", "rope_scaling", "{\"rope_type\":\"linear\"}", {Reason::range}, "factor"},
    {"6 scaling is a name", "rope_scaling", "\"linear\"", {Reason::schema}, "rope_scaling"},
    {"6 unknown key", "rope_scaling", "{\"type\":\"linear\",\"factor\":2,\"x\":1}", {Reason::unsupported}, "x"},
    {"7 eps 0", "rms_norm_eps", "0", {Reason::range}, "rms_norm_eps"},
    {"7 eps negative", "rms_norm_eps", "-1e-5", {Reason::range}, "rms_norm_eps"},
    {"8 NaN", "rms_norm_eps", "NaN", {Reason::json}, "config.json"},
    {"8 Infinity", "rope_theta", "Infinity", {Reason::json}, "config.json"},
    {"9 key twice", "vocab_size", "97,\"vocab_size\":97", {Reason::dup}, "vocab_size"},
    {"10 architecture", "architectures", "[\"MambaForCausalLM\"]", {Reason::unsupported}, "MambaForCausalLM"},
    {"10 family", "model_type", "\"gpt2\"", {Reason::unsupported}, "ftlib info --supported"},
    {"10 code", "auto_map", "{\"AutoModel\":\"x.py--X\"}", {Reason::unsupported}, "never run"},
    {"11 method", "quantization_config", "{\"quant_method\":\"gptq\"}", {Reason::unsupported}, "gptq"},
    {"11 bits", "quantization_config", "{\"quant_method\":\"bitsandbytes\",\"bits\":3}", {Reason::unsupported}, "4bit"},
    {"11 no method", "quantization_config", "{\"bits\":3}", {Reason::schema}, "quant_method"},
    {"12 activation", "hidden_act", "\"gelu\"", {Reason::unsupported}, "only \"silu\""},
    {"13 tied, yet a head of its own", "tie_word_embeddings", "true", {Reason::mismatch}, "lm_head.weight differs"},
    {"14 2^40 positions", "max_position_embeddings", "1099511627776", {}, ""},
    {"14 2^41 positions", "max_position_embeddings", "2199023255552", {Reason::range}, "max_position_embeddings"},
    {"a key that nobody knows", "num_experts", "8", {Reason::unsupported}, "num_experts: 8 is not supported"},
    {"a key to print with care", "\\u001b[31m", "1", {Reason::unsupported}, "\\x1b"},
};

}  // namespace

TEST_CASE("every malformed config.json of the catalogue is refused by name") {
  const TinyFolder model;
  for (const ConfigCase& c : kConfigs) {
    const std::string text = TinyFolder::with(c.key, c.value);
    model.write(text);
    check_refused(model.path(), {c.row, "", c.reasons, c.hint}, static_cast<std::int64_t>(text.size()),
                  [&] { ModelFiles::open(model.path()); });
    model.write(TinyFolder::with("", ""));
    CHECK(ModelFiles::open(model.path())->tensors().size() == 21);
  }
}

TEST_CASE("a config.json that is no object of JSON is refused by the file's name") {
  const TinyFolder model;
  const std::string good = TinyFolder::with("", "");
  const HostileCase cases[] = {{"empty", "", {Reason::json}},
                               {"a list", "[]", {Reason::schema}},
                               {"cut", good.substr(0, 99), {Reason::json}},
                               {"deep", std::string(100000, '['), {Reason::limit}},
                               {"UTF-16", std::string("\xFF\xFE{\0}\0", 6), {Reason::utf8, Reason::json}},
                               {"lone surrogate", "{\"a\":\"\\uD800\"}", {Reason::utf8}},
                               {"3 hidden % heads",
                                "{\"model_type\":\"llama\",\"vocab_size\":97,\"hidden_size\":33,"
                                "\"intermediate_size\":4,\"num_hidden_layers\":1,"
                                "\"num_attention_heads\":2}",
                                {Reason::range},
                                "33"}};
  for (const HostileCase& c : cases) {
    model.write(c.bytes);
    check_refused(model.path(), c, static_cast<std::int64_t>(c.bytes.size()), [&] { ModelFiles::open(model.path()); });
  }
  fs::remove(model.path() + "/config.json");
  CHECK_THROWS_WITH_AS(ModelFiles::open(model.path()), doctest::Contains("has no config.json"), Error);
  model.write("{");
  fs::resize_file(model.path() + "/config.json", std::int64_t{1} << 31);
  check_refused(model.path(), {"2 GiB", "", {Reason::limit}}, 0, [&] { ModelFiles::open(model.path()); });
}

TEST_CASE("a model of 2^40 positions takes the memory of its batch") {
  const TinyFolder model;
  model.write(TinyFolder::with("max_position_embeddings", "1099511627776"));
  const CausalLM loaded = CausalLM::load(model.path(), {}, DType::f32);
  const auto examples = golden_examples(golden_json("tiny_llama/plain/base.json").at("examples", "base"));
  allocations::reset_peak();
  const LossReport report = evaluate_loss(loaded, nullptr, examples);
  CHECK(std::isfinite(report.loss));
  if (FTLIB_COUNT_ALLOCATIONS) CHECK(allocations::peak_bytes() < 64 << 20);
}

TEST_CASE("a model that lacks a tensor, has one more or one in another shape is refused before anything is read") {
  const std::string path = tiny_llama("plain/model.safetensors");
  const SafetensorsFile good(path);
  const auto refusal = [&](const std::function<void(std::vector<SafetensorsSource>&)>& change) -> std::string {
    const TemporaryFolder folder;
    fs::copy_file(tiny_llama("plain/config.json"), folder / "config.json");
    std::vector<SafetensorsSource> sources;
    for (const SafetensorsTensor& t : good.tensors())
      sources.push_back({t.name, t.dtype, t.shape, nullptr, [&good, &t](void* out) { good.read(t, out); }});
    change(sources);
    write_safetensors(folder / "model.safetensors", sources);
    try {
      ModelFiles::open(folder.path());
      return "";
    } catch (const Error& error) {
      return concat(reason_name(error.reason()), " ", std::string(error.what()).erase(0, folder.path().size()));
    }
  };
  const std::vector<float> zeros(4096);
  using Sources = std::vector<SafetensorsSource>;
  const auto drop = [](const char* name) {
    return [name](Sources& all) { std::erase_if(all, [&](const SafetensorsSource& s) { return s.name == name; }); };
  };
  CHECK(refusal([](Sources&) {}) == "");
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
                           "model.layers.1.input_layernorm.weight", "model.layers.0.mlp.down_proj.weight"})
    CHECK(refusal(drop(name)) == concat("MISMATCH : tensor ", name, " is missing; a model of 2 layers has it"));
  const auto added = [&](const char* name, std::vector<std::int64_t> shape) {
    return refusal([&](Sources& all) { all.push_back({name, SafetensorsDType::f32, shape, zeros.data(), {}}); });
  };
  CHECK(added("model.layers.2.mlp.up_proj.weight", {48, 32}) ==
        "MISMATCH : tensor model.layers.2.mlp.up_proj.weight has no place in a model of 2 layers");
  CHECK(added("model.layers.0.mlp.up_proj.bias", {48}).starts_with("MISMATCH "));
  CHECK(added("model.layers.00.mlp.up_proj.weight", {48, 32}).starts_with("MISMATCH "));
  CHECK(added("model.layers.0.mlp.experts.weight", {48, 32}).find("is not part of a llama model") != std::string::npos);
  CHECK(refusal([&](Sources& all) {
          drop("model.norm.weight")(all);
          all.push_back({"model.norm.weight", SafetensorsDType::f32, {33}, zeros.data(), {}});
        }) == "MISMATCH : tensor model.norm.weight is [1, 33], the configuration wants [1, 32]");
  CHECK(refusal([&](Sources& all) {
          drop("model.norm.weight")(all);
          all.push_back({"model.norm.weight", SafetensorsDType::f32, {2, 2, 8}, zeros.data(), {}});
        }).starts_with("SHAPE "));
}

TEST_CASE("NaN and infinity in a base load, and what is computed from them is not finite") {  // ST 47
  const TinyFolder model;
  model.write(TinyFolder::with("", ""));
  const std::string path = model.path() + "/model.safetensors";
  std::string bytes = read_file(path);
  const SafetensorsFile file(path);
  const auto at = static_cast<std::size_t>(file.find("model.layers.1.mlp.up_proj.weight")->offset);
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::memcpy(&bytes[at], &value, sizeof value);
    write_raw(path, bytes);
    const CausalLM loaded = CausalLM::load(model.path(), {}, DType::f32);
    const auto examples = golden_examples(golden_json("tiny_llama/plain/base.json").at("examples", "base"));
    CHECK_FALSE(std::isfinite(evaluate_loss(loaded, nullptr, examples).loss));
    CHECK_THROWS_WITH_AS(CausalLM::load(model.path(), {BaseFormat::Kind::nf4, 64, false}),
                         doctest::Contains("model.layers.1.mlp.up_proj.weight holds NaN or infinity"), Error);
  }
}

namespace {

/// A llama of one layer as GGUF, all zeros, that a test may spoil.
struct RawModel {
  std::vector<GgufField> fields{{"general.architecture", GgufValue::string("llama")},
                                {"llama.block_count", GgufValue::u32(1)},
                                {"llama.context_length", GgufValue::u32(64)},
                                {"llama.embedding_length", GgufValue::u32(32)},
                                {"llama.feed_forward_length", GgufValue::u32(64)},
                                {"llama.attention.head_count", GgufValue::u32(2)},
                                {"llama.attention.head_count_kv", GgufValue::u32(1)},
                                {"llama.attention.layer_norm_rms_epsilon", GgufValue::f32(1e-5f)},
                                {"llama.rope.freq_base", GgufValue::f32(10000)},
                                {"llama.vocab_size", GgufValue::u32(4)}};
  std::vector<float> zeros = std::vector<float>(4096);
  std::vector<GgufSource> tensors;

  RawModel() {
    add("token_embd.weight", {4, 32}), add("output_norm.weight", {32});
    add("blk.0.attn_norm.weight", {32}), add("blk.0.ffn_norm.weight", {32});
    add("blk.0.attn_q.weight", {32, 32}), add("blk.0.attn_output.weight", {32, 32});
    for (const char* name : {"blk.0.attn_k.weight", "blk.0.attn_v.weight"}) add(name, {16, 32});
    for (const char* name : {"blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"}) add(name, {64, 32});
    add("blk.0.ffn_down.weight", {32, 64});
  }
  void add(const std::string& name, std::vector<std::int64_t> shape, GgmlType type = GgmlType::f32) {
    std::erase_if(tensors, [&](const GgufSource& tensor) { return tensor.name == name; });
    tensors.push_back({name, type, std::move(shape), zeros.data(), {}});
  }
  void drop(const std::string& name) {
    std::erase_if(tensors, [&](const GgufSource& tensor) { return tensor.name == name; });
  }
  void set(const std::string& key, GgufValue value) {
    std::erase_if(fields, [&](const GgufField& field) { return field.first == key; });
    fields.emplace_back(key, std::move(value));
  }
  void unset(const std::string& key) {
    std::erase_if(fields, [&](const GgufField& field) { return field.first == key; });
  }
};

struct ModelCase {
  const char* row;
  std::vector<Reason> reasons;
  const char* hint;
  std::function<void(RawModel&)> change;
};

std::function<void(RawModel&)> set(const char* key, GgufValue value) {
  return [=](RawModel& m) { m.set(concat("llama.", key), value); };
}

std::vector<ModelCase> model_cases() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto u32 = [](std::uint32_t value) { return GgufValue::u32(value); };
  const GgufValue huge(GgufType::u64, std::uint64_t{1} << 62);
  return {
      {"good", {}, "", [](RawModel&) {}},
      {"17 architecture",
       {Reason::unsupported},
       "\"mamba\" is not supported",
       [](RawModel& m) { m.set("general.architecture", GgufValue::string("mamba")); }},
      {"29 no heads", {Reason::range}, "head_count", set("attention.head_count", u32(0))},
      {"29 no key/value heads", {Reason::range}, "head_count_kv", set("attention.head_count_kv", u32(0))},
      {"29 heads do not divide", {Reason::range}, "not a multiple of 3 heads", set("attention.head_count", u32(3))},
      {"29 key/value heads do not divide", {Reason::range}, "key/value heads", set("attention.head_count_kv", u32(3))},
      {"29 more key/value heads", {Reason::range}, "key/value heads", set("attention.head_count_kv", u32(4))},
      {"29 a count for each layer",
       {Reason::schema},
       "head_count",
       set("attention.head_count", GgufValue::array(GgufArray::i32(std::vector<std::int32_t>{2})))},
      {"30 no blocks", {Reason::range}, "block_count", set("block_count", u32(0))},
      {"30 10^9 blocks", {Reason::range}, "block_count", set("block_count", u32(1000000000))},
      {"30 2^62 blocks", {Reason::range}, "block_count", set("block_count", huge)},
      {"31 a block too few", {Reason::mismatch}, "model.layers.1.", set("block_count", u32(2))},
      {"31 a block too many",
       {Reason::mismatch},
       "layers.1.self_attn.q_proj.weight has no place in a model of 1 layers",
       [](RawModel& m) {
         m.add("blk.1.attn_q.weight", {32, 32});
       }},
      {"32 base 0", {Reason::range}, "rope.freq_base", set("rope.freq_base", GgufValue::f32(0))},
      {"32 base NaN", {Reason::range}, "rope.freq_base", set("rope.freq_base", GgufValue::f32(nan))},
      {"32 base negative", {Reason::range}, "rope.freq_base", set("rope.freq_base", GgufValue::f32(-1))},
      {"32 eps NaN", {Reason::range}, "epsilon", set("attention.layer_norm_rms_epsilon", GgufValue::f32(nan))},
      {"32 eps 0", {Reason::range}, "epsilon", set("attention.layer_norm_rms_epsilon", GgufValue::f32(0))},
      {"32 factors NaN",
       {Reason::range},
       "rope_freqs.weight",
       [=](RawModel& m) { m.zeros[7] = nan, m.add("rope_freqs.weight", {8}); }},
      {"32 factors of another length",
       {Reason::mismatch},
       "rope_freqs.weight",
       [](RawModel& m) { m.add("rope_freqs.weight", {7}); }},
      {"32 scaling", {Reason::unsupported}, "yarn", set("rope.scaling.type", GgufValue::string("yarn"))},
      {"33 2^62 positions", {Reason::range}, "context_length", set("context_length", huge)},
      {"33 no positions", {Reason::range}, "context_length", set("context_length", u32(0))},
      {"33 2^32-1 positions", {}, "", set("context_length", u32(~0u))},
      {"34 a field missing",
       {Reason::schema},
       "embedding_length",
       [](RawModel& m) { m.unset("llama.embedding_length"); }},
      {"34 a field of another type", {Reason::schema}, "block_count", set("block_count", GgufValue::string("1"))},
      {"34 a field unknown", {Reason::unsupported}, "llama.x", set("x", u32(1))},
      {"34 experts", {Reason::unsupported}, "experts", set("expert_count", u32(8))},
      {"34 tensor missing",
       {Reason::mismatch},
       "model.norm.weight is missing",
       [](RawModel& m) { m.drop("output_norm.weight"); }},
      {"34 tensor of experts",
       {Reason::unsupported},
       "ffn_gate_exps",
       [](RawModel& m) {
         m.add("blk.0.ffn_gate_exps.weight", {2, 32});
       }},
      {"34 bias unasked", {Reason::mismatch}, "k_proj.bias", [](RawModel& m) { m.add("blk.0.attn_k.bias", {16}); }},
      {"34 biases that stop",
       {Reason::mismatch},
       "k_proj.bias is missing",
       [](RawModel& m) { m.add("blk.0.attn_q.bias", {32}); }},
      {"34 another shape",
       {Reason::mismatch},
       "is [16, 32], the configuration wants [32, 32]",
       [](RawModel& m) {
         m.add("blk.0.attn_q.weight", {16, 32});
       }},
      {"34 q and k of no whole heads",
       {Reason::mismatch},
       "k_proj",
       [](RawModel& m) {
         m.add("blk.0.attn_k.weight", {15, 32});
       }},
      {"34 three axes",
       {Reason::shape},
       "axes",
       [](RawModel& m) {
         m.add("blk.0.attn_q.weight", {2, 16, 32});
       }},
      {"34 vocabulary", {Reason::mismatch}, "vocab_size is 5", set("vocab_size", u32(5))},
      {"34 no embedding", {Reason::mismatch}, "embed_tokens", [](RawModel& m) { m.drop("token_embd.weight"); }},
      {"34 a format that is not trained on",
       {Reason::unsupported},
       "q5_0",
       [](RawModel& m) {
         m.add("blk.0.attn_q.weight", {32, 32}, GgmlType::q5_0);
       }},
  };
}

}  // namespace

TEST_CASE("every malformed GGUF model of the catalogue is refused by name") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.gguf", good = folder / "good.gguf";
  write_gguf(good, RawModel().fields, RawModel().tensors);
  for (const ModelCase& c : model_cases()) {
    RawModel raw;
    c.change(raw);
    write_gguf(path, raw.fields, raw.tensors);
    check_refused(path, {c.row, "", c.reasons, c.hint}, 4096, [&] { ModelFiles::open(path); });
    CHECK(ModelFiles::open(good)->tensors().size() == 11);
  }
}

TEST_CASE("an update that makes a parameter infinite ends the run in its step, whatever the policy") {
  const CausalLM model = CausalLM::load(tiny_llama("plain"), {}, DType::f32);
  const auto examples = golden_examples(golden_json("tiny_llama/plain/base.json").at("examples", "base"));
  for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::adamw8bit}) {
    LoraAdapter adapter = load_adapter(tiny_llama("plain/adapter"), model.config()).adapter;
    TrainOptions options;
    options.loader = {64, 0, 1, Order::given, 0};
    options.steps = 1, options.warmup = 0, options.optimizer = optimizer, options.on_nonfinite = OnNonFinite::skip;
    options.adamw.lr = 1000, options.adamw.weight_decay = 1e37;
    Trainer trainer(model, adapter, examples, options);
    CHECK_THROWS_WITH_AS(trainer.step(), doctest::Contains("[train] step 1: the update made model.layers.0"), Error);
    CHECK(trainer.step_count() == 0);
    options.adamw.lr = 1e39;
    CHECK_THROWS_WITH_AS(Trainer(model, adapter, examples, options), doctest::Contains("lr must be 0 to 1000"), Error);
  }
}

TEST_CASE("paths that are no model are refused at once, with what a model is") {
  const TemporaryFolder folder;
  write_raw(folder / "m.gguf", "GGUF");
  write_raw(folder / "x.safetensors", "");
  fs::create_directories(folder / "adapter");
  write_raw(folder / "adapter/adapter_config.json", "{}");
  fs::create_directories(folder / "pickle");
  write_raw(folder / "pickle/pytorch_model.bin", "PK");
  fs::create_symlink("loop", folder / "loop");
  const std::pair<std::string, const char*> cases[] = {
      {folder / "none", "there is nothing"},      {"", "there is nothing"},
      {folder.path(), "has no config.json"},      {folder / "m.gguf", "is the file complete?"},
      {folder / "x.safetensors", "Hugging Face"}, {folder / "adapter", "holds an adapter"},
      {folder / "pickle", "never read"},          {"/dev/zero", "want a regular file, got a device"},
      {folder / "loop", "there is nothing"}};
  for (const auto& [path, says] : cases) CHECK_THROWS_WITH_AS(ModelFiles::open(path), doctest::Contains(says), Error);
}
