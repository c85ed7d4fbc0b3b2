// SPDX-License-Identifier: Apache-2.0
#include "cli.h"
#include "ftlib/data/tokenizer.h"

namespace ftlib::cli {
namespace {

struct TokenizeArguments {
  std::string model;
  bool special = false, decode = false;
};

std::string encode_line(const Tokenizer& tokenizer, const Json& line, const std::string& what, bool special) {
  Json ids = Json::array();
  for (const std::int32_t id : tokenizer.encode(line.as_string(what), special)) ids.push_back(std::int64_t{id});
  return dump_json(ids);
}

std::string decode_line(const Tokenizer& tokenizer, const Json& line, const std::string& what) {
  std::vector<std::int32_t> ids;
  for (const Json& id : line.as_array(what))
    ids.push_back(static_cast<std::int32_t>(id.as_integer(what, 0, tokenizer.vocab_size() - 1)));
  return dump_json(Json(tokenizer.decode(ids)));
}

int tokenize(const TokenizeArguments& o) {
  const Tokenizer tokenizer = Tokenizer::load(o.model);
  std::string text;
  for (InputLines lines; lines.next(text);) {
    const std::string what = lines.what();
    const Json line = parse_json(text, "stdin", {}, lines.number());
    print_line(o.decode ? decode_line(tokenizer, line, what) : encode_line(tokenizer, line, what, o.special));
  }
  return kDone;
}

}  // namespace

void add_tokenize(CLI::App& app, Action& action) {
  auto options = std::make_shared<TokenizeArguments>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Text to token ids: one JSON string a line in, one array of ids a line out");
  command->add_option("--model", options->model, "a .gguf file, or a Hugging Face folder")
      ->required()
      ->type_name("MODEL");
  command->add_flag("--special", options->special,
                    "parse special tokens such as <|im_end|> instead of reading them as text");
  command->add_flag("--decode", options->decode, "the reverse: arrays of ids in, strings out");
  command->callback([options, &action] { action = [options] { return tokenize(*options); }; });
}

}  // namespace ftlib::cli
