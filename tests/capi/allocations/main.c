/* SPDX-License-Identifier: Apache-2.0 */
/* capi_allocations TINY.gguf RECORDS.jsonl WORK [COUNT]: a small tune in which the k-th allocation fails, for the first COUNT
 * k (2000), once alone and once with all after it. Each call returns FT_OK or FT_ERROR_OUT_OF_MEMORY, the process goes on, and
 * nothing stays allocated. The allocator of the process is replaced, for the library and for what it links to. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ftlib_c.h"

static void* (*real_malloc)(size_t);
static void* (*real_calloc)(size_t, size_t);
static void* (*real_realloc)(void*, size_t);
static void* (*real_memalign)(size_t, size_t);
static void (*real_free)(void*);

static long until_failure = -1; /* allocations before the one that fails; negative: none does */
static int sticky, has_failed;
static long live;

static void find_real(void) {
  *(void**)&real_malloc = dlsym(RTLD_NEXT, "malloc");
  *(void**)&real_realloc = dlsym(RTLD_NEXT, "realloc");
  *(void**)&real_memalign = dlsym(RTLD_NEXT, "memalign");
  *(void**)&real_free = dlsym(RTLD_NEXT, "free");
  *(void**)&real_calloc = dlsym(RTLD_NEXT, "calloc");
}

/* dlsym itself asks for memory before calloc is known. */
static char early[1 << 16];
static size_t early_used;
static void* early_memory(size_t bytes) {
  void* memory = early + early_used;
  early_used += (bytes + 15) & ~(size_t)15;
  return early_used <= sizeof early ? memory : NULL;
}
static int is_early(const void* memory) { return (const char*)memory >= early && (const char*)memory < early + sizeof early; }

static int refused(void) {
  long left;
  if (__atomic_load_n(&until_failure, __ATOMIC_RELAXED) < 0) return 0;
  left = __atomic_fetch_sub(&until_failure, 1, __ATOMIC_RELAXED);
  if (left > 0) return 0;
  if (sticky) __atomic_store_n(&until_failure, 0, __ATOMIC_RELAXED);
  if (left < 0) return 0;
  __atomic_store_n(&has_failed, 1, __ATOMIC_RELAXED);
  errno = ENOMEM;
  return 1;
}

static void* counted(void* memory) {
  if (memory) __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
  return memory;
}

void* malloc(size_t bytes) {
  if (!real_malloc) find_real();
  return refused() ? NULL : counted(real_malloc(bytes));
}
void* calloc(size_t count, size_t bytes) {
  if (!real_calloc) return early_memory(count * bytes);
  return refused() ? NULL : counted(real_calloc(count, bytes));
}
void* realloc(void* memory, size_t bytes) {
  if (memory == NULL) return malloc(bytes);
  if (is_early(memory)) abort();
  return refused() ? NULL : real_realloc(memory, bytes);
}
void* memalign(size_t alignment, size_t bytes) { return refused() ? NULL : counted(real_memalign(alignment, bytes)); }
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  void* memory = memalign(alignment, bytes);
  if (memory == NULL) return ENOMEM;
  *out = memory;
  return 0;
}
void free(void* memory) {
  if (memory == NULL || is_early(memory)) return;
  __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
  real_free(memory);
}

static const char *tiny, *records, *folder;

static int allowed(ft_status status, const char* what) {
  if (status == FT_OK) return 1;
  if (status == FT_ERROR_OUT_OF_MEMORY) return 0;
  fprintf(stderr, "%s gave %s: %s\n", what, ft_status_name(status), ft_last_error());
  exit(1);
}

/* Returns how many calls succeeded. */
static int tune(void) {
  ft_tokenizer* tokenizer = NULL;
  ft_model* model = NULL;
  ft_dataset* dataset = NULL;
  ft_trainer* trainer = NULL;
  ft_adapter* adapter = NULL;
  ft_evaluation* evaluation = NULL;
  ft_train_options options;
  int done = 0;
  ft_train_options_init(&options, sizeof options);
  options.steps = 2, options.batch_examples = 2, options.memory_bytes = (int64_t)1 << 34;
  done += allowed(ft_model_open(tiny, NULL, &model), "ft_model_open");
  if (model) done += allowed(ft_model_tokenizer(model, &tokenizer), "ft_model_tokenizer");
  if (tokenizer) done += allowed(ft_dataset_open(tokenizer, records, NULL, &dataset), "ft_dataset_open");
  if (dataset) done += allowed(ft_dataset_append_text(dataset, "One more.", NULL), "ft_dataset_append_text");
  if (dataset) done += allowed(ft_trainer_create(model, dataset, dataset, NULL, &options, &trainer), "ft_trainer_create");
  if (trainer) done += allowed(ft_trainer_step(trainer, NULL), "ft_trainer_step");
  if (trainer) done += allowed(ft_trainer_run(trainer, NULL, NULL), "ft_trainer_run");
  if (trainer) done += allowed(ft_trainer_adapter(trainer, &adapter), "ft_trainer_adapter");
  if (adapter) done += allowed(ft_adapter_save_peft(adapter, folder), "ft_adapter_save_peft");
  if (adapter) done += allowed(ft_evaluate(model, adapter, dataset, NULL, NULL, NULL, &evaluation), "ft_evaluate");
  until_failure = -1;
  ft_evaluation_free(evaluation);
  ft_adapter_free(adapter);
  ft_trainer_free(trainer);
  ft_dataset_free(dataset);
  ft_tokenizer_free(tokenizer);
  ft_model_free(model);
  return done;
}

int main(int argc, char** argv) {
  long count = 2000, k, failures = 0, level, worst = 0;
  int all, i;
  if (argc < 4) return fputs("usage: capi_allocations TINY.gguf RECORDS.jsonl WORK [COUNT]\n", stderr), 2;
  tiny = argv[1], records = argv[2], folder = argv[3];
  if (argc > 4) count = atol(argv[4]);
  setvbuf(stdout, NULL, _IONBF, 0);
  for (i = 0; i < 3; ++i) all = tune(); /* what the library keeps for good is there now */
  level = live;
  for (sticky = 0; sticky < 2; ++sticky)
    for (k = 0; k < count; ++k) {
      int done;
      has_failed = 0;
      until_failure = k;
      done = tune();
      failures += has_failed;
      if (has_failed && sticky && done == all) {
        fprintf(stderr, "allocation %ld and all after it failed, and every call succeeded\n", k);
        return 1;
      }
      if (live > level + worst) worst = live - level;
    }
  if (tune() != all) return fputs("the last tune, in which nothing fails, did not succeed\n", stderr), 1;
  printf("%ld tunes with a failure, the last one whole; allocations that stay: %ld\n", failures, live - level);
  return live - level > 0 || failures < count;
}
