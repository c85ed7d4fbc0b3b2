/* SPDX-License-Identifier: Apache-2.0 */
/* Every pointer that a function takes: a row calls the function with arguments that are right, which has to work, then
 * with one of them wrong and all others right, which has to be refused. Handles are wrong as NULL, freed, of another
 * type and made up, other pointers as NULL, but for those of which the header says what NULL means. A pointer of the
 * header that no row has is a failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct pointer {
  const char *function, *name;
  int is_handle, may_be_null;
} pointer;

static const pointer all_pointers[] = {
#include "pointers.h" /* by tools/capi_comments.py */
};
enum { kAll = sizeof all_pointers / sizeof all_pointers[0], kMost = 40 };

/* --- The call in progress --- */

static int rows_to_skip;
static char function[64]; /* of the row */
static const char* wrong_name; /* NULL: every pointer is right */
static void* wrong_value;
static struct {
  char name[48];
  int is_handle;
} seen[kMost]; /* the row's pointers */
static int seen_count;

static int is_row(const char* call) {
  if (rows_to_skip-- != 0) return 0;
  snprintf(function, sizeof function, "%.*s", (int)strcspn(call, "("), call);
  return 1;
}

/* Whether this pointer is the wrong one; remembers that the row has it. */
static int is_wrong(const char* name, int is_handle) {
  int i = 0;
  while (i < seen_count && strcmp(seen[i].name, name) != 0) ++i;
  if (i == seen_count && seen_count < kMost) {
    snprintf(seen[i].name, sizeof seen[i].name, "%s", name);
    seen[i].is_handle = is_handle;
    ++seen_count;
  }
  return wrong_name != NULL && strcmp(wrong_name, name) == 0;
}

#define ROW(call) \
  if (is_row(#call)) return call
#define HANDLE(name, good) (is_wrong(#name, 1) ? wrong_value : (void*)(good))
#define NEEDED(name, good) (is_wrong(#name, 0) ? wrong_value : (void*)(good))
#define ARRAY_OF_ONE(name, array, good) NEEDED(name, ((array)[0] = NEEDED(name[i], good), (array)))

/* --- Results --- */

static union {
  ft_tokenizer* tokenizer;
  ft_model* model;
  ft_dataset* dataset;
  ft_batches* batches;
  ft_adapter* adapter;
  ft_trainer* trainer;
  ft_evaluation* evaluation;
  ft_generation* generation;
} made;
static size_t count;
static int makes_handle, counts;

#define OUT(type) (makes_handle = 1, NEEDED(out, &made.type))
#define COUNT(name) (counts = 1, NEEDED(name, &count))

/* One of these is of the type, the others refuse. */
static void free_made(void) {
  ft_tokenizer_free(made.tokenizer);
  ft_model_free(made.model);
  ft_dataset_free(made.dataset);
  ft_batches_free(made.batches);
  ft_adapter_free(made.adapter);
  ft_trainer_free(made.trainer);
  ft_evaluation_free(made.evaluation);
  ft_generation_free(made.generation);
}

/* --- Arguments --- */

static ft_tokenizer* tokenizer;
static ft_model* model;
static ft_dataset* dataset;
static ft_batches* batches;
static ft_adapter* adapter;
static ft_trainer *trainer, *finished;
static ft_evaluation* evaluation;
static ft_generation* generation;
static void* freed;

static int32_t tokens[1024];
static char text[1024];
static const char *roles[1], *contents[1];
static const int32_t* prompts[1];
static float* gradients[1];
static float numbers[64], gradient[64], first[64], second[64], more[64];
static uint8_t codes[64], more_codes[64];
static const int32_t targets[2];
static const int64_t counts_of_one[1] = {4};
static const size_t lengths[1] = {1};
static const char kJson[] = "{\"text\": \"One more.\"}";
static void* file;
static size_t file_bytes;
static ft_generate_options one_token;

/* A struct of `size` bytes of zeros with its struct_size. */
static void* sized(size_t size) {
  static union {
    uint32_t struct_size;
    double aligned;
    unsigned char bytes[512];
  } room;
  memset(&room, 0, sizeof room);
  room.struct_size = (uint32_t)size;
  return &room;
}

static ft_batches* new_batches(void) {
  ft_batches* walk = NULL;
  OK(ft_batches_create(dataset, NULL, &walk));
  return walk;
}

static ft_evaluation* new_evaluation(void) {
  ft_evaluate_options options;
  ft_evaluation* one = NULL;
  OK(ft_evaluate_options_init(&options, sizeof options));
  options.metrics = "exact", options.max_tokens = 1;
  OK(ft_evaluate(model, NULL, dataset, &options, NULL, NULL, &one));
  return one;
}

static ft_generation* new_generation(void) {
  ft_generation* one = NULL;
  prompts[0] = tokens;
  OK(ft_generate(model, NULL, prompts, lengths, 1, &one_token, NULL, NULL, &one));
  return one;
}

static const ft_lora_options* lora_options(void) {
  static ft_lora_options lora;
  static const char *target_modules[1], *rank_keys[1], *alpha_keys[1];
  static const int64_t ranks[1] = {2};
  static const double alphas[1] = {4};
  OK(ft_lora_options_init(&lora, sizeof lora));
  lora.target_modules = ARRAY_OF_ONE(lora.target_modules, target_modules, "q_proj");
  lora.rank_pattern = ARRAY_OF_ONE(lora.rank_pattern, rank_keys, "q_proj");
  lora.alpha_pattern = ARRAY_OF_ONE(lora.alpha_pattern, alpha_keys, "q_proj");
  lora.rank_pattern_r = NEEDED(lora.rank_pattern_r, ranks);
  lora.alpha_pattern_alpha = NEEDED(lora.alpha_pattern_alpha, alphas);
  lora.target_module_count = lora.rank_pattern_count = lora.alpha_pattern_count = 1;
  return &lora;
}

static const ft_train_options* beginning_from_an_adapter(void) {
  static ft_train_options options;
  OK(ft_train_options_init(&options, sizeof options));
  options.init_adapter = HANDLE(options.init_adapter, adapter);
  return &options;
}

/* `name` and what stands in its struct. */
static void* member_or_null(const char* name, const char* member, void* good) {
  char whole[48];
  snprintf(whole, sizeof whole, "%s.%s", name, member);
  return is_wrong(whole, 0) ? wrong_value : good;
}

static const ft_weight* weight(const char* name, ft_weight_format format) {
  static ft_weight w;
  memset(&w, 0, sizeof w);
  w.struct_size = sizeof w, w.format = format, w.out_features = w.in_features = 4;
  w.data = member_or_null(name, "data", codes);
  if (format == FT_WEIGHT_NF4) w.absmax = member_or_null(name, "absmax", numbers), w.block_size = 32;
  return &w;
}

enum { kOptional = 1 };

/* [4, 4], or [4] where rank is 1. */
static const ft_tensor* tensor(const char* name, int32_t rank, int is_optional) {
  enum { kPool = 12 };
  static ft_tensor pool[kPool];
  static float data[kPool][16];
  static int next;
  ft_tensor* t = &pool[next = (next + 1) % kPool];
  if (!is_optional && is_wrong(name, 0)) return NULL;
  memset(t, 0, sizeof *t);
  t->struct_size = sizeof *t, t->dtype = FT_F32, t->rank = rank, t->shape[0] = 4, t->shape[1] = rank == 2 ? 4 : 0;
  t->data = member_or_null(name, "data", data[next]);
  return t;
}

static const ft_lora_linear_args* forward_args(void) {
  static ft_lora_linear_args args;
  memset(&args, 0, sizeof args);
  args.struct_size = sizeof args, args.scale = 1;
  args.weight = NEEDED(args.weight, weight("args.weight", FT_WEIGHT_F32));
  args.x = tensor("args.x", 2, 0), args.bias = tensor("args.bias", 1, kOptional);
  args.a = tensor("args.a", 2, 0), args.b = tensor("args.b", 2, 0);
  args.u = tensor("args.u", 2, 0), args.y = tensor("args.y", 2, 0);
  return &args;
}

static const ft_lora_linear_backward_args* backward_args(void) {
  static ft_lora_linear_backward_args args;
  memset(&args, 0, sizeof args);
  args.struct_size = sizeof args, args.scale = 1;
  args.weight = NEEDED(args.weight, weight("args.weight", FT_WEIGHT_F32));
  args.dy = tensor("args.dy", 2, 0), args.x = tensor("args.x", 2, 0);
  args.a = tensor("args.a", 2, 0), args.b = tensor("args.b", 2, 0);
  args.u = tensor("args.u", 2, 0), args.du = tensor("args.du", 2, 0);
  args.d_a = tensor("args.d_a", 2, 0), args.d_b = tensor("args.d_b", 2, 0), args.dx = tensor("args.dx", 2, kOptional);
  return &args;
}

/* --- Rows --- */

static const ft_status kNoRow = FT_STATUS_FORCE32;

static ft_status process_rows(void) {
  static const char* name;
  static int32_t number;
  ROW(ft_backend_count(NEEDED(count, &count)));
  ROW(ft_backend_name(0, NEEDED(name, &name), NULL));
  ROW(ft_backend_used(NEEDED(op, "linear"), NEEDED(name, &name)));
  ROW(ft_get_threads(NEEDED(count, &number)));
  ROW(ft_tokenizer_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_model_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_dataset_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_record_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_batch_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_lora_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_train_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_evaluate_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_generate_options_init(NEEDED(options, sized(0)), 8));
  ROW(ft_adamw_options_init(NEEDED(options, sized(0)), 8));
  return kNoRow;
}

static ft_status model_rows(void) {
  ROW(ft_tokenizer_open(NEEDED(model, tiny_path()), NULL, OUT(tokenizer)));
  ROW(ft_tokenizer_free(HANDLE(tokenizer, tiny_tokenizer())));
  ROW(ft_tokenizer_get_info(HANDLE(tokenizer, tokenizer), NEEDED(info, sized(sizeof(ft_tokenizer_info)))));
  ROW(ft_tokenizer_encode(HANDLE(tokenizer, tokenizer), NEEDED(text, "xyz"), 3, 0, NEEDED(tokens, tokens), 1024,
                          COUNT(token_count)));
  ROW(ft_tokenizer_decode(HANDLE(tokenizer, tokenizer), NEEDED(tokens, tokens), 1, 0, NEEDED(text, text), 1024,
                          COUNT(text_bytes)));
  ROW(ft_tokenizer_render(HANDLE(tokenizer, tokenizer), ARRAY_OF_ONE(roles, roles, "user"),
                          ARRAY_OF_ONE(contents, contents, "Hi"), 1, 0, NEEDED(text, text), 1024, COUNT(text_bytes)));
  ROW(ft_tokenizer_encode_messages(HANDLE(tokenizer, tokenizer), ARRAY_OF_ONE(roles, roles, "assistant"),
                                   ARRAY_OF_ONE(contents, contents, "Hi"), 1, 0, NEEDED(tokens, tokens), NULL, 1024,
                                   COUNT(token_count)));
  ROW(ft_model_open(NEEDED(path, tiny_path()), NULL, OUT(model)));
  ROW(ft_model_open_memory(NEEDED(data, file), file_bytes, NULL, OUT(model)));
  ROW(ft_model_free(HANDLE(model, tiny_model(FT_COMPUTE_F32))));
  ROW(ft_model_get_info(HANDLE(model, model), NEEDED(info, sized(sizeof(ft_model_info)))));
  ROW(ft_model_tokenizer(HANDLE(model, model), OUT(tokenizer)));
  return kNoRow;
}

static ft_status dataset_rows(void) {
  ROW(ft_dataset_open(HANDLE(tokenizer, tokenizer), NULL, NULL, OUT(dataset)));
  ROW(ft_dataset_free(HANDLE(dataset, tiny_records())));
  ROW(ft_dataset_append_messages(HANDLE(dataset, dataset), ARRAY_OF_ONE(roles, roles, "assistant"),
                                 ARRAY_OF_ONE(contents, contents, "Hi"), 1, NULL));
  ROW(ft_dataset_append_completion(HANDLE(dataset, dataset), NEEDED(prompt, "x"), NEEDED(completion, "y"), NULL));
  ROW(ft_dataset_append_text(HANDLE(dataset, dataset), NEEDED(text, "xyz"), NULL));
  ROW(ft_dataset_append_json(HANDLE(dataset, dataset), NEEDED(json, kJson), strlen(kJson)));
  ROW(ft_dataset_append_tokens(HANDLE(dataset, dataset), NEEDED(tokens, tokens), NEEDED(labels, tokens), 2, NULL));
  ROW(ft_dataset_get_info(HANDLE(dataset, dataset), NEEDED(info, sized(sizeof(ft_dataset_info)))));
  ROW(ft_dataset_example(HANDLE(dataset, dataset), 0, NEEDED(tokens, tokens), NULL, 1024, COUNT(token_count)));
  ROW(ft_batches_create(HANDLE(dataset, dataset), NULL, OUT(batches)));
  ROW(ft_batches_free(HANDLE(batches, new_batches())));
  ROW(ft_batches_next(HANDLE(batches, batches), NEEDED(batch, sized(sizeof(ft_batch)))));
  ROW(ft_batches_get_position(HANDLE(batches, batches), NEEDED(position, sized(sizeof(ft_batch_position)))));
  ROW(ft_batches_set_position(HANDLE(batches, batches), NEEDED(position, sized(sizeof(ft_batch_position)))));
  return kNoRow;
}

static ft_status training_rows(void) {
  ROW(ft_adapter_save_peft(HANDLE(adapter, adapter), NEEDED(folder, work_path("pointers-peft"))));
  ROW(ft_adapter_save_gguf(HANDLE(adapter, adapter), NEEDED(path, work_path("pointers-adapter.gguf"))));
  ROW(ft_adapter_open(HANDLE(model, model), NEEDED(path, work_path("pointers-peft")), OUT(adapter)));
  ROW(ft_adapter_free(HANDLE(adapter, tiny_adapter(model))));
  ROW(ft_adapter_get_info(HANDLE(adapter, adapter), NEEDED(info, sized(sizeof(ft_adapter_info)))));
  ROW(ft_adapter_tensor(HANDLE(adapter, adapter), 0, NULL, NULL, NEEDED(tensor, sized(sizeof(ft_tensor)))));
  ROW(ft_merge(HANDLE(model, model), HANDLE(adapter, adapter), NEEDED(out, work_path("pointers-merged.gguf")),
               NEEDED(format, "f32"), NULL, NULL));
  ROW(ft_trainer_create(HANDLE(model, model), HANDLE(train, dataset), HANDLE(valid, dataset), lora_options(), NULL,
                        OUT(trainer)));
  ROW(ft_trainer_create(model, dataset, NULL, NULL, beginning_from_an_adapter(), OUT(trainer)));
  ROW(ft_trainer_free(HANDLE(trainer, tiny_trainer(model, dataset, 1))));
  ROW(ft_trainer_step(HANDLE(trainer, trainer), NULL));
  ROW(ft_trainer_run(HANDLE(trainer, finished), NULL, NULL));
  ROW(ft_trainer_cancel(HANDLE(trainer, trainer)));
  ROW(ft_trainer_progress(HANDLE(trainer, trainer), NEEDED(progress, sized(sizeof(ft_progress)))));
  ROW(ft_trainer_get_plan(HANDLE(trainer, trainer), NEEDED(plan, sized(sizeof(ft_memory_plan)))));
  ROW(ft_trainer_save(HANDLE(trainer, trainer), NEEDED(folder, work_path("pointers-state"))));
  ROW(ft_trainer_resume(HANDLE(trainer, trainer), NEEDED(folder, work_path("pointers-state"))));
  ROW(ft_trainer_adapter(HANDLE(trainer, trainer), OUT(adapter)));
  return kNoRow;
}

static ft_status result_rows(void) {
  static double mean;
  ROW(ft_evaluate(HANDLE(model, model), HANDLE(adapter, adapter), HANDLE(dataset, dataset), NULL, NULL, NULL,
                  OUT(evaluation)));
  ROW(ft_evaluation_free(HANDLE(evaluation, new_evaluation())));
  ROW(ft_evaluation_get_info(HANDLE(evaluation, evaluation), NEEDED(info, sized(sizeof(ft_evaluation_info)))));
  ROW(ft_evaluation_metric(HANDLE(evaluation, evaluation), 0, NULL, NEEDED(mean, &mean)));
  ROW(ft_evaluation_example(HANDLE(evaluation, evaluation), 0, NEEDED(result, sized(sizeof(ft_example_result)))));
  ROW(ft_evaluation_compare(HANDLE(before, evaluation), HANDLE(after, evaluation), NULL,
                            NEEDED(interval, sized(sizeof(ft_interval)))));
  ROW(ft_generate(HANDLE(model, model), HANDLE(adapter, adapter), ARRAY_OF_ONE(prompts, prompts, tokens),
                  NEEDED(prompt_lengths, lengths), 1, &one_token, NULL, NULL, OUT(generation)));
  ROW(ft_generation_free(HANDLE(generation, new_generation())));
  ROW(ft_generation_answer(HANDLE(generation, generation), 0, NEEDED(answer, sized(sizeof(ft_answer)))));
  return kNoRow;
}

static ft_status primitive_rows(void) {
  static double norm;
  static float offset;
  ROW(ft_nf4_quantize(NEEDED(values, numbers), FT_F32, 64, 64, NEEDED(codes, codes), NEEDED(absmax, more)));
  ROW(ft_nf4_double_quantize(NEEDED(absmax, numbers), 64, NEEDED(codes, codes), NEEDED(nested_scales, more),
                             NEEDED(offset, &offset)));
  ROW(ft_nf4_dequantize(NEEDED(weight, weight("weight", FT_WEIGHT_NF4)), NEEDED(values, more), FT_F32));
  ROW(ft_lora_linear(NEEDED(args, forward_args())));
  ROW(ft_lora_linear_backward(NEEDED(args, backward_args())));
  ROW(ft_adamw_step(NEEDED(parameter, numbers), NEEDED(gradient, gradient), NEEDED(exp_avg, first),
                    NEEDED(exp_avg_sq, second), 4, NULL, 1, 1));
  ROW(ft_adamw_8bit_step(NEEDED(parameter, numbers), NEEDED(gradient, gradient), NEEDED(exp_avg, codes),
                         NEEDED(exp_avg_sq, more_codes), NEEDED(exp_avg_absmax, first),
                         NEEDED(exp_avg_sq_absmax, second), 4, NULL, 1, 1));
  ROW(ft_clip_grad_norm(ARRAY_OF_ONE(gradients, gradients, gradient), NEEDED(counts, counts_of_one), 1, 1,
                        NEEDED(norm, &norm)));
  ROW(ft_cross_entropy(NEEDED(logits, numbers), NEEDED(targets, targets), NULL, 2, 4, 1, NEEDED(nll, more), NULL));
  return kNoRow;
}

/* --- The tests --- */

static ft_status call_row(int row) {
  static ft_status (*const families[])(void) = {process_rows, model_rows,  dataset_rows,
                                                training_rows, result_rows, primitive_rows};
  ft_status status = kNoRow;
  size_t i;
  rows_to_skip = row;
  for (i = 0; i < sizeof families / sizeof families[0] && status == kNoRow; ++i) status = families[i]();
  return status;
}

static const pointer* find_pointer(const char* name) {
  int i;
  for (i = 0; i < kAll; ++i)
    if (strcmp(all_pointers[i].function, function) == 0 && strcmp(all_pointers[i].name, name) == 0)
      return &all_pointers[i];
  return NULL;
}

static void note(const char* what, const char* name) {
  char line[4096];
  snprintf(line, sizeof line, "%s, %s: %s (%s)", function, name, what, ft_last_error());
  note_failure(__FILE__, __LINE__, line);
}

static void refuse(int row, const char* name, void* value) {
  ft_status status;
  made.model = (ft_model*)&made;
  count = 7, wrong_name = name, wrong_value = value;
  status = call_row(row);
  wrong_name = NULL;
  if (status != FT_ERROR_INVALID_ARGUMENT) note("a wrong one is not refused", name);
  if (makes_handle && strcmp(name, "out") != 0 && made.model != NULL) note("the result is not NULL", name);
  if (counts && strcmp(name, "token_count") != 0 && strcmp(name, "text_bytes") != 0 && count != 0)
    note("the count is not 0", name);
}

static void refuse_handle(int row, const pointer* p) {
  if (!p->may_be_null) refuse(row, p->name, NULL);
  refuse(row, p->name, freed);
  refuse(row, p->name, strcmp(p->name, "tokenizer") == 0 ? (void*)model : (void*)tokenizer);
  refuse(row, p->name, &made);
}

static int set_up(void) {
  FILE* in = fopen(tiny_path(), "rb");
  ft_dataset* gone = tiny_records();
  CHECK(in != NULL && (file = malloc(1 << 24)) != NULL);
  if (in == NULL || file == NULL) return 0;
  file_bytes = fread(file, 1, 1 << 24, in);
  fclose(in);
  tokenizer = tiny_tokenizer(), model = tiny_model(FT_COMPUTE_F32), dataset = tiny_records();
  OK(ft_generate_options_init(&one_token, sizeof one_token));
  one_token.max_tokens = 1;
  batches = new_batches(), adapter = tiny_adapter(model);
  trainer = tiny_trainer(model, dataset, 100), finished = tiny_trainer(model, dataset, 1);
  OK(ft_trainer_run(finished, NULL, NULL));
  evaluation = new_evaluation(), generation = new_generation();
  OK(ft_dataset_free(gone));
  freed = gone;
  return 1;
}

static void tear_down(void) {
  OK(ft_generation_free(generation));
  OK(ft_evaluation_free(evaluation));
  OK(ft_trainer_free(finished));
  OK(ft_trainer_free(trainer));
  OK(ft_adapter_free(adapter));
  OK(ft_batches_free(batches));
  OK(ft_dataset_free(dataset));
  OK(ft_model_free(model));
  OK(ft_tokenizer_free(tokenizer));
  free(file);
}

/* Runs each row as it should be, then with each of its pointers wrong: handles, or all others. */
static void refuse_each(int handles) {
  static int covered[kAll];
  int row, i, pairs = 0;
  if (!set_up()) return;
  memset(covered, 0, sizeof covered);
  for (row = 0;; ++row) {
    ft_status status;
    seen_count = makes_handle = counts = 0, made.model = NULL;
    status = call_row(row);
    if (status == kNoRow) break;
    if (status != FT_OK) note("the row does not work", "every argument right");
    free_made();
    for (i = 0; i < seen_count; ++i) {
      const pointer* p = find_pointer(seen[i].name);
      if (p == NULL || p->is_handle != seen[i].is_handle) note("the header has no such pointer", seen[i].name);
      if (p == NULL || p->is_handle != handles) continue;
      covered[p - all_pointers] = 1;
      ++pairs;
      p->is_handle ? refuse_handle(row, p) : refuse(row, p->name, NULL);
    }
  }
  for (i = 0; i < kAll; ++i) {
    const pointer* p = &all_pointers[i];
    if (covered[i] || p->is_handle != handles || (!p->is_handle && p->may_be_null)) continue;
    snprintf(function, sizeof function, "%s", p->function);
    note("no row has it wrong", p->name);
  }
  CHECK(pairs > 50);
  tear_down();
}

static void handles_that_are_none(void) { refuse_each(1); }
static void null_where_nothing_says_what_it_means(void) { refuse_each(0); }

const test_case pointer_tests[] = {
    {"refusals: handles that are none", handles_that_are_none},
    {"refusals: NULL where the header does not say what it means", null_where_nothing_says_what_it_means},
    {NULL, NULL}};
