// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/model/adapter.h"

namespace ftlib::cli {
namespace {

struct ExportArguments {
  std::string model, adapter, gguf, peft;
  bool json = false;
};

/// A GGUF adapter that ftlib wrote holds its base's shape; any other file needs the model for it.
AdapterFile load(const ExportArguments& o, std::optional<ModelConfig>& config) {
  if (!o.model.empty()) config = ModelFiles::open(o.model)->config();
  if (config) return load_adapter(o.adapter, *config);
  FT_CHECK(o.gguf.empty(), invalid_argument, "export: --gguf needs --model, whose order of rows the file follows");
  return load_gguf_adapter(o.adapter);
}

/// A trained adapter is worth more than a convenience.
void check_target(const std::string& adapter, const std::string& out) {
  std::error_code ignored;
  FT_CHECK(!std::filesystem::equivalent(adapter, out, ignored), invalid_argument, "export: ", out,
           " is the adapter itself");
  FT_CHECK(!std::filesystem::exists(out + "/adapter_config.json", ignored), invalid_argument, "export: ", out,
           " holds an adapter; name a new folder");
}

int run_export(const ExportArguments& o) {
  FT_CHECK(o.gguf.empty() != o.peft.empty(), invalid_argument, "export: give either --gguf FILE or --peft DIR");
  check_target(o.adapter, o.gguf.empty() ? o.peft : o.gguf);
  std::optional<ModelConfig> config;
  const AdapterFile file = load(o, config);
  if (!o.gguf.empty()) {
    save_gguf_adapter(o.gguf, file.adapter, file.origin, *config);
  } else {
    StagedFolder folder(o.peft);
    save_peft_adapter(folder.path(), file.adapter, file.origin);
    folder.commit("adapter_config.json");
  }
  const std::string& out = o.gguf.empty() ? o.peft : o.gguf;
  if (!o.json) return print_line(concat("adapter: ", out)), kDone;
  Json json = Json::object();
  json["event"] = "export";
  json["out"] = out;
  json["adapter_digest"] = adapter_digest(file.adapter);
  print_json(json);
  return kDone;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  auto o = std::make_shared<ExportArguments>();
  CLI::App& c = *app.add_subcommand("export", "Adapters between PEFT and GGUF");
  c.add_option("--model", o->model, "the base; needed for --gguf")->type_name("MODEL");
  c.add_option("--adapter", o->adapter, "a PEFT folder or a GGUF adapter")->required()->type_name("A");
  c.add_option("--gguf", o->gguf, "write it for llama.cpp")->check(path_to_write())->type_name("OUT.gguf");
  c.add_option("--peft", o->peft, "write it for PEFT")->check(path_to_write())->type_name("DIR");
  c.add_flag("--json", o->json, "one JSON object on standard output");
  c.callback([o, &action] { action = [o] { return run_export(*o); }; });
}

}  // namespace ftlib::cli
