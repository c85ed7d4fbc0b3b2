// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "cli.h"
#include "ftlib/core/parallel.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/ops/backend.h"
#include "ftlib/train/plan.h"

namespace ftlib::cli {
namespace {

struct InfoArguments {
  std::string model;
  bool supported = false, json = false;
  std::int64_t batch_tokens = 2048, rank = 16;
};

std::string mebibytes(std::int64_t bytes) { return concat((bytes + (1 << 19)) >> 20, " MiB"); }

Json names(std::initializer_list<const char*> list) {
  Json json = Json::array();
  for (const char* name : list) json.push_back(name);
  return json;
}

Json supported() {
  Json json = Json::object();
  json["event"] = "supported";
  json["architectures"] = names({"llama (LlamaForCausalLM): grouped-query attention, biases, tied or untied head"});
  json["rope"] = names({"default", "linear", "llama3", "GGUF rope_freqs"});
  json["containers"] =
      names({"GGUF 2 and 3", "Hugging Face safetensors, single or sharded", "bitsandbytes 4-bit (nf4)"});
  for (const WeightFormatInfo& format : weight_formats()) json["weight_formats"].push_back(format.name);
  json["compute"] = names({"f32", "bf16 (CPUs with AVX-512 BF16)"});
  for (const std::string_view name : gguf_pre_tokenizers()) json["gguf_pre_tokenizers"].push_back(name);
  json["tokenizers"] = names({"byte-level BPE"});
  json["adapters"] = names({"LoRA, rsLoRA, rank and alpha patterns, dropout; PEFT folder and GGUF, in and out"});
  json["optimizers"] = names({"adamw", "adamw8bit"});
  for (const KernelTable* table : backends()) {
    Json row = Json::object();
    row["name"] = table->name;
    row["on_this_cpu"] = table->available();
    json["backends"].push_back(row);
  }
  json["refused"] = names({"DoRA", "bias other than none", "modules_to_save", "trainable_token_indices", "fp4",
                           "pickle files", "mixtures of experts", "SentencePiece and WordPiece tokenizers"});
  return json;
}

void print_supported(const Json& json) {
  for (const auto& [key, value] : json.as_object("supported")) {
    if (key == "event") continue;
    std::string line = key;
    line.resize(std::max<std::size_t>(line.size(), 20), ' ');
    std::string items;
    for (const Json& item : value.as_array(key)) {
      const bool row = item.is_object();
      const std::string text = row ? item.at("name", key).as_string(key) : item.as_string(key);
      const bool absent = row && !item.at("on_this_cpu", key).as_bool(key);
      items += concat(items.empty() ? "" : ", ", text, absent ? " (not on this CPU)" : "");
    }
    print_line(line + " " + items);
  }
}

Json tensor_formats(const ModelFiles& files) {
  std::map<std::string_view, std::int64_t> bytes;
  for (const StoredTensor& tensor : files.tensors()) bytes[weight_format_info(tensor.format).name] += tensor.bytes;
  Json json = Json::object();
  for (const auto& [name, total] : bytes) json.append(std::string(name), total);
  return json;
}

std::int64_t parameters(const ModelFiles& files) {
  std::int64_t sum = 0;
  for (const StoredTensor& tensor : files.tensors()) sum += tensor.shape[0] * tensor.shape[1];
  return sum;
}

Json tokenizer_json(const std::string& model) {
  Json json = Json::object();
  const Tokenizer tokenizer = Tokenizer::load(model);
  json["vocab_size"] = std::int64_t{tokenizer.vocab_size()};
  json["bos_token"] = tokenizer.bos_token();
  json["eos_token"] = tokenizer.eos_token();
  json["adds_bos"] = tokenizer.adds_bos();
  json["chat_template"] = tokenizer.chat_template().has_value();
  json["digest"] = tokenizer.digest();
  return json;
}

/// What tuning with all linears takes, per plan, without loading a weight twice.
Json memory_json(const CausalLM& model, const InfoArguments& o) {
  LoraConfig config;
  config.r = o.rank;
  const LoraAdapter adapter = make_lora_adapter(model.config(), config);
  Json json = Json::object();
  json["batch_tokens"] = o.batch_tokens;
  json["rank"] = o.rank;
  json["trainable_parameters"] = adapter.parameter_count;
  json["weights_bytes"] = model.weights().bytes;
  const std::pair<const char*, Keep> plans[] = {
      {"plan_a_bytes", Keep::gemm_outputs}, {"plan_b_bytes", Keep::without_mlp}, {"plan_c_bytes", Keep::input}};
  for (const auto& [name, keep] : plans) {
    const std::vector<Keep> all(static_cast<std::size_t>(model.config().num_hidden_layers), keep);
    const std::int64_t positions = std::min(o.batch_tokens, model.config().max_position_embeddings);
    json[name] = model.weights().bytes + adapter.parameters.bytes() +
                 Trainer::planned_bytes(model, adapter, {}, o.batch_tokens, positions, all);
  }
  return json;
}

Json describe_model(const InfoArguments& o) {
  const auto files = ModelFiles::open(o.model);
  Json json = Json::object();
  json["event"] = "info";
  json["model"] = o.model;
  json["config"] =
      files->config().rope_scaling.type == RopeScaling::Type::factors ? Json() : model_config_to_json(files->config());
  json["parameters"] = parameters(*files);
  json["stored_bytes"] = tensor_formats(*files);
  json["tokenizer"] = tokenizer_json(o.model);
  json["memory"] = memory_json(CausalLM::load(*files), o);
  json["digest"] = files->digest();
  return json;
}

void print_model(const Json& json, const ModelConfig& c) {
  print_line(concat("model         ", json.at("model", "").as_string(""), ", ",
                    json.at("parameters", "").as_integer("") / 1000000, " M parameters"));
  print_line(concat("architecture  llama: ", c.num_hidden_layers, " layers, hidden ", c.hidden_size, ", ffn ",
                    c.intermediate_size, ", ", c.num_attention_heads, " heads (", c.num_key_value_heads,
                    " key/value) of ", c.head_dim, ", vocabulary ", c.vocab_size,
                    c.tie_word_embeddings ? " (tied)" : "", ", ", c.max_position_embeddings, " positions"));
  std::string formats;
  for (const auto& [name, bytes] : json.at("stored_bytes", "").as_object(""))
    formats += concat(formats.empty() ? "" : ", ", name, " ", mebibytes(bytes.as_integer("")));
  print_line("stored        " + formats);
  const Json& t = json.at("tokenizer", "");
  print_line(concat("tokenizer     ", t.at("vocab_size", "").as_integer(""), " tokens, begin ",
                    t.at("bos_token", "").as_string(""), ", end ", t.at("eos_token", "").as_string(""),
                    t.at("chat_template", "").as_bool("") ? ", chat template" : ", no chat template"));
  const Json& m = json.at("memory", "");
  print_line(concat("tuning        rank ", m.at("rank", "").as_integer(""),
                    ", all linears: ", m.at("trainable_parameters", "").as_integer(""),
                    " trainable parameters; with batches of ", m.at("batch_tokens", "").as_integer(""),
                    " tokens: plan A ", mebibytes(m.at("plan_a_bytes", "").as_integer("")), ", plan B ",
                    mebibytes(m.at("plan_b_bytes", "").as_integer("")), ", plan C ",
                    mebibytes(m.at("plan_c_bytes", "").as_integer(""))));
  print_line(concat("sha-256       ", json.at("digest", "").as_string("")));
}

int info(const InfoArguments& o) {
  if (o.supported) {
    const Json json = supported();
    o.json ? print_json(json) : print_supported(json);
    return kDone;
  }
  FT_CHECK(!o.model.empty(), invalid_argument, "info: name a MODEL, or give --supported");
  const Json json = describe_model(o);
  o.json ? print_json(json) : print_model(json, ModelFiles::open(o.model)->config());
  return kDone;
}

}  // namespace

void add_info(CLI::App& app, Action& action) {
  auto options = std::make_shared<InfoArguments>();
  CLI::App* command = app.add_subcommand("info", "What a model is, and what tuning it takes");
  command->add_option("MODEL", options->model, "a .gguf file, or a Hugging Face folder");
  command->add_flag("--supported", options->supported, "the table of what is supported");
  command->add_option("--batch-tokens", options->batch_tokens, "for the memory plan")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command->add_option("--rank", options->rank, "for the memory plan")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return info(*options); }; });
}

}  // namespace ftlib::cli
