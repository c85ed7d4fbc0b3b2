/* SPDX-License-Identifier: Apache-2.0 */
/* Every function that takes a handle, with NULL, a freed handle, one of another type and one that was made up; and every
 * function with a result, without a place for it. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char* const kRoles[] = {"user"};
static const char* const kContents[] = {"Hi"};
static int32_t tokens[64];
static const int32_t* const prompts[] = {tokens};
static const size_t lengths[] = {1};

/* What is no handle, whatever its type is said to be. */
static void* wrong[4];
enum { kWrong = 4 };

#define REFUSED(call) FAILS(FT_ERROR_INVALID_ARGUMENT, call)

static void make_wrong_handles(void) {
  ft_dataset* dataset = tiny_records();
  ft_tokenizer* of_another_type = tiny_tokenizer();
  OK(ft_dataset_free(dataset));
  wrong[0] = NULL;
  wrong[1] = dataset;
  wrong[2] = of_another_type; /* lives until the program ends, for all tests but those of tokenizers */
  wrong[3] = &wrong;
}

static void refuse_as_tokenizer(void* h) {
  size_t count = 7;
  uint8_t supervised[64];
  ft_dataset* dataset = (ft_dataset*)supervised;
  ft_tokenizer_info info = {sizeof info, 0, 0, 0, 0, 0, 0, 0};
  if (h) REFUSED(ft_tokenizer_free(h));
  REFUSED(ft_tokenizer_get_info(h, &info));
  REFUSED(ft_tokenizer_encode(h, "x", 1, 0, NULL, 0, &count));
  REFUSED(ft_tokenizer_decode(h, tokens, 1, 0, NULL, 0, &count));
  REFUSED(ft_tokenizer_render(h, kRoles, kContents, 1, 0, NULL, 0, &count));
  REFUSED(ft_tokenizer_encode_messages(h, kRoles, kContents, 1, 0, NULL, supervised, 0, &count));
  REFUSED(ft_dataset_open(h, NULL, NULL, &dataset));
  CHECK(dataset == NULL && count == 0);
}

static void refuse_as_model(void* h) {
  char place[8];
  ft_model_info info = {sizeof info, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  ft_tokenizer* tokenizer = (ft_tokenizer*)place;
  ft_adapter* adapter = (ft_adapter*)place;
  ft_trainer* trainer = (ft_trainer*)place;
  ft_evaluation* evaluation = (ft_evaluation*)place;
  ft_generation* generation = (ft_generation*)place;
  if (h) REFUSED(ft_model_free(h));
  REFUSED(ft_model_get_info(h, &info));
  REFUSED(ft_model_tokenizer(h, &tokenizer));
  REFUSED(ft_adapter_open(h, "x", &adapter));
  REFUSED(ft_merge(h, h, "x", "f32", NULL, NULL));
  REFUSED(ft_trainer_create(h, h, NULL, NULL, NULL, &trainer));
  REFUSED(ft_evaluate(h, NULL, h, NULL, NULL, NULL, &evaluation));
  REFUSED(ft_generate(h, NULL, prompts, lengths, 1, NULL, NULL, NULL, &generation));
  CHECK(tokenizer == NULL && adapter == NULL && trainer == NULL && evaluation == NULL && generation == NULL);
}

static void refuse_as_records(void* h) {
  size_t count = 7;
  ft_dataset_info info = {sizeof info, 0, 0, 0, 0, 0, 0, 0};
  ft_batches* batches = (ft_batches*)&count;
  ft_batch batch;
  ft_batch_position position;
  memset(&position, 0, sizeof position);
  batch.struct_size = sizeof batch, position.struct_size = sizeof position;
  if (h) REFUSED(ft_dataset_free(h));
  REFUSED(ft_dataset_append_messages(h, kRoles, kContents, 1, NULL));
  REFUSED(ft_dataset_append_completion(h, "x", "y", NULL));
  REFUSED(ft_dataset_append_text(h, "x", NULL));
  REFUSED(ft_dataset_append_json(h, "{}", 2));
  REFUSED(ft_dataset_append_tokens(h, tokens, tokens, 1, NULL));
  REFUSED(ft_dataset_get_info(h, &info));
  REFUSED(ft_dataset_example(h, 0, NULL, NULL, 0, &count));
  REFUSED(ft_batches_create(h, NULL, &batches));
  if (h) REFUSED(ft_batches_free(h));
  REFUSED(ft_batches_next(h, &batch));
  REFUSED(ft_batches_get_position(h, &position));
  REFUSED(ft_batches_set_position(h, &position));
  CHECK(batches == NULL && count == 0);
}

static void refuse_as_adapter_or_trainer(void* h) {
  ft_adapter* adapter = (ft_adapter*)tokens;
  ft_adapter_info info;
  ft_tensor tensor;
  ft_progress progress;
  ft_memory_plan plan;
  info.struct_size = sizeof info, tensor.struct_size = sizeof tensor;
  progress.struct_size = sizeof progress, plan.struct_size = sizeof plan;
  if (h) REFUSED(ft_adapter_free(h));
  REFUSED(ft_adapter_save_peft(h, "x"));
  REFUSED(ft_adapter_save_gguf(h, "x"));
  REFUSED(ft_adapter_get_info(h, &info));
  REFUSED(ft_adapter_tensor(h, 0, NULL, NULL, &tensor));
  if (h) REFUSED(ft_trainer_free(h));
  REFUSED(ft_trainer_step(h, NULL));
  REFUSED(ft_trainer_run(h, NULL, NULL));
  REFUSED(ft_trainer_cancel(h));
  REFUSED(ft_trainer_progress(h, &progress));
  REFUSED(ft_trainer_get_plan(h, &plan));
  REFUSED(ft_trainer_save(h, "x"));
  REFUSED(ft_trainer_resume(h, "x"));
  REFUSED(ft_trainer_adapter(h, &adapter));
  CHECK(adapter == NULL);
}

static void refuse_as_result(void* h) {
  ft_evaluation_info info;
  ft_example_result example;
  ft_interval interval;
  ft_answer answer;
  double mean;
  info.struct_size = sizeof info, example.struct_size = sizeof example;
  interval.struct_size = sizeof interval, answer.struct_size = sizeof answer;
  if (h) REFUSED(ft_evaluation_free(h));
  REFUSED(ft_evaluation_get_info(h, &info));
  REFUSED(ft_evaluation_metric(h, 0, NULL, &mean));
  REFUSED(ft_evaluation_example(h, 0, &example));
  REFUSED(ft_evaluation_compare(h, h, NULL, &interval));
  if (h) REFUSED(ft_generation_free(h));
  REFUSED(ft_generation_answer(h, 0, &answer));
}

static void handles_that_are_none_are_refused(void) {
  int i;
  make_wrong_handles();
  for (i = 0; i < kWrong; ++i) {
    if (i != 2) refuse_as_tokenizer(wrong[i]);
    refuse_as_model(wrong[i]);
    refuse_as_records(wrong[i]);
    refuse_as_adapter_or_trainer(wrong[i]);
    refuse_as_result(wrong[i]);
  }
  OK(ft_tokenizer_free(wrong[2]));
}

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

static void results_without_a_place_are_refused_where_no_handle_is(void) {
  const float number[1] = {0};
  REFUSED(ft_backend_count(NULL));
  REFUSED(ft_backend_name(0, NULL, NULL));
  REFUSED(ft_backend_used(NULL, NULL));
  REFUSED(ft_backend_used("linear", NULL));
  REFUSED(ft_get_threads(NULL));
  REFUSED(ft_tokenizer_options_init(NULL, 8));
  REFUSED(ft_model_options_init(NULL, 8));
  REFUSED(ft_dataset_options_init(NULL, 8));
  REFUSED(ft_record_options_init(NULL, 8));
  REFUSED(ft_batch_options_init(NULL, 8));
  REFUSED(ft_lora_options_init(NULL, 8));
  REFUSED(ft_train_options_init(NULL, 8));
  REFUSED(ft_evaluate_options_init(NULL, 8));
  REFUSED(ft_generate_options_init(NULL, 8));
  REFUSED(ft_adamw_options_init(NULL, 8));
  REFUSED(ft_nf4_quantize(NULL, FT_F32, 1, 64, NULL, NULL));
  REFUSED(ft_nf4_double_quantize(number, 1, NULL, NULL, NULL));
  REFUSED(ft_nf4_dequantize(NULL, NULL, FT_F32));
  REFUSED(ft_lora_linear(NULL));
  REFUSED(ft_lora_linear_backward(NULL));
  REFUSED(ft_adamw_step(NULL, NULL, NULL, NULL, 1, NULL, 1, 1));
  REFUSED(ft_adamw_8bit_step(NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, 1, 1));
  REFUSED(ft_clip_grad_norm(NULL, NULL, 0, 1, NULL));
  REFUSED(ft_cross_entropy(number, tokens, NULL, 1, 1, 1, NULL, NULL));
}

static void results_without_a_place_are_refused(void) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 1);
  ft_adapter* adapter = NULL;
  ft_evaluation* evaluation = NULL;
  ft_generation *generation = NULL, *no_generation = NULL;
  ft_batches* batches = NULL;
  ft_tokenizer* no_tokenizer = NULL;
  ft_model* no_model = (ft_model*)tokens;
  ft_generate_options options;
  char text[8];
  size_t count;
  OK(ft_trainer_adapter(trainer, &adapter));
  OK(ft_evaluate(model, NULL, dataset, NULL, NULL, NULL, &evaluation));
  OK(ft_generate_options_init(&options, sizeof options));
  options.max_tokens = 1;
  OK(ft_generate(model, NULL, prompts, lengths, 1, &options, NULL, NULL, &generation));
  OK(ft_batches_create(dataset, NULL, &batches));

  REFUSED(ft_tokenizer_open(tiny_path(), NULL, NULL));
  REFUSED(ft_tokenizer_open(NULL, NULL, &no_tokenizer));
  REFUSED(ft_tokenizer_get_info(tokenizer, NULL));
  REFUSED(ft_tokenizer_encode(tokenizer, "x", 1, 0, tokens, 64, NULL));
  REFUSED(ft_tokenizer_encode(tokenizer, NULL, 1, 0, tokens, 64, &count));
  REFUSED(ft_tokenizer_encode(tokenizer, "x", 1, 0, NULL, 64, &count));
  REFUSED(ft_tokenizer_decode(tokenizer, tokens, 1, 0, text, 8, NULL));
  REFUSED(ft_tokenizer_decode(tokenizer, NULL, 1, 0, text, 8, &count));
  REFUSED(ft_tokenizer_render(tokenizer, NULL, kContents, 1, 0, text, 8, &count));
  REFUSED(ft_tokenizer_render(tokenizer, kRoles, NULL, 1, 0, text, 8, &count));
  REFUSED(ft_tokenizer_render(tokenizer, kRoles, kContents, 1, 0, text, 8, NULL));
  REFUSED(ft_tokenizer_encode_messages(tokenizer, kRoles, kContents, 1, 0, tokens, NULL, 64, NULL));
  REFUSED(ft_model_open(NULL, NULL, &no_model));
  CHECK(no_model == NULL);
  REFUSED(ft_model_open(tiny_path(), NULL, NULL));
  REFUSED(ft_model_open_memory(text, 8, NULL, NULL));
  REFUSED(ft_model_open_memory(NULL, 8, NULL, &no_model));
  REFUSED(ft_model_get_info(model, NULL));
  REFUSED(ft_model_tokenizer(model, NULL));
  REFUSED(ft_dataset_open(tokenizer, NULL, NULL, NULL));
  REFUSED(ft_dataset_append_messages(dataset, NULL, NULL, 1, NULL));
  REFUSED(ft_dataset_append_completion(dataset, NULL, "x", NULL));
  REFUSED(ft_dataset_append_completion(dataset, "x", NULL, NULL));
  REFUSED(ft_dataset_append_text(dataset, NULL, NULL));
  REFUSED(ft_dataset_append_json(dataset, NULL, 2));
  REFUSED(ft_dataset_append_tokens(dataset, NULL, tokens, 1, NULL));
  REFUSED(ft_dataset_append_tokens(dataset, tokens, NULL, 1, NULL));
  REFUSED(ft_dataset_get_info(dataset, NULL));
  REFUSED(ft_dataset_example(dataset, 0, tokens, NULL, 64, NULL));
  REFUSED(ft_batches_create(dataset, NULL, NULL));
  REFUSED(ft_batches_next(batches, NULL));
  REFUSED(ft_batches_get_position(batches, NULL));
  REFUSED(ft_batches_set_position(batches, NULL));
  REFUSED(ft_adapter_open(model, tiny_path(), NULL));
  REFUSED(ft_adapter_save_peft(adapter, NULL));
  REFUSED(ft_adapter_save_gguf(adapter, NULL));
  REFUSED(ft_adapter_get_info(adapter, NULL));
  REFUSED(ft_adapter_tensor(adapter, 0, NULL, NULL, NULL));
  REFUSED(ft_merge(model, adapter, NULL, "f32", NULL, NULL));
  REFUSED(ft_merge(model, adapter, "x", NULL, NULL, NULL));
  REFUSED(ft_trainer_create(model, dataset, NULL, NULL, NULL, NULL));
  REFUSED(ft_trainer_progress(trainer, NULL));
  REFUSED(ft_trainer_get_plan(trainer, NULL));
  REFUSED(ft_trainer_save(trainer, NULL));
  REFUSED(ft_trainer_resume(trainer, NULL));
  REFUSED(ft_trainer_adapter(trainer, NULL));
  REFUSED(ft_evaluate(model, NULL, dataset, NULL, NULL, NULL, NULL));
  REFUSED(ft_evaluation_get_info(evaluation, NULL));
  REFUSED(ft_evaluation_metric(evaluation, 0, NULL, NULL));
  REFUSED(ft_evaluation_example(evaluation, 0, NULL));
  REFUSED(ft_evaluation_compare(evaluation, evaluation, NULL, NULL));
  REFUSED(ft_generate(model, NULL, NULL, lengths, 1, NULL, NULL, NULL, &no_generation));
  REFUSED(ft_generate(model, NULL, prompts, NULL, 1, NULL, NULL, NULL, &no_generation));
  REFUSED(ft_generate(model, NULL, prompts, lengths, 0, NULL, NULL, NULL, &no_generation));
  REFUSED(ft_generate(model, NULL, prompts, lengths, 1, NULL, NULL, NULL, NULL));
  REFUSED(ft_generation_answer(generation, 0, NULL));
  OK(ft_trainer_free(trainer));
  OK(ft_evaluation_free(evaluation));
  OK(ft_generation_free(generation));
  OK(ft_batches_free(batches));
  OK(ft_adapter_free(adapter));
  OK(ft_dataset_free(dataset));
  OK(ft_tokenizer_free(tokenizer));
  OK(ft_model_free(model));
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
    {"refusals: handles that are none", handles_that_are_none_are_refused},
    {"refusals: freeing NULL does nothing", freeing_null_does_nothing},
    {"refusals: a slot that is used again is another handle", a_slot_that_is_used_again_is_another_handle},
    {"refusals: results without a place", results_without_a_place_are_refused},
    {"refusals: results without a place, where no handle is", results_without_a_place_are_refused_where_no_handle_is},
    {"refusals: structs of every size are read and filled within their bounds",
     structs_of_every_size_are_read_and_filled_within_their_bounds},
    {NULL, NULL}};
