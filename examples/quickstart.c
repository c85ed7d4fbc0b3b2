/* SPDX-License-Identifier: Apache-2.0 */
/* quickstart_c MODEL TRAIN.jsonl DIR: tunes a LoRA adapter and writes it as PEFT and as GGUF. */
#include <ftlib_c.h>
#include <stdio.h>

static int32_t print_loss(const ft_progress* progress, void* user) {
  (void)user;
  printf("loss %.3f\n", progress->loss);
  return 0;
}

static ft_status tune(char** arguments) {
  ft_model* model = NULL;
  ft_tokenizer* tokenizer = NULL;
  ft_dataset* data = NULL;
  ft_trainer* trainer = NULL;
  ft_adapter* adapter = NULL;
  ft_train_options options;
  char path[4096];
  ft_status status = ft_train_options_init(&options, sizeof options);
  options.steps = 12;
  snprintf(path, sizeof path, "%s/adapter.gguf", arguments[3]);
  if (!status) status = ft_model_open(arguments[1], NULL, &model);
  if (!status) status = ft_model_tokenizer(model, &tokenizer);
  if (!status) status = ft_dataset_open(tokenizer, arguments[2], NULL, &data);
  if (!status) status = ft_trainer_create(model, data, NULL, NULL, &options, &trainer);
  if (!status) status = ft_trainer_run(trainer, print_loss, NULL);
  if (!status) status = ft_trainer_adapter(trainer, &adapter);
  if (!status) status = ft_adapter_save_peft(adapter, arguments[3]);
  if (!status) status = ft_adapter_save_gguf(adapter, path);
  if (status) fprintf(stderr, "%s: %s\n", ft_status_name(status), ft_last_error());
  ft_adapter_free(adapter);
  ft_trainer_free(trainer);
  ft_dataset_free(data);
  ft_tokenizer_free(tokenizer);
  ft_model_free(model);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 4) return fputs("usage: quickstart_c MODEL TRAIN.jsonl DIR\n", stderr), 2;
  return tune(argv) != FT_OK;
}
