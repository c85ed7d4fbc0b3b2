// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/generate.h"
#include "objects.h"

namespace ftlib::capi {

/// ft_generation.
struct GenerationObject {
  std::vector<Generated> answers;
  std::vector<std::string> texts;
};

namespace {

ft_generate_options generate_defaults() {
  ft_generate_options o{};
  o.max_tokens = 128, o.top_p = 1;
  return o;
}

GenerateOptions generate_options(const ft_generate_options& o, const Tokenizer& tokenizer) {
  GenerateOptions options;
  options.max_tokens = o.max_tokens, options.temperature = o.temperature;
  options.top_k = o.top_k, options.top_p = o.top_p, options.seed = o.seed;
  const auto stop = array(o.stop_tokens, o.stop_token_count, "stop_tokens");
  options.stop = o.stop_tokens ? std::vector<std::int32_t>(stop.begin(), stop.end()) : stop_tokens(tokenizer);
  return options;
}

std::vector<std::vector<std::int32_t>> prompts_of(const std::int32_t* const* prompts, const std::size_t* lengths,
                                                  std::size_t count) {
  const auto all = array(prompts, count, "prompts");
  const auto sizes = array(lengths, count, "prompt_lengths");
  FT_CHECK(count > 0, invalid_argument, "there are no prompts");
  std::vector<std::vector<std::int32_t>> copies;
  for (std::size_t i = 0; i < count; ++i) {
    const auto tokens = array(all[i], sizes[i], concat("prompts[", i, "]"));
    copies.emplace_back(tokens.begin(), tokens.end());
  }
  return copies;
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_generate_options_init(ft_generate_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, generate_defaults()); });
}

ft_status ft_generate(const ft_model* model, const ft_adapter* adapter, const int32_t* const* prompts,
                      const size_t* prompt_lengths, size_t prompt_count, const ft_generate_options* options,
                      ft_token_callback callback, void* user, ft_generation** out) {
  return create(out, [&] {
    check_process();
    const auto m = get(model);
    const auto a = get_or_null(adapter);
    const Tokenizer& tokenizer = m->text->tokenizer;
    const auto o = generate_options(read_options(options, generate_defaults()), tokenizer);
    const auto copies = prompts_of(prompts, prompt_lengths, prompt_count);
    bool stopped = false;
    const auto on_token = [&](std::size_t prompt, std::int32_t token) {
      const std::string_view text =
          token >= tokenizer.vocab_size() || tokenizer.is_special(token) ? "" : tokenizer.token_bytes(token);
      stopped = !wants_to_go_on(callback, prompt, token, text.data(), text.size(), user);
      return !stopped;
    };
    auto object = std::make_shared<GenerationObject>();
    object->answers = generate(m->weights, fitting(*m, a), copies, o, callback ? TokenCallback(on_token) : TokenCallback());
    if (stopped) cancelled("ft_generate");
    for (const Generated& answer : object->answers) object->texts.push_back(tokenizer.decode(answer.tokens, true));
    return object;
  });
}

ft_status ft_generation_free(ft_generation* generation) { return destroy(generation); }

ft_status ft_generation_answer(const ft_generation* generation, size_t prompt, ft_answer* answer) {
  return guard([&] {
    const auto g = get(generation);
    FT_CHECK(prompt < g->answers.size(), invalid_argument, "there are ", g->answers.size(), " answers, index is ", prompt);
    const Generated& found = g->answers[prompt];
    ft_answer value{};
    value.stopped = found.stopped;
    value.tokens = found.tokens.data(), value.token_count = found.tokens.size();
    value.text = g->texts[prompt].c_str(), value.text_bytes = g->texts[prompt].size();
    value.prompt_tokens = found.prompt_tokens;
    fill_struct(answer, value, "answer");
  });
}
