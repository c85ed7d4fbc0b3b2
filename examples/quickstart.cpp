// SPDX-License-Identifier: Apache-2.0
// quickstart MODEL TRAIN.jsonl DIR: tunes a LoRA adapter and writes it as PEFT and as GGUF.
#include <ftlib/ftlib.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 4) return std::fputs("usage: quickstart MODEL TRAIN.jsonl DIR\n", stderr), 2;
  const auto tokenizer = ftlib::Tokenizer::load(argv[1]);
  const ftlib::ChatTemplate chat(tokenizer.chat_template().value_or(""), tokenizer.bos_token(), tokenizer.eos_token());
  const auto data = ftlib::load_dataset(argv[2], tokenizer, &chat, {});
  const auto model = ftlib::CausalLM::load(argv[1]);
  auto adapter = ftlib::make_lora_adapter(model.config(), ftlib::LoraConfig{});  // rank 16, alpha 32, all linears
  ftlib::initialize(adapter, /*seed=*/0);
  ftlib::TrainOptions options;
  options.steps = 8;
  ftlib::Trainer trainer(model, adapter, data.examples, options);
  while (!trainer.done()) std::printf("loss %.3f\n", trainer.step().loss);
  ftlib::save_peft_adapter(argv[3], adapter, {});
  ftlib::save_gguf_adapter(std::string(argv[3]) + "/adapter.gguf", adapter, {}, model.config());
} catch (const ftlib::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
