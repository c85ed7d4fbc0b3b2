/* SPDX-License-Identifier: Apache-2.0 */
/* embedding_c MODEL TRAIN.jsonl DIR: what a host needs beside training: an error as a value, a worker thread,
 * progress, cancellation, a saved state. docs/embedding.md shows it beside C++, Python, Rust and Go, which print the
 * same lines. */
#include <ftlib_c.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct work {
  ft_trainer* trainer;
  ft_status status;
  char error[1024];
  int ended;
} work;

static void* run(void* argument) {
  work* w = argument;
  w->status = ft_trainer_run(w->trainer, NULL, NULL);
  snprintf(w->error, sizeof w->error, "%s", ft_last_error()); /* the text is this thread's: fetched here */
  __atomic_store_n(&w->ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

/* A failure ends the program; the system takes the memory. */
static void need(ft_status status) {
  if (status == FT_OK) return;
  fprintf(stderr, "%s\n", ft_last_error());
  exit(1);
}

static void show_error(void) {
  ft_model* model = NULL;
  const ft_status status = ft_model_open("no-such-model.gguf", NULL, &model);
  if (status != FT_OK)
    printf("%s, reason %s: %s\n", status == FT_ERROR_NOT_FOUND ? "not found" : "failed",
           ft_reason_name(ft_last_error_reason()), ft_last_error());
}

static void embed(const char* path, const char* records, const char* folder) {
  ft_model* model = NULL;
  ft_tokenizer* tokenizer = NULL;
  ft_dataset* data = NULL;
  ft_adapter* adapter = NULL;
  ft_train_options options;
  ft_progress now = {sizeof now};
  ft_adapter_info info = {sizeof info};
  work w = {NULL, FT_OK, "", 0};
  pthread_t worker;
  const struct timespec pause = {0, 10000000};
  char state[4096];
  snprintf(state, sizeof state, "%s/state", folder);
  need(ft_model_open(path, NULL, &model));
  need(ft_model_tokenizer(model, &tokenizer));
  need(ft_dataset_open(tokenizer, records, NULL, &data));
  need(ft_train_options_init(&options, sizeof options));
  options.steps = 8;
  need(ft_trainer_create(model, data, NULL, NULL, &options, &w.trainer));
  need(ft_dataset_free(data)); /* in any order: the trainer keeps what it needs */
  need(ft_tokenizer_free(tokenizer));
  need(ft_model_free(model));

  if (pthread_create(&worker, NULL, run, &w) != 0) exit(1);
  while (now.step == 0 && !__atomic_load_n(&w.ended, __ATOMIC_ACQUIRE)) {
    nanosleep(&pause, NULL);
    need(ft_trainer_progress(w.trainer, &now));
    fprintf(stderr, "\rstep %d of %d ", (int)now.step, (int)now.total_steps);
  }

  need(ft_trainer_cancel(w.trainer));
  pthread_join(worker, NULL);
  if (w.status == FT_ERROR_CANCELLED) {
    need(ft_trainer_save(w.trainer, state));
    puts("cancelled: the state is saved, and the run goes on");
  } else if (w.status != FT_OK) {
    fprintf(stderr, "%s\n", w.error);
    exit(1);
  }

  need(ft_trainer_run(w.trainer, NULL, NULL));
  need(ft_trainer_progress(w.trainer, &now));
  need(ft_trainer_adapter(w.trainer, &adapter));
  need(ft_adapter_get_info(adapter, &info));
  printf("step %d of %d, loss %.3f, adapter %.12s\n", (int)now.step, (int)now.total_steps, now.loss, info.digest);
  ft_trainer_free(w.trainer);
  ft_adapter_free(adapter); /* info.digest goes with it */
}

int main(int argc, char** argv) {
  if (argc != 4) return fputs("usage: embedding_c MODEL TRAIN.jsonl DIR\n", stderr), 2;
  show_error();
  embed(argv[1], argv[2], argv[3]);
  return 0;
}
