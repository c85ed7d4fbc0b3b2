/* SPDX-License-Identifier: Apache-2.0 */
/* capi_allocations TINY.gguf RECORDS.jsonl WORK [COUNT]: a small tune in which the k-th allocation fails, for the first
 * COUNT k (2000), once alone and once with all after it, by one thread and by two. Each call returns FT_OK or
 * FT_ERROR_OUT_OF_MEMORY, by one thread one of them the latter, the process goes on, and nothing stays allocated. The
 * allocator of the process is replaced, for the library and for what it links to. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
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
static void* callers[64]; /* of the allocation that failed */
static int caller_count;

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
  caller_count = backtrace(callers, sizeof callers / sizeof callers[0]);
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

/* Who rightly goes on without the memory, and how often in these tunes at most; the innermost one known counts. */
static struct {
  const char* caller;
  long most;
} may_go_on[] = {
    {"pcre2_jit_compile_8", 20}, /* a pattern without machine code is interpreted, with the same matches */
    {"_ZnwmRKSt9nothrow_t", 20}, /* std::stable_sort without its buffer sorts in place */
    {"EVP_MD_fetch", 20},        /* libcrypto has the digest by then, and does without the name that it looked for */
    {"ft_dataset_open", 4},      /* the tokenizer frees its scratch in place of keeping it for the next call */
    {"ft_trainer_create", 2},    /* /proc is not read: the plan counts without what the process has already */
};

static int goes_on_rightly(void) {
  size_t i;
  int frame;
  for (frame = 0; frame < caller_count; ++frame) {
    Dl_info info;
    if (!dladdr(callers[frame], &info) || info.dli_sname == NULL) continue;
    for (i = 0; i < sizeof may_go_on / sizeof may_go_on[0]; ++i)
      if (strcmp(info.dli_sname, may_go_on[i].caller) == 0) return may_go_on[i].most-- > 0;
  }
  return 0;
}

static const char *tiny, *records, *folder;

static int allowed(ft_status status, const char* what) {
  if (status == FT_OK) return 1;
  if (status == FT_ERROR_OUT_OF_MEMORY) return 0;
  fprintf(stderr, "%s gave %s: %s\n", what, ft_status_name(status), ft_last_error());
  exit(1);
}

/* The text of the latest errors of this thread, which libcrypto keeps. */
static void free_errors_of_libcrypto(void) {
  void (*stop)(void);
  *(void**)&stop = dlsym(RTLD_DEFAULT, "OPENSSL_thread_stop");
  if (stop) stop();
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
  free_errors_of_libcrypto();
  return done;
}

/* Ends the program where nobody noticed that the k-th allocation failed, or where it did not come to it. */
static void tune_without(long k, int all, int names_are_known) {
  int done;
  has_failed = 0;
  until_failure = k;
  done = tune();
  if (!has_failed) {
    fprintf(stderr, "a tune makes no %ld allocations\n", k + 1);
    exit(1);
  }
  if (done < all || (!sticky && (!names_are_known || goes_on_rightly()))) return;
  fprintf(stderr, "allocation %ld%s failed, and every call succeeded\n", k, sticky ? " and all after it" : "");
  backtrace_symbols_fd(callers, caller_count, 2);
  exit(1);
}

/* A thread of the pool keeps its scratch from the first work that it happens to get. A leak is one in many tunes. */
enum { kKeptByAThread = 16 };

/* What stays allocated of tunes with `threads` threads. The stack of a pool's thread has no function of this header. */
static long tunes(long count, int32_t threads) {
  int all = 0, i;
  long k, level;
  if (ft_set_threads(threads) != FT_OK) exit(1);
  for (i = 0; i < 3; ++i) all = tune(); /* what the library keeps for good is there now */
  level = live;
  for (sticky = 0; sticky < 2; ++sticky)
    for (k = 0; k < count; ++k) tune_without(k, all, threads == 1);
  if (tune() != all) {
    fputs("the last tune, in which nothing fails, did not succeed\n", stderr);
    exit(1);
  }
  printf("%d threads: %ld tunes in which one allocation failed, %ld in which all from one on did; what stays: %ld\n",
         (int)threads, count, count, live - level);
  return live - level;
}

int main(int argc, char** argv) {
  long count = 2000;
  if (argc < 4) return fputs("usage: capi_allocations TINY.gguf RECORDS.jsonl WORK [COUNT]\n", stderr), 2;
  tiny = argv[1], records = argv[2], folder = argv[3];
  if (argc > 4) count = atol(argv[4]);
  setvbuf(stdout, NULL, _IONBF, 0);
  backtrace(callers, 1); /* loads what it needs */
  if (tunes(count, 1) > 0) return 1;
  return tunes(count, 2) > kKeptByAThread;
}
