// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/merge.h"
#include "cli.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

struct MergeArguments {
  std::string model, adapter, out, format = "bf16";
  int threads = 0;
  bool json = false;
};

int merge(const MergeArguments& o) {
  apply_threads(o.threads);
  catch_interrupts();
  const auto files = ModelFiles::open(o.model);
  const AdapterFile adapter = load_adapter(o.adapter, files->config());
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  std::optional<Progress> progress;
  merge_adapter(*files, adapter, o.out, weight_format_by_name(o.format).format, [&](const MergeProgress& now) {
    FT_CHECK(!interrupted(), cancelled, "merge: interrupted; nothing was written");
    if (!progress) progress.emplace("merge, MiB", now.total_bytes / kMebibyte);
    progress->update(now.done_bytes / kMebibyte, now.tensor);
  });
  progress.reset();
  if (!o.json) return print_line(concat("merged model: ", o.out, " (", o.format, ")")), kDone;
  Json json = Json::object();
  json["event"] = "merge";
  json["out"] = o.out, json["format"] = o.format;
  json["adapter_digest"] = adapter_digest(adapter.adapter);
  print_json(json);
  return kDone;
}

}  // namespace

void add_merge(CLI::App& app, Action& action) {
  auto o = std::make_shared<MergeArguments>();
  CLI::App& c = *app.add_subcommand("merge", "Make an adapter part of its base: a model of its own");
  c.add_option("--model", o->model, "the base: a .gguf file, or a Hugging Face folder")->required()->type_name("MODEL");
  c.add_option("--adapter", o->adapter, "a PEFT folder or a GGUF adapter")->required()->type_name("A");
  c.add_option("--out", o->out, "a folder for Hugging Face, or a name that ends in .gguf")
      ->required()
      ->check(path_to_write())
      ->type_name("DIR|FILE.gguf");
  c.add_option("--format", o->format, "of the matrices; q8_0 in GGUF only")
      ->check(CLI::IsMember({"f32", "bf16", "f16", "q8_0"}))
      ->capture_default_str();
  add_threads_option(c, o->threads);
  c.add_flag("--json", o->json, "one JSON object on standard output");
  c.callback([o, &action] { action = [o] { return merge(*o); }; });
}

}  // namespace ftlib::cli
