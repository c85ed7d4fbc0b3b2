// SPDX-License-Identifier: Apache-2.0
#include "dataset.h"

namespace ftlib::cli {
namespace {

struct TemplateArguments {
  std::string model;
  DataOptions data;
  bool color = false;
};

/// The text with what is trained in green, as a person reads it.
std::string colored(const AnnotatedChat& chat) {
  std::string out;
  for (std::size_t i = 0; i < chat.encoding.ids.size(); ++i) {
    const ByteSpan span = chat.encoding.spans[i];
    const std::string text =
        chat.text.substr(static_cast<std::size_t>(span.begin), static_cast<std::size_t>(span.end - span.begin));
    out += chat.supervised[i] ? concat("\x1b[1;32m", text, "\x1b[0m") : text;
  }
  return out;
}

Json as_json(const AnnotatedChat& chat) {
  Json json = Json::object();
  json["text"] = chat.text;
  Json& tokens = json["tokens"] = Json::array();
  for (std::size_t i = 0; i < chat.encoding.ids.size(); ++i) {
    const ByteSpan span = chat.encoding.spans[i];
    Json token = Json::object();
    token["id"] = std::int64_t{chat.encoding.ids[i]};
    token["begin"] = span.begin, token["end"] = span.end;
    token["supervised"] = chat.supervised[i] != 0;
    tokens.push_back(std::move(token));
  }
  return json;
}

int show_template(const TemplateArguments& o) {
  const ModelData model(o.model, o.data);
  FT_CHECK(model.chat_template.has_value(), invalid_argument, "template: ", o.model,
           " has no chat template; give --template FILE");
  std::string line;
  for (InputLines lines; lines.next(line);) {
    const AnnotatedChat chat = annotate_messages(parse_messages(line, "stdin", lines.number()), 0, model.tokenizer,
                                                 *model.chat_template, o.data.encode(), lines.what());
    o.color ? print_line(colored(chat)) : print_json(as_json(chat));
  }
  return kDone;
}

}  // namespace

void add_template(CLI::App& app, Action& action) {
  auto o = std::make_shared<TemplateArguments>();
  CLI::App* c = app.add_subcommand(
      "template", "Conversations to the text that the model reads, token by token with what is trained");
  c->add_option("--model", o->model, "a .gguf file, or a Hugging Face folder")->required()->type_name("MODEL");
  o->data.add_to(*c);
  c->add_flag("--color", o->color, "the text itself, what is trained in green, instead of JSON");
  c->footer(
      "One JSON list of {\"role\", \"content\"} a line on standard input; one JSON object a line out: text, and for "
      "each token\n"
      "id, begin and end (bytes of the text) and supervised.");
  c->callback([o, &action] { action = [o] { return show_template(*o); }; });
}

}  // namespace ftlib::cli
