// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/merge.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "adapter_fixture.h"
#include "ftlib/core/parallel.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/eval/evaluate.h"
#include "ftlib/io/gguf.h"
#include "ftlib/model/quantize.h"
#include "golden_model.h"
#include "temporary_folder.h"
#include "test_models.h"

using namespace ftlib;

namespace {

std::vector<float> decoded(const ModelFiles& files, const std::string& name) {
  const StoredTensor* stored = files.find(name);
  REQUIRE(stored != nullptr);
  Buffer bytes(stored->bytes);
  files.read(*stored, bytes.data());
  WeightView view;
  view.format = stored->format, view.block_size = stored->block_size, view.data = bytes.data();
  view.shape[0] = stored->shape[0], view.shape[1] = stored->shape[1];
  std::vector<float> values(static_cast<std::size_t>(view.numel()));
  decode_rows(view, 0, view.out(), values.data());
  return values;
}

/// w + scale * B A, in double.
std::vector<double> expected(std::vector<float> base, const LoraModule* module) {
  std::vector<double> result(base.begin(), base.end());
  for (std::int64_t i = 0; module && i < module->out; ++i)
    for (std::int64_t k = 0; k < module->r; ++k)
      for (std::int64_t j = 0; j < module->in; ++j)
        result[static_cast<std::size_t>(i * module->in + j)] +=
            double{module->scale} * double{module->b[i * module->r + k]} * double{module->a[k * module->in + j]};
  return result;
}

const LoraModule* module_of(const LoraAdapter& adapter, const std::string& tensor) {
  for (const LoraModule& module : adapter.modules)
    if (module.name + ".weight" == tensor) return &module;
  return nullptr;
}

double loss(const std::string& model, const LoraAdapter* adapter, const BaseFormat& base = {}) {
  const Json fixture = parse_json(read_file(tiny_llama("plain/base.json")), "base.json");
  const std::vector<Example> examples = golden_examples(fixture.at("examples", "fixture"));
  return evaluate_loss(CausalLM::load(model, base, DType::f32), adapter, examples).loss;
}

/// A copy of a tiny model with a tokenizer of single letters.
std::string model_with_tokenizer(const TemporaryFolder& folder, const std::string& model) {
  const std::string out = folder / model;
  std::filesystem::create_directories(out);
  for (const std::string name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(tiny_llama(model) + "/" + name, out + "/" + name);
  Json vocab = Json::object(), json = Json::object();
  for (char c = '!'; c <= '~'; ++c) vocab.append(std::string(1, c), int{c - '!'});
  vocab.append("\xC4\xA0", 94);
  const Json bytes = Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["version"] = "1.0";
  json["added_tokens"] =
      Json::Array{Json::Object{{"id", 95}, {"content", "<|end|>"}, {"special", true}, {"normalized", false}}};
  json["pre_tokenizer"] = bytes, json["decoder"] = bytes;
  json["model"] = Json::Object{{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}};
  write_file_atomic(out + "/tokenizer.json", dump_json(json));
  write_file_atomic(out + "/tokenizer_config.json",
                    std::string_view(R"({"eos_token": "<|end|>", "chat_template": "{{ messages }}"})"));
  return out;
}

std::string refusal(const std::function<void()>& body, Status status) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(status_name(error.status()) == status_name(status));
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("merge: each weight is base plus delta, in every format of a folder, and the base stays as it was") {
  for (const std::string name : {"plain", "rich"}) {
    const auto base = ModelFiles::open(tiny_llama(name));
    const std::string before = base->digest();
    const AdapterFile adapter = load_adapter(tiny_llama(name + "/patterns"), base->config());
    const TemporaryFolder folder;
    for (const auto& [format, tolerance] :
         {std::pair{WeightFormat::f32, 1e-7}, {WeightFormat::f16, 0x1p-11}, {WeightFormat::bf16, 0x1p-8}}) {
      const std::string out = folder / std::string(weight_format_info(format).name);
      merge_adapter(*base, adapter, out, format);
      const auto merged = ModelFiles::open(out);
      CHECK(merged->tensors().size() == base->tensors().size());
      for (const StoredTensor& stored : base->tensors()) {
        CAPTURE(stored.name);
        const LoraModule* module = module_of(adapter.adapter, stored.name);
        const std::vector<double> want = expected(decoded(*base, stored.name), module);
        const std::vector<float> got = decoded(*merged, stored.name);
        CHECK(merged->find(stored.name)->format == (stored.rank == 2 ? format : WeightFormat::f32));
        double worst = 0;
        for (std::size_t i = 0; i < want.size(); ++i)
          worst = std::max(worst, (std::abs(want[i] - double{got[i]}) - 2e-7) / std::max(std::abs(want[i]), 1e-4));
        CHECK(worst <= (stored.rank == 2 ? tolerance : 0.0));
      }
      CHECK(dump_json(model_config_to_json(merged->config())) == dump_json(model_config_to_json(base->config())));
    }
    CHECK(ModelFiles::open(tiny_llama(name))->digest() == before);
  }
}

TEST_CASE("merge: the merged model scores as the base with its adapter does, and not as the base") {
  const TemporaryFolder folder;
  for (const std::string name : {"plain", "rich"})
    for (const std::string which : {"adapter", "patterns"}) {
      const std::string base = tiny_llama(name), out = folder / (name + which);
      const auto files = ModelFiles::open(base);
      const AdapterFile adapter = load_adapter(base + "/" + which, files->config());
      merge_adapter(*files, adapter, out, WeightFormat::f32);
      const double with = loss(base, &adapter.adapter), merged = loss(out, nullptr), without = loss(base, nullptr);
      CHECK(merged == doctest::Approx(with).epsilon(1e-5));
      CHECK(std::abs(without - with) > 1e-2);
    }
}

TEST_CASE("merge: one weight times an adapter adds that multiple of its delta, negative ones too") {
  const auto base = ModelFiles::open(tiny_llama("plain"));
  AdapterFile adapter = load_adapter(tiny_llama("plain/adapter"), base->config());
  const TemporaryFolder folder;
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  const std::vector<float> plain = decoded(*base, name);
  const auto delta = [&](double weight) {
    RawAdapter raw = RawAdapter::read(tiny_llama("plain/adapter"));
    raw.config["lora_alpha"] = 12 * weight;
    raw.write(folder.path());
    const AdapterFile scaled = load_adapter(folder.path(), base->config());
    const std::string out = folder / concat("out", weight);
    merge_adapter(*base, scaled, out, WeightFormat::f32);
    std::vector<float> values = decoded(*ModelFiles::open(out), name);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] -= plain[i];
    return values;
  };
  const std::vector<float> one = delta(1), minus = delta(-0.5), twice = delta(2);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(std::abs(minus[i] + 0.5f * one[i]) < 1e-6f);
    CHECK(std::abs(twice[i] - 2 * one[i]) < 1e-6f);
  }
  merge_adapter(*base, adapter, folder / "identity", WeightFormat::f32);
  CHECK(read_file(folder / "identity/model.safetensors") == read_file(folder / "out1/model.safetensors"));
}

TEST_CASE("merge: an adapter without effect changes no value of the base") {
  const auto base = ModelFiles::open(tiny_llama("rich"));
  AdapterFile adapter;
  adapter.adapter = make_lora_adapter(base->config(), {});
  initialize(adapter.adapter, 1);
  const TemporaryFolder folder;
  merge_adapter(*base, adapter, folder / "out", WeightFormat::f32);
  const auto merged = ModelFiles::open(folder / "out");
  for (const StoredTensor& stored : base->tensors())
    CHECK(decoded(*merged, stored.name) == decoded(*base, stored.name));
}

TEST_CASE("merge: bytes are the same for any number of threads") {
  const auto base = ModelFiles::open(tiny_llama("rich"));
  const AdapterFile adapter = load_adapter(tiny_llama("rich/adapter"), base->config());
  const TemporaryFolder folder;
  const int before = threads();
  for (const int count : {1, 3}) {
    set_threads(count);
    merge_adapter(*base, adapter, folder / concat(count), WeightFormat::bf16);
  }
  set_threads(before);
  CHECK(read_file(folder / "1/model.safetensors") == read_file(folder / "3/model.safetensors"));
}

TEST_CASE("merge: the adapter meets the codes that it was trained on") {
  const auto base = ModelFiles::open(tiny_llama("plain"));
  AdapterFile adapter = load_adapter(tiny_llama("plain/adapter"), base->config());
  adapter.origin.base_digest = base->digest();
  const TemporaryFolder folder;
  for (const bool double_quant : {false, true}) {
    adapter.origin.base_format = {BaseFormat::Kind::nf4, 64, double_quant};
    const std::string out = folder / concat("nf4", double_quant);
    merge_adapter(*base, adapter, out, WeightFormat::f32);
    const double trained = loss(tiny_llama("plain"), &adapter.adapter, adapter.origin.base_format);
    CHECK(loss(out, nullptr) == doctest::Approx(trained).epsilon(1e-5));
    CHECK(std::abs(trained - loss(tiny_llama("plain"), &adapter.adapter)) > 1e-3);
  }
  adapter.origin.base_digest = std::string(64, '0');
  CHECK(refusal([&] { merge_adapter(*base, adapter, folder / "x", WeightFormat::f32); }, Status::mismatch)
            .find("it needs the base it was trained on") != std::string::npos);
}

TEST_CASE("merge: bitsandbytes' 4-bit weights become dense with the adapter's delta on their very values") {
  const TemporaryFolder folder;
  const std::string source = model_with_tokenizer(folder, "plain"), path = folder / "nf4";
  quantize_model(source, path, {64, true});
  const auto base = ModelFiles::open(path);
  const AdapterFile adapter = load_adapter(tiny_llama("plain/adapter"), base->config());
  merge_adapter(*base, adapter, folder / "out", WeightFormat::f32);
  CHECK(loss(folder / "out", nullptr) == doctest::Approx(loss(path, &adapter.adapter)).epsilon(1e-5));
  CHECK(std::abs(loss(path, &adapter.adapter) - loss(source, &adapter.adapter)) > 1e-3);
  const Json config = parse_json(read_file(folder / "out/config.json"), "config.json");
  CHECK(config.find("quantization_config") == nullptr);
  CHECK(config.at("torch_dtype", "config").as_string("torch_dtype") == "float32");
}

TEST_CASE("merge: a folder becomes a GGUF file that is the same model, rows of q and k in its order") {
  const TemporaryFolder folder;
  for (const std::string name : {"plain", "rich"}) {
    const std::string path = model_with_tokenizer(folder, name);
    const auto base = ModelFiles::open(path);
    const AdapterFile adapter = load_adapter(tiny_llama(name + "/adapter"), base->config());
    merge_adapter(*base, adapter, folder / (name + ".gguf"), WeightFormat::f32);
    merge_adapter(*base, adapter, folder / (name + "_out"), WeightFormat::f32);
    const auto gguf = ModelFiles::open(folder / (name + ".gguf")), hf = ModelFiles::open(folder / (name + "_out"));
    for (const StoredTensor& stored : hf->tensors()) CHECK(decoded(*gguf, stored.name) == decoded(*hf, stored.name));
    CHECK(loss(gguf->path(), nullptr) == doctest::Approx(loss(hf->path(), nullptr)).epsilon(1e-6));

    const GgufFile file(gguf->path());
    const GgufTensor& q = *file.find_tensor("blk.0.attn_q.weight");
    std::vector<float> rows(static_cast<std::size_t>(q.numel()));
    file.read(q, rows.data());
    const std::vector<float> halves = decoded(*hf, "model.layers.0.self_attn.q_proj.weight");
    const std::int64_t half = base->config().head_dim / 2, in = base->config().hidden_size;
    CHECK(rows[static_cast<std::size_t>(in)] == halves[static_cast<std::size_t>(half * in)]);
    CHECK(file.at("general.file_type").as_integer("") == 0);

    const Tokenizer tokenizer = Tokenizer::from_gguf(file);
    CHECK(tokenizer.vocab_size() == 97);
    CHECK(tokenizer.encode("a b<|end|>", true) == Tokenizer::from_huggingface(path).encode("a b<|end|>", true));
    CHECK(tokenizer.eos_id() == 95);
    CHECK(tokenizer.chat_template() == "{{ messages }}");
  }
}

TEST_CASE("merge: SmolLM2's Q4_1 file becomes q8_0 and a folder, with its tokenizer, metadata and template") {
  const std::string path = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  const auto base = ModelFiles::open(path);
  AdapterFile adapter = load_adapter(golden_path("smollm2_adapter"), base->config());
  for (LoraModule& module : adapter.adapter.modules)
    for (std::int64_t i = 0; i < module.out * module.r; ++i) module.b[i] = 0.02f * std::sin(static_cast<float>(i));
  const TemporaryFolder folder;
  merge_adapter(*base, adapter, folder / "m.gguf", WeightFormat::q8_0);
  merge_adapter(*base, adapter, folder / "hf", WeightFormat::bf16);
  const GgufFile before(path), after(folder / "m.gguf");
  for (const auto& [key, value] : before.metadata())
    if (key != "general.file_type") CHECK(after.at(key) == value);
  CHECK(after.at("general.file_type").as_integer("") == 7);
  CHECK(describe(*after.find_tensor("blk.3.ffn_down.weight")) == "q8_0 [576, 1536]");
  CHECK(describe(*after.find_tensor("blk.3.attn_norm.weight")) == "f32 [576]");
  const Tokenizer tokenizer = Tokenizer::from_gguf(before), written = Tokenizer::from_huggingface(folder / "hf");
  CHECK(written.digest() == tokenizer.digest());
  CHECK(written.chat_template() == tokenizer.chat_template());
  CHECK(written.pad_id() == tokenizer.pad_id());

  const auto q8 = ModelFiles::open(folder / "m.gguf"), hf = ModelFiles::open(folder / "hf");
  CHECK(hf->config().rope_theta == 100000);
  for (const std::string name : {"model.layers.7.self_attn.q_proj.weight", "model.layers.7.self_attn.k_proj.weight",
                                 "model.layers.7.self_attn.v_proj.weight", "model.layers.7.mlp.down_proj.weight"}) {
    const std::vector<double> want = expected(decoded(*base, name), module_of(adapter.adapter, name));
    const std::vector<float> a = decoded(*q8, name), b = decoded(*hf, name);
    double worst_a = 0, worst_b = 0, largest = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      worst_a = std::max(worst_a, std::abs(want[i] - double{a[i]}));
      worst_b = std::max(worst_b, std::abs(want[i] - double{b[i]}));
      largest = std::max(largest, std::abs(want[i]));
    }
    CHECK(worst_a <= largest / 127 * 0.51);
    CHECK(worst_b <= largest / 256);
  }
}

TEST_CASE("merge: what cannot be is refused, and leaves nothing behind") {
  const auto base = ModelFiles::open(tiny_llama("plain"));
  const AdapterFile adapter = load_adapter(tiny_llama("plain/adapter"), base->config());
  const TemporaryFolder folder;
  const auto refused = [&](const ModelFiles& model, const AdapterFile& file, const std::string& out,
                           WeightFormat format,
                           Status status) { return refusal([&] { merge_adapter(model, file, out, format); }, status); };
  CHECK(refused(*base, adapter, folder / "x", WeightFormat::q8_0, Status::invalid_argument).find("is no format for") !=
        std::string::npos);
  CHECK(refused(*base, adapter, folder / "x.gguf", WeightFormat::q4_0, Status::invalid_argument)
            .find("q4_0 is no format") != std::string::npos);
  CHECK(refused(*base, adapter, folder / "x.gguf", WeightFormat::q8_0, Status::unsupported)
            .find("48 columns, no multiple of q8_0's 32") != std::string::npos);
  CHECK(refused(*base, adapter, tiny_llama("plain"), WeightFormat::f32, Status::invalid_argument)
            .find("is the base itself") != std::string::npos);
  CHECK(refused(*base, adapter, folder / "x.gguf", WeightFormat::f32, Status::not_found).find("tokenizer.json") !=
        std::string::npos);
  const auto rich = ModelFiles::open(tiny_llama("rich"));
  CHECK(refused(*rich, adapter, folder / "x", WeightFormat::f32, Status::mismatch).find("is no weight of") !=
        std::string::npos);
  write_file_atomic(folder / "file", std::string_view("x"));
  CHECK(refused(*base, adapter, folder.path(), WeightFormat::f32, Status::invalid_argument).find("not empty") !=
        std::string::npos);
  std::filesystem::remove(folder / "file");
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("merge: NaN, infinity and what f16 cannot hold are refused with the tensor's name") {
  const auto base = ModelFiles::open(tiny_llama("plain"));
  AdapterFile adapter = load_adapter(tiny_llama("plain/adapter"), base->config());
  const TemporaryFolder folder;
  const auto refused = [&](float value, WeightFormat format) {
    adapter.adapter.modules[3].b[0] = value;
    return refusal([&] { merge_adapter(*base, adapter, folder / "out", format); }, Status::non_finite);
  };
  CHECK(refused(1e6f, WeightFormat::f16)
            .find("self_attn.o_proj.weight has a value that is NaN, infinite or beyond f16") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
  CHECK(refused(std::numeric_limits<float>::quiet_NaN(), WeightFormat::f32).find("o_proj.weight") != std::string::npos);
  CHECK(refused(1e6f, WeightFormat::f32) == "accepted");
}
