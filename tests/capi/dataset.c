/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char* const kRoles[] = {"user", "assistant", "user", "assistant"};
static const char* const kContents[] = {"Hi", "Hello!", "Bye", "So long."};

static ft_dataset* empty(int64_t max_length, int32_t truncate) {
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_dataset_options options;
  ft_dataset* dataset = NULL;
  OK(ft_dataset_options_init(&options, sizeof options));
  CHECK(options.max_length == 1024);
  options.max_length = max_length;
  options.truncate = truncate;
  OK(ft_dataset_open(tokenizer, NULL, &options, &dataset));
  OK(ft_tokenizer_free(tokenizer));
  return dataset;
}

static ft_dataset_info info_of(const ft_dataset* dataset) {
  ft_dataset_info info;
  info.struct_size = sizeof info;
  OK(ft_dataset_get_info(dataset, &info));
  return info;
}

static void appended_records_are_those_of_a_file(void) {
  const char* const lines[] = {
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Hello!\"}]}",
      "{\"prompt\": \"Hi\", \"completion\": \"Hello!\"}", "{\"text\": \"Hello!\"}"};
  ft_dataset *by_call = empty(1024, 0), *by_json = empty(1024, 0);
  int32_t a[128], b[128], la[128], lb[128];
  size_t na = 0, nb = 0;
  int64_t i;
  OK(ft_dataset_append_messages(by_call, kRoles, kContents, 2, NULL));
  OK(ft_dataset_append_completion(by_call, "Hi", "Hello!", NULL));
  OK(ft_dataset_append_text(by_call, "Hello!", NULL));
  for (i = 0; i < 3; ++i) OK(ft_dataset_append_json(by_json, lines[i], strlen(lines[i])));
  for (i = 0; i < 3; ++i) {
    OK(ft_dataset_example(by_call, i, a, la, 128, &na));
    OK(ft_dataset_example(by_json, i, b, lb, 128, &nb));
    CHECK(na == nb && memcmp(a, b, na * sizeof a[0]) == 0 && memcmp(la, lb, na * sizeof la[0]) == 0);
  }
  CHECK(info_of(by_call).examples == 3 && info_of(by_call).tokens == info_of(by_json).tokens);
  CHECK(info_of(by_call).supervised_tokens == info_of(by_json).supervised_tokens);
  OK(ft_dataset_free(by_call));
  OK(ft_dataset_free(by_json));
}

static void labels_follow_hugging_face(void) {
  ft_dataset* dataset = empty(1024, 0);
  const int32_t tokens[] = {1, 2, 3, 4}, labels[] = {1, -100, 3, 4}, wrong[] = {-100, -100, 9, 4},
                nothing[] = {1, -100, -100, -100}, outside[] = {1, 2, 3, 97};
  int32_t back[4], back_labels[4];
  size_t count = 0;
  OK(ft_dataset_append_tokens(dataset, tokens, labels, 4, NULL));
  OK(ft_dataset_example(dataset, 0, back, back_labels, 4, &count));
  CHECK(count == 4 && memcmp(back, tokens, sizeof tokens) == 0);
  CHECK(back_labels[0] == -100 && back_labels[1] == -100 && back_labels[2] == 3 && back_labels[3] == 4);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_dataset_append_tokens(dataset, tokens, wrong, 4, NULL));
  FAILS(FT_ERROR_INVALID_FILE, ft_dataset_append_tokens(dataset, tokens, nothing, 4, NULL));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_dataset_append_tokens(dataset, outside, outside, 4, NULL));
  FAILS(FT_ERROR_BUFFER_TOO_SMALL, ft_dataset_example(dataset, 0, back, NULL, 3, &count));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_dataset_example(dataset, 1, back, NULL, 4, &count));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_dataset_example(dataset, -1, back, NULL, 4, &count));
  CHECK(info_of(dataset).examples == 1 && info_of(dataset).records == 1);
  OK(ft_dataset_free(dataset));
}

static void long_records_are_left_out_or_cut(void) {
  ft_dataset *leaves = empty(20, 0), *cuts = empty(20, 1);
  OK(ft_dataset_append_text(leaves, "A text of more than twenty tokens.", NULL));
  OK(ft_dataset_append_text(cuts, "A text of more than twenty tokens.", NULL));
  CHECK(info_of(leaves).examples == 0 && info_of(leaves).left_out == 1 && info_of(leaves).records == 1);
  CHECK(info_of(cuts).examples == 1 && info_of(cuts).truncated == 1 && info_of(cuts).tokens == 20);
  OK(ft_dataset_free(leaves));
  OK(ft_dataset_free(cuts));
}

static void record_options_are_checked_and_a_refused_record_changes_nothing(void) {
  ft_dataset* dataset = empty(1024, 0);
  ft_record_options options;
  const char* const system_only[] = {"system"};
  const char bad[] = "{\"text\": 1}";
  int32_t tokens[128], labels[128];
  size_t count = 0, i, targets = 0;
  OK(ft_record_options_init(&options, sizeof options));
  CHECK(options.weight == 1);
  options.weight = -1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_dataset_append_text(dataset, "x", &options));
  options.weight = 2;
  options.id = "mine", options.group = "ours", options.prompt_messages = 2;
  OK(ft_dataset_append_messages(dataset, kRoles, kContents, 4, &options));
  OK(ft_dataset_example(dataset, 0, tokens, labels, 128, &count));
  for (i = 0; i < count; ++i) targets += labels[i] != -100;
  CHECK(targets == strlen("So long.") + 1); /* a token a letter, and the end of the turn */
  options.prompt_messages = 4;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_dataset_append_messages(dataset, kRoles, kContents, 4, &options));
  FAILS(FT_ERROR_INVALID_FILE, ft_dataset_append_messages(dataset, system_only, kContents, 1, NULL));
  FAILS(FT_ERROR_INVALID_FILE, ft_dataset_append_json(dataset, bad, strlen(bad)));
  CHECK(ft_last_error_reason() == FT_REASON_SCHEMA);
  CHECK(info_of(dataset).examples == 1 && info_of(dataset).records == 1);
  OK(ft_dataset_free(dataset));
}

static ft_batch_options small_batches(void) {
  ft_batch_options options;
  OK(ft_batch_options_init(&options, sizeof options));
  CHECK(options.batch_tokens == 2048 && options.accumulate == 1 && options.epochs == 1);
  options.batch_examples = 1;
  options.accumulate = 2;
  options.epochs = 3;
  options.seed = 5;
  return options;
}

static void batches_walk_every_epoch_and_go_on_from_a_position(void) {
  enum { kBatches = 12 };
  ft_dataset* dataset = tiny_records();
  const ft_batch_options options = small_batches();
  int32_t first[kBatches];
  int i, j;
  ft_batches *walk = NULL, *other = NULL;
  ft_batch batch;
  ft_batch_position at[kBatches + 1];
  batch.struct_size = sizeof batch;
  OK(ft_batches_create(dataset, &options, &walk));
  for (i = 0; i <= kBatches; ++i) {
    at[i].struct_size = sizeof at[i];
    OK(ft_batches_get_position(walk, &at[i]));
    OK(ft_batches_next(walk, &batch));
    if (i == kBatches) break;
    CHECK(batch.token_count > 0 && batch.segment_count == 1 && batch.epoch == i / 4 && batch.step == i % 4 / 2);
    CHECK(batch.micro_step == i % 2 && batch.segment_offsets[1] == batch.token_count && batch.positions[1] == 1);
    CHECK(batch.supervised_tokens > 0 && batch.weights[batch.token_count - 2] == 1);
    CHECK(batch.labels[batch.token_count - 2] == batch.tokens[batch.token_count - 1]);
    first[i] = batch.tokens[batch.token_count / 2] + 100 * (int32_t)batch.token_count;
  }
  CHECK(batch.token_count == 0 && batch.tokens == NULL);
  OK(ft_batches_next(walk, &batch));
  CHECK(batch.token_count == 0);
  OK(ft_dataset_append_text(dataset, "The walk does not see this.", NULL));
  for (j = 0; j < kBatches; ++j) {
    OK(ft_batches_set_position(walk, &at[j]));
    for (i = j; i < kBatches; ++i) {
      OK(ft_batches_next(walk, &batch));
      CHECK(first[i] == batch.tokens[batch.token_count / 2] + 100 * (int32_t)batch.token_count);
    }
  }
  OK(ft_batches_set_position(walk, &at[kBatches]));
  at[0].micro_step = 2;
  FAILS(FT_ERROR_MISMATCH, ft_batches_set_position(walk, &at[0]));
  at[0].micro_step = 0, at[0].epoch = -1;
  FAILS(FT_ERROR_MISMATCH, ft_batches_set_position(walk, &at[0]));
  OK(ft_dataset_free(dataset));
  OK(ft_batches_next(walk, &batch));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_batches_create(dataset, &options, &other));
  CHECK(other == NULL);
  OK(ft_batches_free(walk));
}

static void batches_refuse_what_cannot_be_walked(void) {
  ft_dataset *none = empty(1024, 0), *dataset = tiny_records();
  ft_batch_options options = small_batches();
  ft_batches* walk = NULL;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_batches_create(none, &options, &walk));
  options.batch_examples = 0, options.batch_tokens = 5;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_batches_create(dataset, &options, &walk));
  options.batch_tokens = 2048, options.epochs = 0;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_batches_create(dataset, &options, &walk));
  options.epochs = 1, options.accumulate = 0;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_batches_create(dataset, &options, &walk));
  options.accumulate = 1, options.order = (ft_order)7;
  FAILS(FT_ERROR_UNSUPPORTED, ft_batches_create(dataset, &options, &walk));
  OK(ft_dataset_free(none));
  OK(ft_dataset_free(dataset));
}

const test_case dataset_tests[] = {
    {"dataset: appended records are those of a file", appended_records_are_those_of_a_file},
    {"dataset: labels follow Hugging Face", labels_follow_hugging_face},
    {"dataset: long records are left out or cut", long_records_are_left_out_or_cut},
    {"dataset: record options are checked, and a refused record changes nothing",
     record_options_are_checked_and_a_refused_record_changes_nothing},
    {"batches: every epoch is walked, and goes on from a position", batches_walk_every_epoch_and_go_on_from_a_position},
    {"batches: what cannot be walked is refused", batches_refuse_what_cannot_be_walked},
    {NULL, NULL}};
