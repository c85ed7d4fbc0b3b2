/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void* content_of(const char* path, size_t* bytes) {
  FILE* file = fopen(path, "rb");
  char* data = NULL;
  CHECK(file != NULL);
  if (file == NULL) return NULL;
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  rewind(file);
  data = malloc(*bytes);
  CHECK(data != NULL && fread(data, 1, *bytes, file) == *bytes);
  fclose(file);
  return data;
}

static void info_has_the_names_of_config_json(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_model_info info;
  info.struct_size = sizeof info;
  OK(ft_model_get_info(model, &info));
  CHECK(info.compute == FT_COMPUTE_F32 && info.base == FT_BASE_NATIVE);
  CHECK(strcmp(info.model_type, "llama") == 0 && strlen(info.digest) == 64);
  CHECK(info.vocab_size == 97 && info.num_hidden_layers > 0 && info.weight_bytes > 0);
  CHECK(info.num_attention_heads % info.num_key_value_heads == 0);
  OK(ft_model_free(model));
}

static void a_model_from_memory_is_the_one_from_its_file(void) {
  size_t bytes = 0;
  void* data = content_of(tiny_path(), &bytes);
  ft_model *from_file = tiny_model(FT_COMPUTE_AUTO), *from_memory = NULL;
  ft_model_info a, b;
  a.struct_size = b.struct_size = sizeof a;
  OK(ft_model_open_memory(data, bytes, NULL, &from_memory));
  memset(data, 0, bytes);
  free(data);
  OK(ft_model_get_info(from_file, &a));
  OK(ft_model_get_info(from_memory, &b));
  CHECK(strcmp(a.digest, b.digest) == 0 && a.weight_bytes == b.weight_bytes);
  {
    ft_adapter *one = tiny_adapter(from_file), *two = tiny_adapter(from_memory);
    ft_adapter_info x, y;
    x.struct_size = y.struct_size = sizeof x;
    OK(ft_adapter_get_info(one, &x));
    OK(ft_adapter_get_info(two, &y));
    CHECK(strcmp(x.digest, y.digest) == 0);
    FAILS(FT_ERROR_UNSUPPORTED, ft_merge(from_memory, two, work_path("none.gguf"), "f32", NULL, NULL));
    OK(ft_adapter_free(one));
    OK(ft_adapter_free(two));
  }
  OK(ft_model_free(from_file));
  OK(ft_model_free(from_memory));
}

static void a_damaged_file_in_memory_is_an_error_value(void) {
  size_t bytes = 0, cut;
  char* data = content_of(tiny_path(), &bytes);
  ft_model* model = NULL;
  for (cut = 0; cut < bytes; cut += bytes / 7 + 1) {
    CHECK(ft_model_open_memory(cut ? data : NULL, cut, NULL, &model) == FT_ERROR_INVALID_FILE);
    CHECK(model == NULL);
  }
  data[0] = 'X';
  FAILS(FT_ERROR_INVALID_FILE, ft_model_open_memory(data, bytes, NULL, &model));
  CHECK(ft_last_error_reason() == FT_REASON_MAGIC);
  SAYS("memory");
  free(data);
}

static void each_base_format_loads(void) {
  const ft_base_format formats[] = {FT_BASE_NATIVE, FT_BASE_F32, FT_BASE_BF16, FT_BASE_NF4};
  size_t i;
  ft_model_options options;
  ft_model* model = NULL;
  ft_model_info info;
  info.struct_size = sizeof info;
  for (i = 0; i < 4; ++i) {
    OK(ft_model_options_init(&options, sizeof options));
    CHECK(options.block_size == 64 && options.double_quant == 0);
    options.base = formats[i];
    options.compute = FT_COMPUTE_F32;
    options.double_quant = 1;
    OK(ft_model_open(tiny_path(), &options, &model));
    OK(ft_model_get_info(model, &info));
    CHECK(info.base == formats[i]);
    OK(ft_model_free(model));
  }
  options.block_size = 48;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_model_open(tiny_path(), &options, &model));
  options.block_size = 64;
  options.base = (ft_base_format)17;
  FAILS(FT_ERROR_UNSUPPORTED, ft_model_open(tiny_path(), &options, &model));
  options.base = FT_BASE_NF4;
  options.double_quant = 2;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_model_open(tiny_path(), &options, &model));
}

static void what_is_made_of_a_model_outlives_it(void) {
  ft_model* model = tiny_model(FT_COMPUTE_F32);
  ft_dataset* dataset = tiny_records();
  ft_trainer* trainer = tiny_trainer(model, dataset, 2);
  ft_tokenizer* tokenizer = NULL;
  ft_tokenizer_info info;
  info.struct_size = sizeof info;
  OK(ft_model_tokenizer(model, &tokenizer));
  OK(ft_model_free(model));
  OK(ft_dataset_free(dataset));
  OK(ft_trainer_run(trainer, NULL, NULL));
  OK(ft_tokenizer_get_info(tokenizer, &info));
  CHECK(info.vocab_size == 97);
  OK(ft_trainer_free(trainer));
  OK(ft_tokenizer_free(tokenizer));
}

const test_case model_tests[] = {
    {"model: info has the names of config.json", info_has_the_names_of_config_json},
    {"model: one from memory is the one from its file", a_model_from_memory_is_the_one_from_its_file},
    {"model: a damaged file in memory is an error value", a_damaged_file_in_memory_is_an_error_value},
    {"model: each base format loads", each_base_format_loads},
    {"model: what is made of it outlives it", what_is_made_of_a_model_outlives_it},
    {NULL, NULL}};
