// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli.h"
#include "ftlib/model/quantize.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

struct QuantizeArguments {
  std::string model, out, format = "nf4";
  Nf4Options nf4;
  int threads = 0;
  bool json = false;
};

/// A lone safetensors file stays one file; a model becomes a folder.
bool is_lone_file(const std::string& path) {
  return path.ends_with(".safetensors") && !std::filesystem::is_directory(path);
}

QuantizeReport quantize(const QuantizeArguments& o) {
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  std::optional<Progress> progress;
  const auto show = [&](const QuantizeProgress& now) {
    FT_CHECK(!interrupted(), cancelled, "quantize: interrupted; nothing was written");
    if (now.total_bytes < kMebibyte) return;
    if (!progress) progress.emplace("quantize, MiB", now.total_bytes / kMebibyte);
    progress->update(now.done_bytes / kMebibyte, now.tensor);
  };
  return is_lone_file(o.model) ? quantize_file(o.model, o.out, o.nf4, show)
                               : quantize_model(o.model, o.out, o.nf4, show);
}

int run_quantize(const QuantizeArguments& o) {
  apply_threads(o.threads);
  catch_interrupts();
  const QuantizeReport report = quantize(o);
  if (!o.json) {
    print_line(concat(o.out, ": ", report.quantized, " tensors as nf4, ", report.copied, " as they were, ",
                      human_bytes(report.bytes)));
    return kDone;
  }
  Json json = Json::object();
  json["event"] = "done";
  json["out"] = o.out;
  json["quantized"] = report.quantized;
  json["copied"] = report.copied;
  json["bytes"] = report.bytes;
  print_json(json);
  return kDone;
}

}  // namespace

void add_quantize(CLI::App& app, Action& action) {
  auto o = std::make_shared<QuantizeArguments>();
  CLI::App* c = app.add_subcommand("quantize", "Write a model's linears as bitsandbytes' 4-bit NF4");
  c->add_option("--model", o->model,
                "a .gguf file or a Hugging Face folder, which becomes a folder that transformers loads; or one "
                ".safetensors file, which becomes one: every 2-D .weight except embeddings and head")
      ->required()
      ->type_name("IN");
  c->add_option("--out", o->out, "where to write")->required()->check(path_to_write())->type_name("OUT");
  c->add_option("--format", o->format, "of the linears")->check(CLI::IsMember({"nf4"}))->capture_default_str();
  c->add_option("--block-size", o->nf4.block_size, "elements a block")
      ->check(CLI::IsMember({32, 64, 128, 256, 512, 1024, 2048, 4096}))
      ->capture_default_str();
  c->add_flag("--double-quant", o->nf4.double_quant, "quantise the block scales too");
  add_threads_option(*c, o->threads);
  c->add_flag("--json", o->json, "one JSON object on standard output");
  c->callback([o, &action] { action = [o] { return run_quantize(*o); }; });
}

}  // namespace ftlib::cli
