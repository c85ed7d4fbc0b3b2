/* SPDX-License-Identifier: Apache-2.0 */
/* Handles and structs that are not what they seem; pointers.c has every pointer of every function. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int32_t tokens[64];
static const int32_t* const prompts[] = {tokens};
static const size_t lengths[] = {1};

#define REFUSED(call) FAILS(FT_ERROR_INVALID_ARGUMENT, call)

static void freeing_null_does_nothing(void) {
  OK(ft_tokenizer_free(NULL));
  OK(ft_model_free(NULL));
  OK(ft_dataset_free(NULL));
  OK(ft_batches_free(NULL));
  OK(ft_adapter_free(NULL));
  OK(ft_trainer_free(NULL));
  OK(ft_evaluation_free(NULL));
  OK(ft_generation_free(NULL));
}

static void a_slot_that_is_used_again_is_another_handle(void) {
  ft_tokenizer *first = tiny_tokenizer(), *second = NULL;
  ft_tokenizer_info info = {sizeof info, 0, 0, 0, 0, 0, 0, 0};
  OK(ft_tokenizer_free(first));
  second = tiny_tokenizer();
  CHECK(first != second);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_tokenizer_get_info(first, &info));
  SAYS("was it freed?");
  OK(ft_tokenizer_free(second));
}

/* A struct of this library's, in the middle of bytes that nobody may touch. */
static void structs_of_every_size_are_read_and_filled_within_their_bounds(void) {
  union {
    ft_tokenizer_info info;
    unsigned char bytes[sizeof(ft_tokenizer_info) + 64];
  } view;
  union {
    ft_generate_options options;
    unsigned char bytes[sizeof(ft_generate_options) + 64];
  } in;
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_generation* generation = NULL;
  uint32_t size;
  size_t i;
  const uint32_t bad[] = {0, 1, 2, 3, 4, 5, 7, 9, 15, 4097, 5000, 0xffffffffu};
  for (size = 8; size <= sizeof view; size += 8) {
    memset(view.bytes, 0xab, sizeof view);
    view.info.struct_size = size;
    OK(ft_tokenizer_get_info(tokenizer, &view.info));
    CHECK(view.info.struct_size == size && view.info.vocab_size == 97);
    for (i = size; i < sizeof view; ++i) CHECK(view.bytes[i] == 0xab);
    for (i = sizeof view.info; i < size; ++i) CHECK(view.bytes[i] == 0);
  }
  for (size = 8; size <= sizeof in; size += 8) {
    memset(in.bytes, 0xab, sizeof in);
    OK(ft_generate_options_init(&in.options, size));
    CHECK(in.options.struct_size == size);
    for (i = size; i < sizeof in; ++i) CHECK(in.bytes[i] == 0xab);
    if (size >= 16) in.options.max_tokens = 1;
    OK(ft_generate(model, NULL, prompts, lengths, 1, &in.options, NULL, NULL, &generation));
    OK(ft_generation_free(generation));
    if (size <= sizeof in.options) continue;
    in.bytes[size - 1] = 1;
    FAILS(FT_ERROR_UNSUPPORTED, ft_generate(model, NULL, prompts, lengths, 1, &in.options, NULL, NULL, &generation));
    SAYS("newer");
  }
  for (i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
    view.info.struct_size = bad[i];
    REFUSED(ft_tokenizer_get_info(tokenizer, &view.info));
    in.options.struct_size = bad[i];
    REFUSED(ft_generate(model, NULL, prompts, lengths, 1, &in.options, NULL, NULL, &generation));
    REFUSED(ft_generate_options_init(&in.options, bad[i]));
  }
  OK(ft_tokenizer_free(tokenizer));
  OK(ft_model_free(model));
}

const test_case refusal_tests[] = {
    {"refusals: freeing NULL does nothing", freeing_null_does_nothing},
    {"refusals: a slot that is used again is another handle", a_slot_that_is_used_again_is_another_handle},
    {"refusals: structs of every size are read and filled within their bounds",
     structs_of_every_size_are_read_and_filled_within_their_bounds},
    {NULL, NULL}};
