/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void digest_of(ft_adapter* adapter, char digest[65]) {
  ft_adapter_info info;
  info.struct_size = sizeof info;
  OK(ft_adapter_get_info(adapter, &info));
  memcpy(digest, info.digest, 65);
  OK(ft_adapter_free(adapter));
}

static void digest_of_trainer(const ft_trainer* trainer, char digest[65]) {
  ft_adapter* adapter = NULL;
  OK(ft_trainer_adapter(trainer, &adapter));
  digest_of(adapter, digest);
}

static ft_progress progress_of(const ft_trainer* trainer) {
  ft_progress progress;
  progress.struct_size = sizeof progress;
  OK(ft_trainer_progress(trainer, &progress));
  return progress;
}

static void steps_and_runs_are_one_training(void) {
  ft_model* model = tiny_model(FT_COMPUTE_AUTO);
  ft_dataset* dataset = tiny_records();
  ft_trainer *by_step = tiny_trainer(model, dataset, 5), *by_run = tiny_trainer(model, dataset, 5);
  ft_progress progress = progress_of(by_step);
  char a[65], b[65];
  int64_t step;
  CHECK(progress.step == 0 && progress.total_steps == 5 && !progress.finished && isnan(progress.valid_loss));
  for (step = 1; step <= 5; ++step) {
    OK(ft_trainer_step(by_step, &progress));
    CHECK(progress.step == step && progress.loss > 0 && progress.tokens > 0 && progress.finished == (step == 5));
    CHECK(progress.supervised_tokens > 0 && progress.supervised_tokens < progress.tokens && progress.grad_norm > 0);
    CHECK(!progress.skipped && !progress.validated && progress.seconds > 0);
  }
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_step(by_step, NULL));
  OK(ft_trainer_run(by_step, NULL, NULL));
  OK(ft_trainer_run(by_run, NULL, NULL));
  digest_of_trainer(by_step, a);
  digest_of_trainer(by_run, b);
  CHECK(strcmp(a, b) == 0);
  OK(ft_trainer_free(by_step));
  OK(ft_trainer_free(by_run));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

typedef struct host {
  ft_trainer* trainer;
  int64_t stop_at;
  int64_t calls;
  const char* folder;
} host;

static int32_t on_step(const ft_progress* progress, void* user) {
  host* h = user;
  ft_adapter* adapter = NULL;
  ++h->calls;
  CHECK(progress->struct_size == sizeof *progress && progress->step == h->calls);
  CHECK(progress_of(h->trainer).step == progress->step);
  OK(ft_trainer_adapter(h->trainer, &adapter));
  OK(ft_adapter_free(adapter));
  if (h->folder) OK(ft_trainer_save(h->trainer, h->folder));
  FAILS(FT_ERROR_BUSY, ft_trainer_step(h->trainer, NULL));
  FAILS(FT_ERROR_BUSY, ft_trainer_run(h->trainer, NULL, NULL));
  FAILS(FT_ERROR_BUSY, ft_trainer_resume(h->trainer, "x"));
  return progress->step == h->stop_at;
}

static void a_callback_may_save_and_cancels_by_its_answer(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  host h = {tiny_trainer(model, dataset, 6), 3, 0, NULL};
  h.folder = work_path("callback");
  FAILS(FT_ERROR_CANCELLED, ft_trainer_run(h.trainer, on_step, &h));
  CHECK(h.calls == 3 && progress_of(h.trainer).step == 3);
  h.stop_at = -1;
  OK(ft_trainer_run(h.trainer, on_step, &h));
  CHECK(h.calls == 6 && progress_of(h.trainer).finished);
  OK(ft_trainer_free(h.trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static int32_t cancel_after_two(const ft_progress* progress, void* trainer) {
  if (progress->step != 2) return 0;
  OK(ft_trainer_cancel(trainer));
  OK(ft_trainer_cancel(trainer));
  return 0;
}

static void cancel_ends_the_run_in_progress_and_loses_nothing(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer *trainer = tiny_trainer(model, dataset, 5), *straight = tiny_trainer(model, dataset, 5);
  char a[65], b[65];
  FAILS(FT_ERROR_CANCELLED, ft_trainer_run(trainer, cancel_after_two, trainer));
  CHECK(progress_of(trainer).step == 2);
  OK(ft_trainer_run(trainer, cancel_after_two, trainer));
  OK(ft_trainer_run(straight, NULL, NULL));
  digest_of_trainer(trainer, a);
  digest_of_trainer(straight, b);
  CHECK(strcmp(a, b) == 0);
  OK(ft_trainer_free(trainer));
  OK(ft_trainer_free(straight));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static int32_t cancel_and_say_no(const ft_progress* progress, void* trainer) {
  (void)progress;
  OK(ft_trainer_cancel(trainer));
  return 1;
}

static void a_cancel_that_finds_no_run_ends_none(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 6);
  OK(ft_trainer_save(trainer, work_path("too-late")));
  OK(ft_trainer_cancel(trainer)); /* before anything has begun */
  OK(ft_trainer_step(trainer, NULL));
  OK(ft_trainer_cancel(trainer)); /* between two steps */
  OK(ft_trainer_step(trainer, NULL));
  CHECK(progress_of(trainer).step == 2);
  FAILS(FT_ERROR_CANCELLED, ft_trainer_run(trainer, cancel_and_say_no, trainer)); /* the answer ends it first */
  OK(ft_trainer_run(trainer, NULL, NULL));
  CHECK(progress_of(trainer).finished);
  OK(ft_trainer_cancel(trainer)); /* after the end */
  OK(ft_trainer_run(trainer, NULL, NULL));
  OK(ft_trainer_resume(trainer, work_path("too-late")));
  CHECK(progress_of(trainer).step == 0);
  OK(ft_trainer_run(trainer, NULL, NULL));
  CHECK(progress_of(trainer).finished);
  OK(ft_trainer_free(trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static ft_trainer* with_validation(const ft_model* model, const ft_dataset* dataset, int64_t patience) {
  ft_train_options options;
  ft_trainer* trainer = NULL;
  OK(ft_train_options_init(&options, sizeof options));
  options.steps = 8, options.batch_examples = 2, options.lr = 0.09; /* diverges, so that the best is not the last */
  options.schedule = FT_SCHEDULE_CONSTANT, options.clip = 0;
  options.valid_every = 1, options.patience = patience;
  OK(ft_trainer_create(model, dataset, dataset, NULL, &options, &trainer));
  return trainer;
}

static void held_out_records_choose_the_adapter_and_end_the_run(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer *all = with_validation(model, dataset, 0), *patient = with_validation(model, dataset, 2);
  ft_adapter* adapter = NULL;
  ft_evaluation* evaluation = NULL;
  ft_evaluation_info info;
  ft_progress progress;
  info.struct_size = sizeof info, progress.struct_size = sizeof progress;
  OK(ft_trainer_step(all, &progress));
  CHECK(progress.validated && progress.valid_loss > 0 && progress.best_step == 1);
  OK(ft_trainer_run(all, NULL, NULL));
  progress = progress_of(all);
  CHECK(progress.finished && progress.step == 8 && progress.best_valid_loss < progress.valid_loss);
  OK(ft_trainer_adapter(all, &adapter));
  OK(ft_evaluate(model, adapter, dataset, NULL, NULL, NULL, &evaluation));
  OK(ft_evaluation_get_info(evaluation, &info));
  CHECK(info.loss == progress.best_valid_loss);
  OK(ft_evaluation_free(evaluation));
  OK(ft_adapter_free(adapter));
  OK(ft_trainer_run(patient, NULL, NULL));
  progress = progress_of(patient);
  CHECK(progress.finished && progress.step == progress.best_step + 2 && progress.step < 8);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_step(patient, NULL));
  OK(ft_trainer_free(all));
  OK(ft_trainer_free(patient));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void a_saved_state_goes_on_with_the_same_bits(void) {
  ft_model* model = tiny_model(FT_COMPUTE_AUTO);
  ft_dataset* dataset = tiny_records();
  ft_trainer* straight = with_validation(model, dataset, 0);
  char want[65], got[65], folder[64];
  int64_t stop;
  OK(ft_trainer_run(straight, NULL, NULL));
  digest_of_trainer(straight, want);
  for (stop = 0; stop < 8; ++stop) {
    ft_trainer *first = with_validation(model, dataset, 0), *second = with_validation(model, dataset, 0);
    int64_t step;
    snprintf(folder, sizeof folder, "state-%d", (int)stop);
    OK(ft_set_threads(1 + (int32_t)(stop % 3)));
    for (step = 0; step < stop; ++step) OK(ft_trainer_step(first, NULL));
    OK(ft_trainer_save(first, work_path(folder)));
    OK(ft_trainer_free(first));
    OK(ft_trainer_resume(second, work_path(folder)));
    CHECK(progress_of(second).step == stop);
    OK(ft_trainer_run(second, NULL, NULL));
    digest_of_trainer(second, got);
    CHECK(strcmp(want, got) == 0);
    OK(ft_trainer_free(second));
  }
  OK(ft_trainer_free(straight));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void a_state_of_another_run_is_refused_with_the_difference(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset *dataset = tiny_records(), *more = tiny_records();
  ft_trainer *saved = tiny_trainer(model, dataset, 4), *longer = tiny_trainer(model, dataset, 5), *other = NULL;
  char before[65], after[65];
  OK(ft_dataset_append_text(more, "One more.", NULL));
  other = tiny_trainer(model, more, 4);
  OK(ft_trainer_step(saved, NULL));
  OK(ft_trainer_save(saved, work_path("other-run")));
  OK(ft_trainer_step(longer, NULL));
  digest_of_trainer(longer, before);
  FAILS(FT_ERROR_MISMATCH, ft_trainer_resume(longer, work_path("other-run")));
  SAYS("steps: 4 then, 5 now");
  digest_of_trainer(longer, after);
  CHECK(strcmp(before, after) == 0 && progress_of(longer).step == 1);
  FAILS(FT_ERROR_MISMATCH, ft_trainer_resume(other, work_path("other-run")));
  SAYS("train: ");
  FAILS(FT_ERROR_NOT_FOUND, ft_trainer_resume(saved, work_path("no-run")));
  OK(ft_trainer_free(saved));
  OK(ft_trainer_free(longer));
  OK(ft_trainer_free(other));
  OK(ft_dataset_free(dataset));
  OK(ft_dataset_free(more));
  OK(ft_model_free(model));
}

static void the_options_of_lora_reach_the_adapter(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_lora_options lora;
  ft_trainer* trainer = NULL;
  ft_adapter* adapter = NULL;
  ft_adapter_info info;
  ft_tensor tensor;
  ft_memory_plan plan;
  const char *const targets[] = {"q_proj", "v_proj"}, *const pattern[] = {"v_proj"}, *name = NULL;
  const int64_t ranks[] = {2};
  const double alphas[] = {3};
  float scale = 0;
  size_t i;
  OK(ft_lora_options_init(&lora, sizeof lora));
  CHECK(lora.r == 16 && lora.lora_alpha == 32);
  lora.r = 4, lora.lora_alpha = 8, lora.lora_dropout = 0.1;
  lora.target_modules = targets, lora.target_module_count = 2;
  lora.rank_pattern = pattern, lora.rank_pattern_r = ranks, lora.rank_pattern_count = 1;
  lora.alpha_pattern = pattern, lora.alpha_pattern_alpha = alphas, lora.alpha_pattern_count = 1;
  OK(ft_trainer_create(model, dataset, NULL, &lora, NULL, &trainer));
  OK(ft_trainer_adapter(trainer, &adapter));
  info.struct_size = sizeof info, tensor.struct_size = sizeof tensor, plan.struct_size = sizeof plan;
  OK(ft_adapter_get_info(adapter, &info));
  CHECK(info.r == 4 && info.lora_alpha == 8 && info.lora_dropout == 0.1 && info.tensor_count % 4 == 0);
  CHECK(strlen(info.base_digest) == 64 && info.use_rslora == 0);
  for (i = 0; i < info.tensor_count; ++i) {
    OK(ft_adapter_tensor(adapter, i, &name, &scale, &tensor));
    const int is_v = strstr(name, "v_proj") != NULL;
    CHECK(is_v || strstr(name, "q_proj") != NULL);
    CHECK(scale == (is_v ? 1.5f : 2.0f) && tensor.dtype == FT_F32 && tensor.rank == 2);
    CHECK(tensor.shape[i % 2] == (is_v ? 2 : 4) && tensor.stride[1] == 1 && tensor.stride[0] == tensor.shape[1]);
    CHECK((((const float*)tensor.data)[0] == 0) == (i % 2 == 1)); /* B begins as zeros */
  }
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_adapter_tensor(adapter, info.tensor_count, &name, &scale, &tensor));
  OK(ft_trainer_get_plan(trainer, &plan));
  CHECK(plan.peak_bytes > plan.trainer_bytes && plan.trainer_bytes > 0 && plan.budget_bytes >= plan.peak_bytes);
  CHECK(plan.layers_kept_whole > 0 && plan.layers_without_mlp == 0 && plan.layers_input_only == 0);
  OK(ft_adapter_free(adapter));
  OK(ft_trainer_free(trainer));
  lora.target_module_count = 1, lora.rank_pattern_count = 0;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_create(model, dataset, NULL, &lora, NULL, &trainer));
  SAYS("v_proj");
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void a_run_begins_from_an_adapter(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_adapter* first = tiny_adapter(model);
  ft_train_options options;
  ft_lora_options lora;
  ft_trainer* trainer = NULL;
  char before[65], after[65];
  OK(ft_train_options_init(&options, sizeof options));
  OK(ft_lora_options_init(&lora, sizeof lora));
  options.steps = 2, options.init_adapter = first, options.warmup = 0;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_create(model, dataset, NULL, &lora, &options, &trainer));
  OK(ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  digest_of_trainer(trainer, before);
  OK(ft_trainer_step(trainer, NULL));
  digest_of_trainer(trainer, after);
  CHECK(strcmp(before, after) != 0);
  digest_of(first, after);
  CHECK(strcmp(before, after) == 0);
  OK(ft_trainer_free(trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void options_that_cannot_work_are_named(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_train_options options;
  ft_trainer* trainer = NULL;
  OK(ft_train_options_init(&options, sizeof options));
  CHECK(options.lr == 2e-4 && options.batch_tokens == 2048 && options.clip == 1 && options.warmup == 0.05);
  options.lr = -1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  SAYS("lr");
  options.lr = 1e-3, options.memory_bytes = 1 << 20;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  SAYS("needs at least");
  options.memory_bytes = 0, options.optimizer = (ft_optimizer)5;
  FAILS(FT_ERROR_UNSUPPORTED, ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  options.optimizer = FT_ADAMW_8BIT, options.schedule = (ft_schedule)-1;
  FAILS(FT_ERROR_UNSUPPORTED, ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  options.schedule = FT_SCHEDULE_LINEAR, options.lr = NAN;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void an_adapter_is_written_and_read_in_both_formats(void) {
  ft_model *model = tiny_model(FT_COMPUTE_F32), *other = NULL;
  ft_adapter *adapter = tiny_adapter(model), *peft = NULL, *gguf = NULL;
  ft_adapter_info a, b, c;
  ft_model_options options;
  OK(ft_adapter_save_peft(adapter, work_path("peft")));
  OK(ft_adapter_save_gguf(adapter, work_path("adapter.gguf")));
  OK(ft_adapter_open(model, work_path("peft"), &peft));
  OK(ft_adapter_open(model, work_path("adapter.gguf"), &gguf));
  a.struct_size = b.struct_size = c.struct_size = sizeof a;
  OK(ft_adapter_get_info(adapter, &a));
  OK(ft_adapter_get_info(peft, &b));
  OK(ft_adapter_get_info(gguf, &c));
  CHECK(strcmp(a.digest, b.digest) == 0 && strcmp(a.digest, c.digest) == 0 && a.parameter_count == b.parameter_count);
  OK(ft_adapter_free(peft));
  OK(ft_adapter_free(gguf));
  FAILS(FT_ERROR_IO, ft_adapter_save_gguf(adapter, work_path("peft"))); /* a folder is there */
  FAILS(FT_ERROR_NOT_FOUND, ft_adapter_open(model, work_path("nothing"), &peft));
  OK(ft_merge(model, adapter, work_path("merged.gguf"), "f32", NULL, NULL));
  OK(ft_model_options_init(&options, sizeof options));
  OK(ft_model_open(work_path("merged.gguf"), &options, &other));
  OK(ft_model_free(other));
  FAILS(FT_ERROR_UNSUPPORTED, ft_merge(model, adapter, work_path("merged2.gguf"), "q9_9", NULL, NULL));
  OK(ft_adapter_free(adapter));
  OK(ft_model_free(model));
}

static int32_t refuse(int64_t done, int64_t total, void* user) {
  CHECK(done >= 0 && total > 0);
  ++*(int*)user;
  return 1;
}

static void a_merge_that_is_cancelled_leaves_nothing(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_adapter* adapter = tiny_adapter(model);
  FILE* file;
  int calls = 0;
  FAILS(FT_ERROR_CANCELLED, ft_merge(model, adapter, work_path("cancelled.gguf"), "f32", refuse, &calls));
  CHECK(calls == 1);
  file = fopen(work_path("cancelled.gguf"), "rb");
  CHECK(file == NULL);
  OK(ft_adapter_free(adapter));
  OK(ft_model_free(model));
}

static void* train_alone(void* digest) {
  ft_model* model = tiny_model(FT_COMPUTE_AUTO);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 20);
  OK(ft_trainer_run(trainer, NULL, NULL));
  digest_of_trainer(trainer, digest);
  OK(ft_trainer_free(trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
  return NULL;
}

static void two_trainers_in_two_threads_give_the_results_of_one(void) {
  char alone[65], both[2][65];
  pthread_t threads[2];
  train_alone(alone);
  CHECK(pthread_create(&threads[0], NULL, train_alone, both[0]) == 0);
  CHECK(pthread_create(&threads[1], NULL, train_alone, both[1]) == 0);
  pthread_join(threads[0], NULL);
  pthread_join(threads[1], NULL);
  CHECK(strcmp(alone, both[0]) == 0 && strcmp(alone, both[1]) == 0);
}

static void* cancel_until_told(void* trainer) {
  ft_progress progress;
  do {
    progress = progress_of(trainer);
  } while (progress.step < 3);
  OK(ft_trainer_cancel(trainer));
  return NULL;
}

static void another_thread_watches_and_cancels(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 1000000);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_until_told, trainer) == 0);
  FAILS(FT_ERROR_CANCELLED, ft_trainer_run(trainer, NULL, NULL));
  pthread_join(thread, NULL);
  CHECK(progress_of(trainer).step >= 3);
  OK(ft_trainer_free(trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void* free_it(void* trainer) {
  ft_progress progress;
  do {
    progress = progress_of(trainer);
  } while (progress.step < 3);
  OK(ft_trainer_free(trainer));
  return NULL;
}

static void a_trainer_freed_while_it_runs_ends(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 1000000);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_it, trainer) == 0);
  FAILS(FT_ERROR_CANCELLED, ft_trainer_run(trainer, NULL, NULL));
  pthread_join(thread, NULL);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_trainer_step(trainer, NULL));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

const test_case training_tests[] = {
    {"trainer: steps and runs are one training", steps_and_runs_are_one_training},
    {"trainer: a callback may save, and cancels by its answer", a_callback_may_save_and_cancels_by_its_answer},
    {"trainer: cancel ends the run in progress and loses nothing", cancel_ends_the_run_in_progress_and_loses_nothing},
    {"trainer: a cancel that finds no run ends none", a_cancel_that_finds_no_run_ends_none},
    {"trainer: held-out records choose the adapter and end the run", held_out_records_choose_the_adapter_and_end_the_run},
    {"trainer: a saved state goes on with the same bits", a_saved_state_goes_on_with_the_same_bits},
    {"trainer: a state of another run is refused with the difference",
     a_state_of_another_run_is_refused_with_the_difference},
    {"trainer: the options of LoRA reach the adapter", the_options_of_lora_reach_the_adapter},
    {"trainer: a run begins from an adapter", a_run_begins_from_an_adapter},
    {"trainer: options that cannot work are named", options_that_cannot_work_are_named},
    {"adapter: it is written and read in both formats, and merged", an_adapter_is_written_and_read_in_both_formats},
    {"adapter: a merge that is cancelled leaves nothing", a_merge_that_is_cancelled_leaves_nothing},
    {"trainer: two in two threads give the results of one", two_trainers_in_two_threads_give_the_results_of_one},
    {"trainer: another thread watches and cancels", another_thread_watches_and_cancels},
    {"trainer: one that is freed while it runs ends", a_trainer_freed_while_it_runs_ends},
    {NULL, NULL}};
