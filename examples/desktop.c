/* SPDX-License-Identifier: Apache-2.0 */
/* desktop_c MODEL TRAIN.jsonl STEPS QUESTION: the shape of a desktop application. A worker thread tunes, the main
 * thread (where a window would be) shows progress ten times a second; Ctrl-C ends the tuning after its micro-batch.
 * Then the model answers with what it has learned until then, and the program ends with 0. */
#include <ftlib_c.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t stop;

static void on_interrupt(int signal_number) {
  (void)signal_number;
  stop = 1;
}

typedef struct work {
  ft_trainer* trainer;
  ft_status status;
  char error[1024]; /* the last error is the worker thread's: it is fetched there */
  int ended;
} work;

static void* tune(void* argument) {
  work* w = argument;
  w->status = ft_trainer_run(w->trainer, NULL, NULL);
  snprintf(w->error, sizeof w->error, "%s", ft_last_error());
  __atomic_store_n(&w->ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

static int32_t print_token(size_t prompt, int32_t token, const char* text, size_t text_bytes, void* user) {
  (void)prompt, (void)token, (void)user;
  return fwrite(text, 1, text_bytes, stdout) != text_bytes;
}

/* A failure ends the program; the system takes the memory. */
static void need(ft_status status) {
  if (status == FT_OK) return;
  fprintf(stderr, "%s\n", ft_last_error());
  exit(1);
}

static void show(const ft_trainer* trainer) {
  ft_progress progress;
  progress.struct_size = sizeof progress;
  need(ft_trainer_progress(trainer, &progress));
  fprintf(stderr, "\rstep %d of %d, loss %.3f ", (int)progress.step, (int)progress.total_steps, progress.loss);
}

static void answer(const ft_model* model, const ft_tokenizer* tokenizer, const ft_adapter* adapter, const char* question) {
  const char *const roles[] = {"user"}, *const contents[] = {question};
  ft_generate_options options;
  ft_generation* generation = NULL;
  int32_t* prompt;
  const int32_t* prompts[1];
  size_t count = 0;
  need(ft_tokenizer_encode_messages(tokenizer, roles, contents, 1, FT_CHAT_GENERATION_PROMPT, NULL, NULL, 0, &count));
  prompt = malloc(count * sizeof *prompt);
  if (prompt == NULL) exit(1);
  need(ft_tokenizer_encode_messages(tokenizer, roles, contents, 1, FT_CHAT_GENERATION_PROMPT, prompt, NULL, count, &count));
  prompts[0] = prompt;
  need(ft_generate_options_init(&options, sizeof options));
  options.max_tokens = 40;
  need(ft_generate(model, adapter, prompts, &count, 1, &options, print_token, NULL, &generation));
  puts("");
  free(prompt);
  ft_generation_free(generation);
}

int main(int argc, char** argv) {
  ft_model* model = NULL;
  ft_tokenizer* tokenizer = NULL;
  ft_dataset* data = NULL;
  ft_adapter* adapter = NULL;
  ft_train_options options;
  work w = {NULL, FT_OK, "", 0};
  pthread_t worker;
  const struct timespec tenth = {0, 100000000};
  if (argc != 5) return fputs("usage: desktop_c MODEL TRAIN.jsonl STEPS QUESTION\n", stderr), 2;
  need(ft_model_open(argv[1], NULL, &model));
  need(ft_model_tokenizer(model, &tokenizer));
  need(ft_dataset_open(tokenizer, argv[2], NULL, &data));
  need(ft_train_options_init(&options, sizeof options));
  options.steps = atoi(argv[3]), options.lr = 1e-3;
  need(ft_trainer_create(model, data, NULL, NULL, &options, &w.trainer));
  signal(SIGINT, on_interrupt);

  if (pthread_create(&worker, NULL, tune, &w) != 0) return fputs("no thread\n", stderr), 1;
  while (!__atomic_load_n(&w.ended, __ATOMIC_ACQUIRE)) {
    show(w.trainer);
    if (stop) need(ft_trainer_cancel(w.trainer));
    nanosleep(&tenth, NULL);
  }
  pthread_join(worker, NULL);
  show(w.trainer);
  if (w.status != FT_OK && w.status != FT_ERROR_CANCELLED) return fprintf(stderr, "%s\n", w.error), 1;
  fputs(w.status == FT_OK ? "- done\n" : "- stopped\n", stderr);

  need(ft_trainer_adapter(w.trainer, &adapter));
  answer(model, tokenizer, adapter, argv[4]);
  ft_adapter_free(adapter);
  ft_trainer_free(w.trainer);
  ft_dataset_free(data);
  ft_tokenizer_free(tokenizer);
  ft_model_free(model);
  return 0;
}
