/* SPDX-License-Identifier: Apache-2.0 */
/* A child of fork() has none of the pool's threads: every function that computes tells it so, and it may do the rest. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

typedef struct world {
  ft_tokenizer* tokenizer;
  ft_model* model;
  ft_dataset* dataset;
  ft_trainer* trainer;
  ft_adapter* adapter;
  ft_evaluation* evaluation;
  ft_generation* generation;
} world;

static int32_t tokens[256];
static const int32_t* const prompts[] = {tokens};
static const size_t lengths[] = {1};

static world new_world(void) {
  world w;
  ft_generate_options options;
  memset(&w, 0, sizeof w);
  OK(ft_generate_options_init(&options, sizeof options));
  options.max_tokens = 1;
  w.tokenizer = tiny_tokenizer(), w.model = tiny_model(FT_COMPUTE_F32), w.dataset = tiny_records();
  w.adapter = tiny_adapter(w.model), w.trainer = tiny_trainer(w.model, w.dataset, 9);
  OK(ft_evaluate(w.model, NULL, w.dataset, NULL, NULL, NULL, &w.evaluation));
  OK(ft_generate(w.model, NULL, prompts, lengths, 1, &options, NULL, NULL, &w.generation));
  return w;
}

static void free_world(const world* w) {
  OK(ft_generation_free(w->generation));
  OK(ft_evaluation_free(w->evaluation));
  OK(ft_trainer_free(w->trainer));
  OK(ft_adapter_free(w->adapter));
  OK(ft_dataset_free(w->dataset));
  OK(ft_model_free(w->model));
  OK(ft_tokenizer_free(w->tokenizer));
}

/* Runs `body` in a child, which says which of its lines was wrong. */
static void in_a_child(int (*body)(const world*), const world* w) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    const int wrong = body(w);
    if (wrong != 0) fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, wrong, ft_last_error());
    _exit(wrong != 0);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define REFUSES(call) \
  if ((call) != FT_ERROR_UNSUPPORTED || strstr(ft_last_error(), "fork") == NULL) return __LINE__
#define WORKS(call) \
  if ((call) != FT_OK) return __LINE__

static int models_and_training_refuse(const world* w) {
  ft_model* model = NULL;
  ft_dataset* dataset = NULL;
  ft_trainer* trainer = NULL;
  ft_evaluation* evaluation = NULL;
  ft_generation* generation = NULL;
  ft_interval interval;
  interval.struct_size = sizeof interval;
  REFUSES(ft_model_open(tiny_path(), NULL, &model));
  REFUSES(ft_model_open_memory(tokens, sizeof tokens, NULL, &model));
  REFUSES(ft_dataset_open(w->tokenizer, records_path(), NULL, &dataset));
  REFUSES(ft_dataset_open(w->tokenizer, NULL, NULL, &dataset));
  REFUSES(ft_trainer_create(w->model, w->dataset, NULL, NULL, NULL, &trainer));
  REFUSES(ft_trainer_step(w->trainer, NULL));
  REFUSES(ft_trainer_run(w->trainer, NULL, NULL));
  REFUSES(ft_trainer_resume(w->trainer, work_path("fork-state")));
  REFUSES(ft_evaluate(w->model, w->adapter, w->dataset, NULL, NULL, NULL, &evaluation));
  REFUSES(ft_evaluation_compare(w->evaluation, w->evaluation, NULL, &interval));
  REFUSES(ft_generate(w->model, w->adapter, prompts, lengths, 1, NULL, NULL, NULL, &generation));
  REFUSES(ft_merge(w->model, w->adapter, work_path("fork.gguf"), "f32", NULL, NULL));
  REFUSES(ft_shutdown());
  return 0;
}

/* However small: one chunk of work needs no thread but the caller's. */
static int primitives_refuse(const world* w) {
  float x[4] = {1, 2, 3, 4}, g[4] = {1, 1, 1, 1}, m[4] = {0}, v[4] = {0}, out[4];
  float* const gradients[] = {g};
  const int64_t counts[] = {4};
  uint8_t codes[4] = {0}, more_codes[4] = {0};
  double norm;
  (void)w;
  REFUSES(ft_nf4_quantize(x, FT_F32, 4, 32, codes, out));
  REFUSES(ft_nf4_double_quantize(x, 4, codes, out, m));
  REFUSES(ft_nf4_dequantize(NULL, out, FT_F32));
  REFUSES(ft_lora_linear(NULL));
  REFUSES(ft_lora_linear_backward(NULL));
  REFUSES(ft_adamw_step(x, g, m, v, 4, NULL, 1, 1));
  REFUSES(ft_adamw_8bit_step(x, g, codes, more_codes, m, v, 4, NULL, 1, 1));
  REFUSES(ft_clip_grad_norm(gradients, counts, 1, 1, &norm));
  REFUSES(ft_cross_entropy(x, tokens, NULL, 1, 4, 1, out, NULL));
  return x[0] == 1 && m[0] == 0 ? 0 : __LINE__;
}

static int one_thread_is_no_exception(const world* w) {
  float x[1] = {1}, g[1] = {1}, m[1] = {0}, v[1] = {0};
  WORKS(ft_set_threads(1));
  REFUSES(ft_trainer_step(w->trainer, NULL));
  REFUSES(ft_adamw_step(x, g, m, v, 1, NULL, 1, 1));
  return 0;
}

static int the_callers_thread_alone_works(const world* w) {
  const char *const roles[] = {"user"}, *const contents[] = {"Hi"};
  ft_tokenizer* tokenizer = NULL;
  ft_adapter* adapter = NULL;
  ft_batches* batches = NULL;
  ft_batch batch;
  ft_progress progress;
  ft_adapter_info info;
  ft_evaluation_info scores;
  ft_answer answer;
  size_t count = 0;
  batch.struct_size = sizeof batch, progress.struct_size = sizeof progress, info.struct_size = sizeof info;
  scores.struct_size = sizeof scores, answer.struct_size = sizeof answer;
  WORKS(ft_tokenizer_open(tiny_path(), NULL, &tokenizer));
  WORKS(ft_tokenizer_encode(tokenizer, "Hello", 5, 0, tokens, 256, &count));
  WORKS(ft_tokenizer_encode_messages(w->tokenizer, roles, contents, 1, 1, tokens, NULL, 256, &count));
  WORKS(ft_dataset_append_text(w->dataset, "One more.", NULL));
  WORKS(ft_batches_create(w->dataset, NULL, &batches));
  WORKS(ft_batches_next(batches, &batch));
  WORKS(ft_trainer_progress(w->trainer, &progress));
  WORKS(ft_trainer_save(w->trainer, work_path("fork-state")));
  WORKS(ft_trainer_adapter(w->trainer, &adapter));
  WORKS(ft_adapter_save_peft(adapter, work_path("fork-adapter")));
  WORKS(ft_adapter_free(adapter));
  WORKS(ft_adapter_open(w->model, work_path("fork-adapter"), &adapter));
  WORKS(ft_adapter_get_info(adapter, &info));
  WORKS(ft_evaluation_get_info(w->evaluation, &scores));
  WORKS(ft_generation_answer(w->generation, 0, &answer));
  return batch.token_count > 0 ? 0 : __LINE__;
}

static void a_forked_child_is_told_so_and_reads(void) {
  world w;
  OK(ft_set_threads(2));
  w = new_world();
  OK(ft_trainer_step(w.trainer, NULL));
  in_a_child(models_and_training_refuse, &w);
  in_a_child(primitives_refuse, &w);
  in_a_child(one_thread_is_no_exception, &w);
  in_a_child(the_callers_thread_alone_works, &w);
  OK(ft_trainer_step(w.trainer, NULL));
  free_world(&w);
}

static int a_step_works(const world* w) {
  ft_progress progress;
  progress.struct_size = sizeof progress;
  WORKS(ft_trainer_step(w->trainer, &progress));
  WORKS(ft_shutdown());
  return progress.step == 2 ? 0 : __LINE__;
}

static void after_ft_shutdown_a_child_computes(void) {
  world w;
  OK(ft_set_threads(2));
  w = new_world();
  OK(ft_trainer_step(w.trainer, NULL));
  OK(ft_shutdown());
  in_a_child(a_step_works, &w);
  OK(ft_trainer_step(w.trainer, NULL));
  free_world(&w);
}

const test_case fork_tests[] = {
    {"fork: in a child every function that computes says so, and the others work", a_forked_child_is_told_so_and_reads},
    {"fork: a child computes where ft_shutdown came before", after_ft_shutdown_a_child_computes},
    {NULL, NULL}};
