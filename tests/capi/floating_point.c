/* SPDX-License-Identifier: Apache-2.0 */
/* What the host has set of its floating-point environment changes no result, and is what it was after a call and within
 * its callbacks. */
#define _GNU_SOURCE /* feenableexcept */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "check.h"

#if defined(__x86_64__)
static unsigned get_mode(void) { return _mm_getcsr(); }
static void set_mode(unsigned mode) { _mm_setcsr(mode); }
#else /* a processor of which the test knows no such mode */
static unsigned no_mode;
static unsigned get_mode(void) { return no_mode; }
static void set_mode(unsigned mode) { no_mode = mode; }
#endif

static int same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

static void rounding_changes_nothing_and_is_not_changed(void) {
  const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
  const double loss = tiny_loss();
  const int before = fegetround();
  size_t i;
  for (i = 0; i < 3; ++i) {
    double other;
    int after;
    fesetround(modes[i]);
    other = tiny_loss();
    after = fegetround();
    fesetround(before);
    CHECK(after == modes[i] && same(loss, other));
  }
}

enum { kMasked = 0x1f80, kFlushesAndIsZero = 0x8040 };

/* Subnormals of which a flushing processor makes zeros, in one chunk and in many. */
static void flushing_of_subnormals_changes_nothing_and_is_not_changed(void) {
  enum { kMany = 200000 };
  const int64_t counts[] = {3, kMany};
  const unsigned host = get_mode();
  const double loss = tiny_loss();
  float* values = malloc(kMany * sizeof *values);
  float* const gradients[] = {values, values};
  double want = 0, got = 0, other;
  unsigned after;
  int i;
  CHECK(values != NULL);
  for (i = 0; i < kMany; ++i) values[i] = 1e-40f;
  OK(ft_clip_grad_norm(gradients, counts, 2, 0, &want));
  CHECK(want > 1e-38);
  set_mode(kMasked | kFlushesAndIsZero);
  OK(ft_clip_grad_norm(gradients, counts, 2, 0, &got));
  other = tiny_loss();
  after = get_mode();
  set_mode(host);
  CHECK(after == (kMasked | kFlushesAndIsZero));
  CHECK(same(want, got) && same(loss, other));
  free(values);
}

/* Any operation that is not exact would end the program here. */
static void traps_do_not_go_off_in_a_call_and_stay_set(void) {
  const double loss = tiny_loss();
  const float logits[] = {-3e38f, 3e38f, 0.1f};
  const int32_t target[] = {0};
  float nll;
  double other;
  int after;
  feclearexcept(FE_ALL_EXCEPT);
  feenableexcept(FE_ALL_EXCEPT);
  other = tiny_loss();
  OK(ft_cross_entropy(logits, target, NULL, 1, 3, 1, &nll, NULL));
  after = fegetexcept();
  fedisableexcept(FE_ALL_EXCEPT);
  CHECK(after == FE_ALL_EXCEPT && same(loss, other));
}

static void flags_are_the_hosts_own(void) {
  feclearexcept(FE_ALL_EXCEPT);
  tiny_loss();
  CHECK(fetestexcept(FE_ALL_EXCEPT) == 0);
  feraiseexcept(FE_DIVBYZERO);
  tiny_loss();
  CHECK(fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
  feclearexcept(FE_ALL_EXCEPT);
}

/* --- Callbacks --- */

/* What the host's code sees of its environment: upward in the first callback, which sets downward for good. */
typedef struct watch {
  const ft_trainer* trainer;
  int calls, strangers;
} watch;

static void look(watch* w) {
  const int want = w->calls++ == 0 ? FE_UPWARD : FE_DOWNWARD;
  if (fegetround() != want || fetestexcept(FE_ALL_EXCEPT) != FE_DIVBYZERO) ++w->strangers;
  if (w->trainer) { /* a call within the callback, too */
    ft_progress progress;
    progress.struct_size = sizeof progress;
    OK(ft_trainer_progress(w->trainer, &progress));
    if (fegetround() != want) ++w->strangers;
  }
  fesetround(FE_DOWNWARD);
}

static int32_t on_step(const ft_progress* progress, void* user) { return (void)progress, look(user), 0; }
static int32_t on_work(int64_t done, int64_t total, void* user) { return (void)done, (void)total, look(user), 0; }
static int32_t on_token(size_t prompt, int32_t token, const char* text, size_t text_bytes, void* user) {
  return (void)prompt, (void)token, (void)text, (void)text_bytes, look(user), 0;
}
static void on_log(const char* message, void* user) { (void)message, look(user); }

static void begin_to_watch(watch* w, const ft_trainer* trainer) {
  w->trainer = trainer, w->calls = w->strangers = 0;
  fesetround(FE_UPWARD);
  feclearexcept(FE_ALL_EXCEPT);
  feraiseexcept(FE_DIVBYZERO);
}

static void end_to_watch(const watch* w, int calls_at_least) {
  const int after = fegetround(), flags = fetestexcept(FE_ALL_EXCEPT);
  fesetround(FE_TONEAREST);
  feclearexcept(FE_ALL_EXCEPT);
  CHECK(w->calls >= calls_at_least && w->strangers == 0);
  CHECK(after == FE_DOWNWARD && flags == FE_DIVBYZERO);
}

static double loss_of_run(const ft_model* model, ft_dataset* dataset, ft_progress_callback callback, watch* w) {
  ft_trainer* trainer = tiny_trainer(model, dataset, 3);
  ft_progress progress;
  progress.struct_size = sizeof progress;
  if (w) begin_to_watch(w, trainer);
  OK(ft_trainer_run(trainer, callback, w));
  if (w) end_to_watch(w, 3);
  OK(ft_trainer_progress(trainer, &progress));
  OK(ft_trainer_free(trainer));
  return progress.loss;
}

static void callbacks_run_in_the_hosts_environment_and_may_change_it(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_evaluate_options answers;
  ft_generate_options options;
  ft_evaluation* evaluation = NULL;
  ft_generation* generation = NULL;
  static const int32_t prompt[] = {1, 2, 3};
  const int32_t* const prompts[] = {prompt};
  const size_t lengths[] = {3};
  watch w;
  CHECK(same(loss_of_run(model, dataset, NULL, NULL), loss_of_run(model, dataset, on_step, &w)));
  OK(ft_evaluate_options_init(&answers, sizeof answers));
  answers.metrics = "exact", answers.max_tokens = 2;
  begin_to_watch(&w, NULL);
  OK(ft_evaluate(model, NULL, dataset, &answers, on_work, &w, &evaluation));
  end_to_watch(&w, 2);
  OK(ft_generate_options_init(&options, sizeof options));
  options.max_tokens = 3;
  begin_to_watch(&w, NULL);
  OK(ft_generate(model, NULL, prompts, lengths, 1, &options, on_token, &w, &generation));
  end_to_watch(&w, 1);
  OK(ft_generation_free(generation));
  OK(ft_evaluation_free(evaluation));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
}

static void so_does_the_log(void) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_dataset_options options;
  ft_dataset* dataset = NULL;
  watch w;
  OK(ft_dataset_options_init(&options, sizeof options));
  options.max_length = 64;
  OK(ft_set_log(on_log, &w));
  begin_to_watch(&w, NULL);
  OK(ft_dataset_open(tokenizer, records_path(), &options, &dataset));
  end_to_watch(&w, 1);
  OK(ft_set_log(NULL, NULL));
  OK(ft_dataset_free(dataset));
  OK(ft_tokenizer_free(tokenizer));
}

const test_case floating_point_tests[] = {
    {"floating point: the host's rounding changes nothing and is not changed",
     rounding_changes_nothing_and_is_not_changed},
    {"floating point: the host's flushing of subnormals changes nothing and is not changed",
     flushing_of_subnormals_changes_nothing_and_is_not_changed},
    {"floating point: the host's traps do not go off in a call and stay set",
     traps_do_not_go_off_in_a_call_and_stay_set},
    {"floating point: a call raises no flag of the host's and clears none", flags_are_the_hosts_own},
    {"floating point: callbacks run in the host's environment and may change it",
     callbacks_run_in_the_hosts_environment_and_may_change_it},
    {"floating point: the log runs in the host's environment and may change it", so_does_the_log},
    {NULL, NULL}};
