// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/adapter.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "adapter_fixture.h"
#include "ftlib/io/gguf.h"
#include "temporary_folder.h"

using namespace ftlib;

namespace {

const std::string kPrefix = "base_model.model.";

/// A trained adapter of every shape a pattern can give, with numbers of its own.
LoraAdapter patterned(const ModelConfig& model, bool rslora) {
  LoraConfig config;
  config.r = 4, config.lora_alpha = 12, config.use_rslora = rslora, config.lora_dropout = 0.125;
  config.target_modules = {"v_proj", "q_proj", "down_proj"};
  config.rank_pattern = {{"v_proj", 3}, {"layers.1.self_attn.v_proj", 6}};
  config.alpha_pattern = {{"down_proj", 20}, {R"(layers\.0\..*)", 7.5}};
  LoraAdapter adapter = make_lora_adapter(model, config);
  initialize(adapter, 5);
  for (const LoraModule& module : adapter.modules)
    for (std::int64_t i = 0; i < module.out * module.r; ++i) module.b[i] = std::sin(static_cast<float>(i));
  return adapter;
}

std::string statement(const SafetensorsMetadata& metadata, const std::string& key) {
  const auto found = std::ranges::find(metadata, key, &SafetensorsMetadata::value_type::first);
  return found == metadata.end() ? "" : found->second;
}

/// scale * B A, in double.
std::vector<double> delta(const LoraModule& module) {
  std::vector<double> result(static_cast<std::size_t>(module.out * module.in));
  for (std::int64_t i = 0; i < module.out; ++i)
    for (std::int64_t k = 0; k < module.r; ++k)
      for (std::int64_t j = 0; j < module.in; ++j)
        result[static_cast<std::size_t>(i * module.in + j)] +=
            double{module.scale} * double{module.b[i * module.r + k]} * double{module.a[k * module.in + j]};
  return result;
}

void check_same_deltas(const LoraAdapter& a, const LoraAdapter& b) {
  REQUIRE(a.modules.size() == b.modules.size());
  for (std::size_t m = 0; m < a.modules.size(); ++m) {
    CHECK(a.modules[m].name == b.modules[m].name);
    const std::vector<double> x = delta(a.modules[m]), y = delta(b.modules[m]);
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      worst = std::max(worst, std::abs(x[i] - y[i]));
      largest = std::max(largest, std::abs(x[i]));
    }
    CHECK(worst <= 3e-7 * largest);
  }
}

}  // namespace

TEST_CASE("adapters that PEFT wrote load with PEFT's own scales, ranks and numbers") {
  for (const std::string model : {"plain", "rich"})
    for (const std::string name : {"adapter", "patterns"}) {
      CAPTURE(model);
      CAPTURE(name);
      const std::string folder = tiny_llama(model) + "/" + name;
      const AdapterFile file = load_adapter(folder, tiny_config(model));
      const RawAdapter raw = RawAdapter::read(folder);
      const Json fixture = parse_json(read_file(folder + ".json"), folder);
      const Json::Object& scales = fixture.at("scales", "fixture").as_object("scales");
      CHECK(file.adapter.modules.size() == scales.size());
      CHECK(raw.tensors.size() == 2 * scales.size());
      for (const LoraModule& module : file.adapter.modules) {
        const RawAdapter::Tensor& a = raw.tensors.at(kPrefix + module.name + ".lora_A.weight");
        const RawAdapter::Tensor& b = raw.tensors.at(kPrefix + module.name + ".lora_B.weight");
        CHECK(a.shape == std::vector<std::int64_t>{module.r, module.in});
        CHECK(a.values == values(module.a, module.r * module.in));
        CHECK(b.values == values(module.b, module.out * module.r));
        const double scale = fixture.at("scales", "fixture").at(module.name, "scales").as_number("scale");
        CHECK(module.scale == static_cast<float>(scale));
      }
      CHECK(file.origin.base_digest.empty());
    }
}

TEST_CASE("an adapter of f16 tensors loads exactly") {
  ModelConfig model = tiny_config("plain");
  model.hidden_size = 576, model.num_attention_heads = 9, model.num_key_value_heads = 3, model.head_dim = 64;
  model.num_hidden_layers = 30, model.intermediate_size = 1536;
  const AdapterFile file = load_adapter(FTLIB_TESTS_DIR "/golden/smollm2_adapter", model);
  CHECK(file.adapter.modules.size() == 60);
  CHECK(file.adapter.parameter_count == 30 * 4 * ((576 + 576) + (192 + 576)));
  CHECK(file.adapter.modules[0].a[0] != 0);
  CHECK(to_float(to_f16(file.adapter.modules[0].a[0])) == file.adapter.modules[0].a[0]);
}

TEST_CASE("adapter_config.json is written as PEFT writes it") {
  for (const std::string name : {"adapter", "patterns"}) {
    const std::string folder = tiny_llama("rich") + "/" + name;
    const AdapterFile file = load_adapter(folder, tiny_config("rich"));
    const TemporaryFolder out;
    save_peft_adapter(out.path(), file.adapter, file.origin);
    Json peft = parse_json(read_file(folder + "/adapter_config.json"), folder);
    peft["peft_version"] = "0.20.0";
    std::vector<std::string> targets;
    for (const Json& target : peft["target_modules"].as_array("")) targets.push_back(target.as_string(""));
    std::ranges::sort(targets);
    peft["target_modules"] = Json::Array(targets.begin(), targets.end());
    CHECK(read_file(out / "adapter_config.json") == dump_json(peft, kPythonPrettyJson));
  }
}

TEST_CASE("an adapter survives PEFT's format: same numbers, ranks, scales and digest, adapter tensors alone") {
  const ModelConfig model = tiny_config("plain");
  for (const bool rslora : {false, true}) {
    const LoraAdapter adapter = patterned(model, rslora);
    AdapterOrigin origin;
    origin.base_digest = std::string(64, 'a');
    origin.base_format = {BaseFormat::Kind::nf4, 128, true};
    origin.base_model_name_or_path = "some/base";
    const TemporaryFolder out;
    save_peft_adapter(out / "new/folder", adapter, origin);
    const AdapterFile back = load_adapter(out / "new/folder", model);
    CHECK(same_parameters(adapter, back.adapter));
    CHECK(adapter_digest(adapter) == adapter_digest(back.adapter));
    CHECK(back.adapter.parameter_count == adapter.parameter_count);
    CHECK(back.adapter.config.lora_dropout == 0.125);
    CHECK(back.adapter.config.use_rslora == rslora);
    CHECK(back.origin.base_digest == origin.base_digest);
    CHECK(back.origin.base_format.kind == BaseFormat::Kind::nf4);
    CHECK(back.origin.base_format.block_size == 128);
    CHECK(back.origin.base_format.double_quant);
    CHECK(back.origin.base_model_name_or_path == "some/base");
    const RawAdapter raw = RawAdapter::read(out / "new/folder");
    CHECK(raw.tensors.size() == 2 * adapter.modules.size());
    CHECK(statement(raw.metadata, "format") == "pt");
    CHECK(statement(raw.metadata, "ftlib.adapter_digest") == adapter_digest(adapter));
    CHECK(make_lora_adapter(model, back.adapter.config).modules.size() == adapter.modules.size());
  }
}

TEST_CASE("saving the same adapter twice gives the same bytes") {
  const LoraAdapter adapter = patterned(tiny_config("plain"), false);
  const TemporaryFolder out;
  for (const std::string name : {"one", "two"}) save_peft_adapter(out / name, adapter, {});
  for (const std::string name : {"/adapter_config.json", "/adapter_model.safetensors"})
    CHECK(read_file(out / "one" + name) == read_file(out / "two" + name));
}

TEST_CASE("patterns keep their meaning although PEFT sorts their keys") {
  const ModelConfig model = tiny_config("plain");
  const LoraAdapter adapter = patterned(model, false);
  const TemporaryFolder out;
  save_peft_adapter(out.path(), adapter, {});
  const Json config = parse_json(read_file(out / "adapter_config.json"), "config");
  const Json& ranks = config.at("rank_pattern", "config");
  CHECK(ranks.find("v_proj") == nullptr);  // sorted it would come last and lose to layers.1
  CHECK(ranks.at("model.layers.1.self_attn.v_proj", "ranks").as_integer("r") == 3);
  CHECK(config.at("alpha_pattern", "config").at("model.layers.0.mlp.down_proj", "alphas").as_integer("alpha") == 20);
}

TEST_CASE("a target regex is kept where Python reads it alike, and spelled out where it may not") {
  const ModelConfig model = tiny_config("plain");
  const auto written = [&](const std::string& regex) {
    LoraConfig config;
    config.target_modules.clear();
    config.target_regex = regex;
    const TemporaryFolder out;
    save_peft_adapter(out.path(), make_lora_adapter(model, config), {});
    CHECK(load_adapter(out.path(), model).adapter.modules.size() == 2);
    return dump_json(parse_json(read_file(out / "adapter_config.json"), "config").at("target_modules", ""));
  };
  CHECK(written(R"(model\.layers\.\d+\.(?:mlp)\.up_proj)") == R"("model\\.layers\\.\\d+\\.(?:mlp)\\.up_proj")");
  CHECK(written(R"(\Qmodel.layers.\E.\.mlp\.up_proj)") ==
        R"(["model.layers.0.mlp.up_proj","model.layers.1.mlp.up_proj"])");
  CHECK(written(R"(.*+(?<=mlp\.up_proj))") == R"(["model.layers.0.mlp.up_proj","model.layers.1.mlp.up_proj"])");
}

TEST_CASE("exclude_modules, layers_to_transform and layers_pattern choose modules as in PEFT") {
  RawAdapter raw = RawAdapter::read(tiny_llama("plain/adapter"));
  const TemporaryFolder folder;
  const auto loads = [&](auto&& change, auto&& keep) {
    RawAdapter changed = raw;
    change(changed.config);
    std::erase_if(changed.tensors, [&](const auto& entry) { return !keep(entry.first); });
    changed.write(folder.path());
    const AdapterFile file = load_adapter(folder.path(), tiny_config("plain"));
    CHECK(make_lora_adapter(tiny_config("plain"), file.adapter.config).modules.size() == file.adapter.modules.size());
    return file.adapter.modules.size();
  };
  const auto layer_1 = [](const std::string& name) { return name.find("layers.1.") != name.npos; };
  const auto no_mlp = [](const std::string& name) { return name.find("mlp") == name.npos; };
  CHECK(loads([](Json& c) { c["layers_to_transform"] = Json::Array{1}; }, layer_1) == 7);
  CHECK(loads([](Json& c) { c["layers_to_transform"] = 1; }, layer_1) == 7);
  CHECK(loads([](Json& c) { c["layers_to_transform"] = 1, c["layers_pattern"] = "layers"; }, layer_1) == 7);
  CHECK(loads([](Json& c) { c["exclude_modules"] = R"(.*\.mlp\..*)"; }, no_mlp) == 8);
  CHECK(loads(
            [](Json& c) {
              c["exclude_modules"] = Json::Array{"gate_proj", "up_proj", "mlp.down_proj"};
            },
            no_mlp) == 8);
  const auto everything = [](const std::string&) { return true; };
  CHECK_THROWS_WITH_AS(loads([](Json& c) { c["layers_to_transform"] = 1; }, everything),
                       doctest::Contains("does not select model.layers.0.self_attn.q_proj"), Error);
  CHECK_THROWS_WITH_AS(loads([](Json& c) { c["layers_to_transform"] = 1, c["layers_pattern"] = "h"; }, layer_1),
                       doctest::Contains("does not select model.layers.1"), Error);
}

TEST_CASE("an adapter survives GGUF: same deltas, rows of q and k in its order") {
  for (const std::string name : {"plain", "rich"})
    for (const bool rslora : {false, true}) {
      const ModelConfig model = tiny_config(name);
      const LoraAdapter adapter = patterned(model, rslora);
      const TemporaryFolder out;
      save_gguf_adapter(out / "a.gguf", adapter, {}, model);
      check_same_deltas(adapter, load_adapter(out / "a.gguf", model).adapter);
      check_same_deltas(adapter, load_gguf_adapter(out / "a.gguf").adapter);

      const GgufFile file(out / "a.gguf");
      CHECK(file.at("ftlib.adapter_digest").as_string("") == adapter_digest(adapter));
      const GgufTensor& stored = *file.find_tensor("blk.1.attn_q.weight.lora_b");
      const LoraModule& module = *adapter.find(1, LinearKind::q_proj);
      CHECK(stored.shape == std::vector<std::int64_t>{module.out, module.r});
      std::vector<float> rows(static_cast<std::size_t>(stored.numel()));
      file.read(stored, rows.data());
      const std::int64_t half = model.head_dim / 2;  // row 1 of a head is the first of its second half
      const float factor = rows[1] / module.b[1];  // row 0 stays where it is
      CHECK(rows[static_cast<std::size_t>(module.r) + 1] == doctest::Approx(factor * module.b[half * module.r + 1]));
    }
}

TEST_CASE("a GGUF adapter of one scale holds the very numbers and states alpha as PEFT does") {
  const ModelConfig model = tiny_config("plain");
  const AdapterFile file = load_adapter(tiny_llama("plain/adapter"), model);
  const TemporaryFolder out;
  save_gguf_adapter(out / "a.gguf", file.adapter, file.origin, model);
  CHECK(GgufFile(out / "a.gguf").at("adapter.lora.alpha").as_number("") == 12);
  CHECK(same_parameters(file.adapter, load_adapter(out / "a.gguf", model).adapter));
}

TEST_CASE(
    "llama.cpp's own conversion of a PEFT adapter loads as that adapter and holds the very tensors that ours does") {
  for (const std::string name : {"plain", "rich"}) {
    const ModelConfig model = tiny_config(name);
    const AdapterFile peft = load_adapter(tiny_llama(name + "/adapter"), model);
    CHECK(same_parameters(peft.adapter, load_adapter(tiny_llama(name + "/adapter.gguf"), model).adapter));
    const TemporaryFolder out;
    save_gguf_adapter(out / "a.gguf", peft.adapter, {}, model);
    const GgufFile ours(out / "a.gguf"), theirs(tiny_llama(name + "/adapter.gguf"));
    CHECK(ours.tensors().size() == theirs.tensors().size());
    for (const std::string key : {"general.architecture", "general.type", "adapter.type", "adapter.lora.alpha"})
      CHECK(ours.at(key) == theirs.at(key));
    for (const GgufTensor& tensor : theirs.tensors()) {
      const GgufTensor* same = ours.find_tensor(tensor.name);
      REQUIRE(same != nullptr);
      CHECK(describe(*same) == describe(tensor));
      std::string a(static_cast<std::size_t>(tensor.bytes), '\0'), b = a;
      ours.read(*same, a.data());
      theirs.read(tensor, b.data());
      CHECK(a == b);
    }
  }
}

TEST_CASE("the digest of an adapter is of what it computes") {
  const ModelConfig model = tiny_config("plain");
  LoraAdapter adapter = patterned(model, false);
  const std::string digest = adapter_digest(adapter);
  CHECK(digest.size() == 64);
  adapter.config.lora_dropout = 0.5;
  CHECK(adapter_digest(adapter) == digest);
  adapter.modules[3].b[5] += 1;
  CHECK(adapter_digest(adapter) != digest);
  adapter.modules[3].b[5] -= 1;
  adapter.modules[3].scale *= 2;
  CHECK(adapter_digest(adapter) != digest);
}

TEST_CASE("the adapter of format 1 loads in every build, and is still what is written") {
  const ModelConfig model = tiny_config("plain");
  const std::string sample = FTLIB_TESTS_DIR "/formats/v1/adapter";
  const AdapterFile file = load_adapter(sample, model);
  CHECK(adapter_digest(file.adapter) == "8d1d3789c9307877a7dd5341e07a54e2d183fd4f076cc73caa89cfe6678f6188");
  CHECK(file.origin.base_digest == std::string(64, 'b'));
  CHECK(file.origin.base_format.double_quant);
  CHECK(file.origin.base_model_name_or_path == "base");
  CHECK(file.adapter.config.rank_pattern.size() == 1);
  check_same_deltas(file.adapter, load_gguf_adapter(sample + "/adapter.gguf").adapter);
  const TemporaryFolder out;
  save_peft_adapter(out.path(), file.adapter, file.origin);
  save_gguf_adapter(out / "adapter.gguf", file.adapter, file.origin, model);
  for (const std::string name : {"adapter_config.json", "adapter_model.safetensors", "adapter.gguf"})
    CHECK(read_file(out / name) == read_file(sample + "/" + name));
}
