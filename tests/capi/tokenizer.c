/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char* const kRoles[] = {"user", "assistant", "user", "assistant"};
static const char* const kContents[] = {"Hi", "Hello!", "Bye", "So long."};

static void info_tells_ids_template_and_digest(void) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_tokenizer_info info;
  info.struct_size = sizeof info;
  OK(ft_tokenizer_get_info(tokenizer, &info));
  CHECK(info.vocab_size == 97 && info.bos_id == 94 && info.eos_id == 96 && info.pad_id == -1 && info.adds_bos == 0);
  CHECK(info.chat_template != NULL && strstr(info.chat_template, "<|im_start|>") != NULL);
  CHECK(strlen(info.digest) == 64);
  OK(ft_tokenizer_free(tokenizer));
}

static void text_goes_to_tokens_and_back(void) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  const char text[] = "abc <|im_end|> def";
  int32_t ids[64], few[2] = {-7, -7};
  char back[64];
  size_t plain = 0, special = 0, bytes = 0;
  OK(ft_tokenizer_encode(tokenizer, text, strlen(text), 0, NULL, 0, &plain));
  OK(ft_tokenizer_encode(tokenizer, text, strlen(text), FT_ENCODE_SPECIAL, ids, 64, &special));
  CHECK(special < plain && plain < 64);
  FAILS(FT_ERROR_BUFFER_TOO_SMALL, ft_tokenizer_encode(tokenizer, text, strlen(text), 0, few, 2, &bytes));
  CHECK(bytes == plain && few[0] == -7 && few[1] == -7);
  OK(ft_tokenizer_decode(tokenizer, ids, special, 0, back, sizeof back, &bytes));
  CHECK(bytes == strlen(text) && memcmp(back, text, bytes) == 0);
  OK(ft_tokenizer_decode(tokenizer, ids, special, FT_DECODE_SKIP_SPECIAL, NULL, 0, &bytes));
  CHECK(bytes == strlen(text) - strlen("<|im_end|>"));
  FAILS(FT_ERROR_BUFFER_TOO_SMALL, ft_tokenizer_decode(tokenizer, ids, special, 0, back, 1, &bytes));
  ids[0] = 97;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_tokenizer_decode(tokenizer, ids, special, 0, back, sizeof back, &bytes));
  CHECK(bytes == 0);
  OK(ft_tokenizer_encode(tokenizer, NULL, 0, 0, NULL, 0, &bytes));
  CHECK(bytes == 0);
  FAILS(FT_ERROR_UNSUPPORTED, ft_tokenizer_encode(tokenizer, text, 3, 0x80000000u, NULL, 0, &bytes));
  OK(ft_tokenizer_free(tokenizer));
}

static void a_conversation_is_rendered_and_marked(void) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  char text[256];
  int32_t tokens[128];
  uint8_t supervised[128];
  size_t bytes = 0, all = 0, last = 0, prompt = 0, count = 0, i, targets = 0, targets_of_last = 0;
  OK(ft_tokenizer_render(tokenizer, kRoles, kContents, 2, 0, text, sizeof text, &bytes));
  CHECK(bytes == strlen("<|im_start|>user Hi<|im_end|><|im_start|>assistant Hello!<|im_end|>"));
  CHECK(memcmp(text, "<|im_start|>user Hi<|im_end|><|im_start|>assistant Hello!<|im_end|>", bytes) == 0);
  OK(ft_tokenizer_render(tokenizer, kRoles, kContents, 1, FT_CHAT_GENERATION_PROMPT, text, sizeof text, &bytes));
  CHECK(memcmp(text + bytes - 10, "assistant ", 10) == 0);
  FAILS(FT_ERROR_BUFFER_TOO_SMALL, ft_tokenizer_render(tokenizer, kRoles, kContents, 1, 0, text, 3, &bytes));
  OK(ft_tokenizer_encode_messages(tokenizer, kRoles, kContents, 4, 0, tokens, supervised, 128, &all));
  for (i = 0; i < all; ++i) targets += supervised[i];
  OK(ft_tokenizer_encode_messages(tokenizer, kRoles, kContents, 4, FT_CHAT_SUPERVISE_LAST, tokens, supervised, 128, &last));
  for (i = 0; i < last; ++i) targets_of_last += supervised[i];
  CHECK(all == last && targets_of_last > 0 && targets > targets_of_last);
  CHECK(tokens[all - 1] == 96 && supervised[all - 1] == 1);
  OK(ft_tokenizer_encode_messages(tokenizer, kRoles, kContents, 1, FT_CHAT_GENERATION_PROMPT, tokens, supervised, 128,
                                  &prompt));
  for (i = 0; i < prompt; ++i) CHECK(supervised[i] == 0);
  OK(ft_tokenizer_encode_messages(tokenizer, kRoles, kContents, 1, FT_CHAT_GENERATION_PROMPT, tokens, NULL, 128, &count));
  CHECK(count == prompt);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_tokenizer_render(tokenizer, kRoles, kContents, 0, 0, text, sizeof text, &bytes));
  OK(ft_tokenizer_free(tokenizer));
}

static void a_template_of_the_callers_takes_the_models_place(void) {
  ft_tokenizer_options options;
  ft_tokenizer* tokenizer = NULL;
  char text[64];
  size_t bytes = 0;
  OK(ft_tokenizer_options_init(&options, sizeof options));
  options.chat_template = "{{ strftime_now('%Y') }}:{{ messages[0].content }}";
  options.date = "2026-01-02";
  OK(ft_tokenizer_open(tiny_path(), &options, &tokenizer));
  OK(ft_tokenizer_render(tokenizer, kRoles, kContents, 1, 0, text, sizeof text, &bytes));
  CHECK(bytes == 7 && memcmp(text, "2026:Hi", 7) == 0);
  OK(ft_tokenizer_free(tokenizer));
  options.chat_template = "{{ messages[0].content";
  FAILS(FT_ERROR_INVALID_FILE, ft_tokenizer_open(tiny_path(), &options, &tokenizer));
  options.chat_template = "{{ raise_exception('no') }}";
  OK(ft_tokenizer_open(tiny_path(), &options, &tokenizer));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_tokenizer_render(tokenizer, kRoles, kContents, 1, 0, text, sizeof text, &bytes));
  SAYS("no");
  OK(ft_tokenizer_free(tokenizer));
}

const test_case tokenizer_tests[] = {
    {"tokenizer: info tells ids, template and digest", info_tells_ids_template_and_digest},
    {"tokenizer: text goes to tokens and back", text_goes_to_tokens_and_back},
    {"tokenizer: a conversation is rendered and marked", a_conversation_is_rendered_and_marked},
    {"tokenizer: a template of the caller's takes the model's place", a_template_of_the_callers_takes_the_models_place},
    {NULL, NULL}};
