// SPDX-License-Identifier: Apache-2.0
// capi_throwing TINY.gguf RECORDS.jsonl: a C++ host whose callbacks let exceptions out. Each ends its call as a "no" does; none
// crosses the library.
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "ftlib_c.h"

namespace {

int failures = 0;

void check(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "failed: %s (%s)\n", what, ft_last_error());
  ++failures;
}

std::int32_t on_step(const ft_progress*, void*) { throw std::runtime_error("mine"); }
std::int32_t on_work(std::int64_t, std::int64_t, void*) { throw 42; }
std::int32_t on_token(std::size_t, std::int32_t, const char*, std::size_t, void*) { throw std::bad_alloc(); }
void on_log(const char*, void* heard) {
  ++*static_cast<int*>(heard);
  throw std::logic_error("mine");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: capi_throwing TINY.gguf RECORDS.jsonl\n", stderr), 2;
  ft_model* model = nullptr;
  ft_tokenizer* tokenizer = nullptr;
  ft_dataset* dataset = nullptr;
  ft_trainer* trainer = nullptr;
  ft_evaluation* evaluation = nullptr;
  ft_generation* generation = nullptr;
  ft_train_options options;
  int heard = 0;
  check(ft_train_options_init(&options, sizeof options) == FT_OK, "options");
  options.steps = 3;
  check(ft_model_open(argv[1], nullptr, &model) == FT_OK, "model");
  check(ft_model_tokenizer(model, &tokenizer) == FT_OK, "tokenizer");
  check(ft_dataset_open(tokenizer, argv[2], nullptr, &dataset) == FT_OK, "dataset");
  check(ft_trainer_create(model, dataset, nullptr, nullptr, &options, &trainer) == FT_OK, "trainer");

  check(ft_trainer_run(trainer, on_step, nullptr) == FT_ERROR_CANCELLED, "a throwing on_step cancels");
  ft_progress progress;
  progress.struct_size = sizeof progress;
  check(ft_trainer_progress(trainer, &progress) == FT_OK && progress.step == 1, "after its step");
  check(ft_trainer_run(trainer, nullptr, nullptr) == FT_OK, "and the run goes on");
  check(ft_evaluate(model, nullptr, dataset, nullptr, on_work, nullptr, &evaluation) == FT_ERROR_CANCELLED && !evaluation,
        "a throwing on_work cancels");
  const std::int32_t prompt[] = {1, 2, 3};
  const std::int32_t* prompts[] = {prompt};
  const std::size_t lengths[] = {3};
  check(ft_generate(model, nullptr, prompts, lengths, 1, nullptr, on_token, nullptr, &generation) == FT_ERROR_CANCELLED,
        "a throwing on_token cancels");
  ft_dataset_options short_ones;
  check(ft_dataset_options_init(&short_ones, sizeof short_ones) == FT_OK, "options");
  short_ones.max_length = 64;
  ft_dataset* left_out = nullptr;
  check(ft_set_log(on_log, &heard) == FT_OK, "log");
  check(ft_dataset_open(tokenizer, argv[2], &short_ones, &left_out) == FT_OK && heard == 1, "a throwing log changes nothing");
  check(ft_set_log(nullptr, nullptr) == FT_OK, "no log");

  ft_dataset_free(left_out);
  ft_trainer_free(trainer);
  ft_dataset_free(dataset);
  ft_tokenizer_free(tokenizer);
  ft_model_free(model);
  return failures > 0;
}
