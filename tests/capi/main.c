/* SPDX-License-Identifier: Apache-2.0 */
/* capi_tests TINY.gguf RECORDS.jsonl WORK [NAME]: runs one test or all, and counts them; --list names them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const test_case* const all_tests[] = {process_tests, floating_point_tests, fork_tests,     tokenizer_tests,
                                             model_tests,   dataset_tests,        training_tests, evaluation_tests,
                                             primitive_tests, pointer_tests,      refusal_tests};
static const char *tiny, *records, *work;
static int failures;

void note_failure(const char* file, int line, const char* text) {
  ++failures;
  fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
}

int note_status(ft_status got, ft_status want, const char* file, int line, const char* text) {
  if (got == want) return 1;
  ++failures;
  fprintf(stderr, "%s:%d: %s\n  gave %s, want %s: %s\n", file, line, text, ft_status_name(got), ft_status_name(want),
          ft_last_error());
  return 0;
}

const char* tiny_path(void) { return tiny; }
const char* records_path(void) { return records; }

const char* work_path(const char* name) {
  static char paths[8][1024];
  static int next;
  char* path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", work, name);
  return path;
}

ft_tokenizer* tiny_tokenizer(void) {
  ft_tokenizer* tokenizer = NULL;
  OK(ft_tokenizer_open(tiny, NULL, &tokenizer));
  return tokenizer;
}

ft_model* tiny_model(ft_compute compute) {
  ft_model_options options;
  ft_model* model = NULL;
  OK(ft_model_options_init(&options, sizeof options));
  options.compute = compute;
  OK(ft_model_open(tiny, &options, &model));
  return model;
}

ft_dataset* tiny_records(void) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_dataset* dataset = NULL;
  OK(ft_dataset_open(tokenizer, records, NULL, &dataset));
  OK(ft_tokenizer_free(tokenizer));
  return dataset;
}

ft_trainer* tiny_trainer(const ft_model* model, const ft_dataset* dataset, int64_t steps) {
  ft_train_options options;
  ft_trainer* trainer = NULL;
  OK(ft_train_options_init(&options, sizeof options));
  options.steps = steps;
  options.batch_examples = 2;
  options.lr = 0.01;
  OK(ft_trainer_create(model, dataset, NULL, NULL, &options, &trainer));
  return trainer;
}

ft_adapter* tiny_adapter(const ft_model* model) {
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 3);
  ft_adapter* adapter = NULL;
  OK(ft_trainer_run(trainer, NULL, NULL));
  OK(ft_trainer_adapter(trainer, &adapter));
  OK(ft_trainer_free(trainer));
  OK(ft_dataset_free(dataset));
  return adapter;
}

double tiny_loss(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 2);
  ft_progress progress;
  progress.struct_size = sizeof progress;
  OK(ft_trainer_step(trainer, &progress));
  OK(ft_trainer_free(trainer));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
  return progress.loss;
}

int main(int argc, char** argv) {
  size_t file;
  int passed = 0, failed = 0;
  const test_case* test;
  const int list = argc == 2 && strcmp(argv[1], "--list") == 0;
  if (!list && argc != 4 && argc != 5) return fputs("usage: capi_tests TINY.gguf RECORDS.jsonl WORK [NAME]\n", stderr), 2;
  if (!list) tiny = argv[1], records = argv[2], work = argv[3];
  for (file = 0; file < sizeof all_tests / sizeof all_tests[0]; ++file)
    for (test = all_tests[file]; test->name; ++test) {
      if (list) puts(test->name);
      if (list || (argc == 5 && strcmp(argv[4], test->name) != 0)) continue;
      failures = 0;
      test->run();
      if (failures) fprintf(stderr, "FAILED: %s\n", test->name);
      failures ? ++failed : ++passed;
    }
  if (list) return 0;
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
