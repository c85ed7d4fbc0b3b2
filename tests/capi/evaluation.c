/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void evaluation_has_each_example_and_each_metric(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_adapter* adapter = tiny_adapter(model);
  ft_evaluate_options options;
  ft_evaluation *base = NULL, *tuned = NULL, *plain = NULL;
  ft_evaluation_info info;
  ft_example_result example;
  ft_interval interval;
  const char* name = NULL;
  double mean = -1, nll = 0;
  size_t i;
  info.struct_size = sizeof info, example.struct_size = sizeof example, interval.struct_size = sizeof interval;
  OK(ft_evaluate_options_init(&options, sizeof options));
  CHECK(options.metrics == NULL && options.max_tokens == 128 && options.batch_tokens == 2048);
  options.metrics = "exact,rouge-l", options.max_tokens = 4;
  OK(ft_evaluate(model, NULL, dataset, &options, NULL, NULL, &base));
  OK(ft_evaluate(model, adapter, dataset, &options, NULL, NULL, &tuned));
  OK(ft_evaluate(model, NULL, dataset, NULL, NULL, NULL, &plain));
  OK(ft_evaluation_get_info(base, &info));
  CHECK(info.example_count == 4 && info.answer_count == 4 && info.metric_count == 2 && info.loss > 0);
  CHECK(fabs(info.perplexity - exp(info.loss)) < 1e-9 * info.perplexity);
  for (i = 0; i < 4; ++i) {
    OK(ft_evaluation_example(base, i, &example));
    CHECK(example.id[0] == (char)('1' + i) && example.supervised_tokens > 0 && example.scores[0] <= 1);
    CHECK(example.output != NULL && strlen(example.output) == example.output_bytes);
    nll += example.nll;
  }
  CHECK(fabs(nll / (double)info.supervised_tokens - info.loss) < 1e-9);
  OK(ft_evaluation_metric(base, 1, &name, &mean));
  CHECK(strcmp(name, "rouge-l") == 0 && mean >= 0 && mean <= 1);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_evaluation_metric(base, 2, &name, &mean));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_evaluation_example(base, 4, &example));
  OK(ft_evaluation_example(plain, 0, &example));
  CHECK(example.output == NULL && example.scores == NULL);
  OK(ft_evaluation_compare(base, tuned, NULL, &interval));
  CHECK(interval.estimate < 0 && interval.low <= interval.estimate && interval.estimate <= interval.high);
  OK(ft_evaluation_compare(base, tuned, "exact", &interval));
  FAILS(FT_ERROR_NOT_FOUND, ft_evaluation_compare(base, tuned, "bleu", &interval));
  OK(ft_dataset_append_text(dataset, "One more.", NULL));
  OK(ft_evaluation_free(plain));
  OK(ft_evaluate(model, NULL, dataset, NULL, NULL, NULL, &plain));
  FAILS(FT_ERROR_MISMATCH, ft_evaluation_compare(base, plain, NULL, &interval));
  options.metrics = "bleu";
  OK(ft_evaluation_free(tuned));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_evaluate(model, NULL, dataset, &options, NULL, NULL, &tuned));
  CHECK(tuned == NULL);
  OK(ft_evaluation_free(base));
  OK(ft_evaluation_free(plain));
  OK(ft_adapter_free(adapter));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static int32_t refuse(int64_t done, int64_t total, void* user) {
  CHECK(done >= 0 && total > 0);
  ++*(int*)user;
  return -1;
}

static void evaluation_ends_where_its_callback_says_so(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_evaluate_options options;
  ft_evaluation* evaluation = NULL;
  int calls = 0;
  OK(ft_evaluate_options_init(&options, sizeof options));
  FAILS(FT_ERROR_CANCELLED, ft_evaluate(model, NULL, dataset, &options, refuse, &calls, &evaluation));
  options.metrics = "f1";
  FAILS(FT_ERROR_CANCELLED, ft_evaluate(model, NULL, dataset, &options, refuse, &calls, &evaluation));
  CHECK(calls == 2 && evaluation == NULL);
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

typedef struct stream {
  char text[512];
  size_t bytes, tokens, stop_after;
} stream;

static int32_t on_token(size_t prompt, int32_t token, const char* text, size_t text_bytes, void* user) {
  stream* s = user;
  CHECK(prompt == 0 && token >= 0 && token < 97 && s->bytes + text_bytes < sizeof s->text);
  memcpy(s->text + s->bytes, text, text_bytes);
  s->bytes += text_bytes;
  return ++s->tokens == s->stop_after;
}

static void generation_streams_what_it_returns(void) {
  ft_model* model = tiny_model(FT_COMPUTE_AUTO);
  ft_adapter* adapter = tiny_adapter(model);
  ft_tokenizer* tokenizer = NULL;
  ft_generate_options options;
  ft_generation *one = NULL, *two = NULL;
  ft_answer a, b;
  stream s = {{0}, 0, 0, 0};
  const char *const roles[] = {"user"}, *const contents[] = {"Hi"};
  int32_t prompt[64];
  const int32_t* prompts[2];
  size_t lengths[2], count = 0;
  a.struct_size = b.struct_size = sizeof a;
  OK(ft_model_tokenizer(model, &tokenizer));
  OK(ft_tokenizer_encode_messages(tokenizer, roles, contents, 1, FT_CHAT_GENERATION_PROMPT, prompt, NULL, 64, &count));
  prompts[0] = prompts[1] = prompt, lengths[0] = count, lengths[1] = count - 2;
  OK(ft_generate_options_init(&options, sizeof options));
  CHECK(options.max_tokens == 128 && options.temperature == 0 && options.top_p == 1 && options.stop_tokens == NULL);
  options.max_tokens = 12;
  OK(ft_generate(model, adapter, prompts, lengths, 1, &options, on_token, &s, &one));
  OK(ft_generate(model, adapter, prompts, lengths, 2, &options, NULL, NULL, &two));
  OK(ft_generation_answer(one, 0, &a));
  OK(ft_generation_answer(two, 0, &b));
  CHECK(a.token_count == b.token_count && memcmp(a.tokens, b.tokens, a.token_count * sizeof a.tokens[0]) == 0);
  CHECK(s.tokens == a.token_count && s.bytes == a.text_bytes && memcmp(s.text, a.text, s.bytes) == 0);
  CHECK(a.text[a.text_bytes] == '\0' && a.prompt_tokens == (int64_t)count && (a.stopped || a.token_count == 12));
  OK(ft_generation_answer(two, 1, &b));
  CHECK(b.prompt_tokens == (int64_t)count - 2);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_generation_answer(two, 2, &b));
  OK(ft_generation_free(one));
  OK(ft_generation_free(two));
  s.stop_after = s.tokens + 2;
  FAILS(FT_ERROR_CANCELLED, ft_generate(model, adapter, prompts, lengths, 1, &options, on_token, &s, &one));
  CHECK(one == NULL && s.tokens == s.stop_after);
  options.temperature = -1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_generate(model, NULL, prompts, lengths, 1, &options, NULL, NULL, &one));
  options.temperature = 0;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_generate(model, NULL, prompts, lengths, 0, &options, NULL, NULL, &one));
  lengths[0] = 0;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_generate(model, NULL, prompts, lengths, 1, &options, NULL, NULL, &one));
  prompt[0] = 97, lengths[0] = 1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_generate(model, NULL, prompts, lengths, 1, &options, NULL, NULL, &one));
  OK(ft_tokenizer_free(tokenizer));
  OK(ft_adapter_free(adapter));
  OK(ft_model_free(model));
}

const test_case evaluation_tests[] = {
    {"evaluation: it has each example and each metric", evaluation_has_each_example_and_each_metric},
    {"evaluation: it ends where its callback says so", evaluation_ends_where_its_callback_says_so},
    {"generation: it streams what it returns", generation_streams_what_it_returns},
    {NULL, NULL}};
