// SPDX-License-Identifier: Apache-2.0
// embedding MODEL TRAIN.jsonl DIR: what a host needs beside training: an error as a value, a worker thread, progress,
// cancellation, a saved state. docs/embedding.md shows it beside C, Python, Rust and Go, which print the same lines.
#include <ftlib/ftlib.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <string>

namespace {

void show_error() {
  try {
    ftlib::CausalLM::load("no-such-model.gguf");
  } catch (const ftlib::Error& error) {
    const std::string reason(ftlib::reason_name(error.reason()));
    const bool missing = error.status() == ftlib::Status::not_found;
    std::printf("%s, reason %s: %s\n", missing ? "not found" : "failed", reason.c_str(), error.what());
  }
}

void embed(const std::string& path, const std::string& records, const std::string& folder) {
  const auto tokenizer = ftlib::Tokenizer::load(path);
  const auto chat = ftlib::chat_template_of(tokenizer);
  const auto data = ftlib::load_dataset(records, tokenizer, chat ? &*chat : nullptr, {});
  const auto model = ftlib::CausalLM::load(path);
  auto adapter = ftlib::make_lora_adapter(model.config(), {});
  ftlib::initialize(adapter, /*seed=*/0);
  ftlib::TrainOptions options;
  options.steps = 8;
  ftlib::Trainer trainer(model, adapter, data.examples, options);  // refers to all three: declared last, gone first

  std::atomic<std::int64_t> step{0};
  std::atomic<bool> stop{false};
  auto worker = std::async(std::launch::async, [&] {
    while (!trainer.done()) step = trainer.step(&stop).step;
  });
  while (step == 0 && worker.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready)
    std::fprintf(stderr, "\rstep %d of %d ", static_cast<int>(step), static_cast<int>(trainer.total_steps()));

  stop = true;
  try {
    worker.get();  // throws what the worker threw
  } catch (const ftlib::Error& error) {
    if (error.status() != ftlib::Status::cancelled) throw;
    const ftlib::Validation no_validation({}, {});
    ftlib::save_training(folder + "/state", adapter, trainer, no_validation, ftlib::train_options_json(options), 2);
    std::puts("cancelled: the state is saved, and the run goes on");
  }

  double loss = 0;
  while (!trainer.done()) loss = trainer.step().loss;
  std::printf("step %d of %d, loss %.3f, adapter %.12s\n", static_cast<int>(trainer.step_count()),
              static_cast<int>(trainer.total_steps()), loss, ftlib::adapter_digest(adapter).c_str());
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) return std::fputs("usage: embedding MODEL TRAIN.jsonl DIR\n", stderr), 2;
  show_error();
  embed(argv[1], argv[2], argv[3]);
} catch (const ftlib::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
