// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/generate.h"
#include "dataset.h"

namespace ftlib::cli {
namespace {

struct GenerateArguments {
  ModelOptions model;
  DataOptions data;
  std::string adapter, prompt;
  bool has_prompt = false, json = false;
  GenerateOptions generate;
};

/// The prompt as one user turn, or the messages of each line of standard input; without a template as plain text.
std::vector<std::vector<std::int32_t>> read_prompts(const GenerateArguments& o, const ModelData& model) {
  const auto encode = [&](const std::vector<Message>& messages) {
    FT_CHECK(model.chat_template.has_value(), invalid_argument,
             "generate: the model has no chat template; give --template FILE");
    return encode_messages(messages, model.tokenizer, *model.chat_template, o.data.encode());
  };
  if (o.has_prompt) return {model.chat_template ? encode({{"user", o.prompt}}) : model.tokenizer.encode(o.prompt)};
  std::vector<std::vector<std::int32_t>> prompts;
  std::string line;
  for (InputLines lines; lines.next(line);) prompts.push_back(encode(parse_messages(line, "stdin", lines.number())));
  FT_CHECK(!prompts.empty(), invalid_argument,
           "generate: no prompt; give --prompt TEXT, or a JSON list of messages a line on standard input");
  return prompts;
}

/// Answers that an interruption cut are left out.
void print_all(const std::vector<Generated>& results, const Tokenizer& tokenizer, std::int64_t max_tokens) {
  for (const Generated& result : results) {
    if (!result.stopped && static_cast<std::int64_t>(result.tokens.size()) < max_tokens) continue;
    Json json = Json::object();
    json["event"] = "generated";
    json["output"] = tokenizer.decode(result.tokens, true);
    json["prompt_tokens"] = result.prompt_tokens;
    json["tokens"] = static_cast<std::int64_t>(result.tokens.size());
    json["stopped"] = result.stopped;
    print_json(json);
  }
}

int run_generate(GenerateArguments& o) {
  apply_threads(o.model.threads);
  const ModelData data(o.model.model, o.data);
  const auto prompts = read_prompts(o, data);
  const auto files = ModelFiles::open(o.model.model);
  const CausalLM model = o.model.load(*files, data.tokenizer);
  std::optional<AdapterFile> adapter;
  if (!o.adapter.empty()) {
    adapter = load_adapter(o.adapter, model.config());
    warn_of_other_base(o.adapter, adapter->origin, *files, model.base());
  }
  o.generate.stop = stop_tokens(data.tokenizer);
  catch_interrupts();
  const bool stream = !o.json && prompts.size() == 1;
  const auto on_token = [&](std::size_t, std::int32_t token) {
    if (stream && !data.tokenizer.is_special(token)) print_bytes(data.tokenizer.token_bytes(token));
    return !interrupted().load();
  };
  const auto results = generate(model, adapter ? &adapter->adapter : nullptr, prompts, o.generate, on_token);
  if (stream)
    print_line("");
  else
    print_all(results, data.tokenizer, o.generate.max_tokens);
  FT_CHECK(!interrupted(), cancelled, "generate: interrupted");
  return kDone;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  auto o = std::make_shared<GenerateArguments>();
  CLI::App* c = app.add_subcommand("generate", "Answer a prompt, with or without an adapter");
  o->model.add_to(*c);
  c->add_option("--adapter", o->adapter, "a PEFT folder or a GGUF adapter")->type_name("A");
  CLI::Option* prompt = c->add_option("--prompt", o->prompt,
                                      "one user turn; without it: one JSON list of messages a line on standard input");
  c->add_option("--max-tokens", o->generate.max_tokens, "new tokens")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  c->add_option("--temperature", o->generate.temperature, "0: the likeliest token")
      ->check(at_least(0))
      ->capture_default_str();
  c->add_option("--top-k", o->generate.top_k, "0: all")->check(whole(0, INT32_MAX))->capture_default_str();
  c->add_option("--top-p", o->generate.top_p, "nucleus")->check(above(0))->capture_default_str();
  c->add_option("--seed", o->generate.seed, "of the sampling")->check(whole(0))->capture_default_str();
  c->add_option("--template", o->data.template_file, "chat template (Jinja) in place of the model's own")
      ->type_name("FILE");
  c->add_option("--date", o->data.date, "what the template's strftime_now sees: YYYY-MM-DD")->check(date());
  c->add_flag("--json", o->json, "one JSON object a prompt on standard output");
  c->callback([o, prompt, &action] {
    o->has_prompt = prompt->count() > 0;
    action = [o] { return run_generate(*o); };
  });
}

}  // namespace ftlib::cli
