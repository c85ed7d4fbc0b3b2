// SPDX-License-Identifier: Apache-2.0
// desktop MODEL TRAIN.jsonl STEPS QUESTION: the shape of a desktop application. A worker thread tunes, the main thread
// (where a window would be) shows progress ten times a second; Ctrl-C ends the tuning after its micro-batch. Then the
// model answers with what it has learned until then, and the program ends with 0.
#include <ftlib/ftlib.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

namespace {

std::atomic<bool> stop{false};

/// What the worker tells the window.
class Shared {
 public:
  void tell(const ftlib::StepReport& report, std::int64_t total) {
    const std::lock_guard lock(mutex_);
    step_ = report.step, total_ = total, loss_ = report.loss;
  }
  void show() const {
    const std::lock_guard lock(mutex_);
    std::fprintf(stderr, "\rstep %d of %d, loss %.3f ", static_cast<int>(step_), static_cast<int>(total_), loss_);
  }

 private:
  mutable std::mutex mutex_;
  std::int64_t step_ = 0, total_ = 0;
  double loss_ = 0;
};

/// Tunes until it is done or stopped; what was learned until then stays. Whether it is done.
bool tune(const ftlib::CausalLM& model, ftlib::LoraAdapter& adapter, const ftlib::Dataset& data, int steps,
          Shared& shared) {
  ftlib::TrainOptions options;
  options.steps = steps, options.adamw.lr = 1e-3;
  ftlib::Trainer trainer(model, adapter, data.examples, options);
  try {
    while (!trainer.done()) shared.tell(trainer.step(&stop), trainer.total_steps());
  } catch (const ftlib::Error& error) {
    if (error.status() != ftlib::Status::cancelled) throw;
  }
  return trainer.done();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) return std::fputs("usage: desktop MODEL TRAIN.jsonl STEPS QUESTION\n", stderr), 2;
  const auto tokenizer = ftlib::Tokenizer::load(argv[1]);
  const auto chat = ftlib::chat_template_of(tokenizer).value();
  const auto data = ftlib::load_dataset(argv[2], tokenizer, &chat, {});
  const auto model = ftlib::CausalLM::load(argv[1]);
  auto adapter = ftlib::make_lora_adapter(model.config(), {});
  ftlib::initialize(adapter, /*seed=*/0);
  std::signal(SIGINT, [](int) { stop = true; });

  Shared shared;
  std::exception_ptr failure;
  bool done = false;
  std::atomic<bool> ended{false};
  std::thread worker([&] {
    try {
      done = tune(model, adapter, data, std::atoi(argv[3]), shared);
    } catch (...) {
      failure = std::current_exception();
    }
    ended = true;
  });
  while (!ended) {
    shared.show();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  worker.join();
  shared.show();
  if (failure) std::rethrow_exception(failure);
  std::fputs(done ? "- done\n" : "- stopped\n", stderr);

  const std::vector<std::vector<std::int32_t>> prompts{ftlib::encode_messages({{{"user", argv[4]}}}, tokenizer, chat)};
  ftlib::GenerateOptions options;
  options.max_tokens = 40, options.stop = ftlib::stop_tokens(tokenizer);
  ftlib::generate(model, &adapter, prompts, options, [&](std::size_t, std::int32_t token) {
    const auto text = tokenizer.is_special(token) ? std::string_view() : tokenizer.token_bytes(token);
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  });
  std::puts("");
} catch (const ftlib::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
