// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "ftlib/data/supervision.h"
#include "objects.h"

namespace ftlib::capi {
namespace {

ft_dataset_options dataset_defaults() {
  ft_dataset_options o{};
  o.max_length = 1024;
  return o;
}

ft_record_options record_defaults() {
  ft_record_options o{};
  o.weight = 1;
  return o;
}

DatasetOptions dataset_options(const ft_dataset_options& o, const Text& text) {
  FT_CHECK(o.max_length >= 2, invalid_argument, "max_length must be at least 2, got ", o.max_length);
  FT_CHECK(o.limit >= 0, invalid_argument, "limit must not be negative, got ", o.limit);
  return {{flag(o.supervise_last, "supervise_last") ? Supervise::last : Supervise::all, text.date},
          o.max_length,
          flag(o.truncate, "truncate"),
          o.limit};
}

/// What stands beside the text, in a record that has none yet.
Record new_record(const Records& records, const ft_record_options* options) {
  const auto o = read_options(options, record_defaults());
  FT_CHECK(o.weight >= 0 && o.weight <= double{std::numeric_limits<float>::max()}, invalid_argument,
           "weight must be finite and not negative, got ", o.weight);
  Record record;
  record.id = o.id ? std::string(o.id) : concat(records.next_number());
  record.group = text_or_empty(o.group);
  record.weight = o.weight;
  record.prompt_messages = o.prompt_messages;
  return record;
}

void append_text(Records& records, Record record) {
  const Text& text = records.text();
  Example example = encode_record(record, text.tokenizer, text.template_or_null(),
                                  records.options().encode, concat("record ", record.id));
  records.append(std::move(record), std::move(example));
}

}  // namespace

std::shared_ptr<const Dataset> Records::snapshot() const {
  const std::lock_guard lock(mutex_);
  return dataset_;
}

std::int64_t Records::next_number() const {
  const std::lock_guard lock(mutex_);
  return dataset_->read + 1;
}

// Snapshots are taken under the mutex, so a count of one cannot grow meanwhile.
void Records::append(Record record, Example example) {
  const std::lock_guard lock(mutex_);
  if (dataset_.use_count() > 1) dataset_ = std::make_shared<Dataset>(*dataset_);
  append_example(*dataset_, std::move(record), std::move(example), options_);
}

}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_dataset_options_init(ft_dataset_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, dataset_defaults()); });
}

ft_status ft_record_options_init(ft_record_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, record_defaults()); });
}

ft_status ft_dataset_open(const ft_tokenizer* tokenizer, const char* path, const ft_dataset_options* options,
                          ft_dataset** out) {
  return create(out, [&] {
    check_process();
    const auto text = get(tokenizer);
    const DatasetOptions o = dataset_options(read_options(options, dataset_defaults()), *text);
    Dataset dataset;
    if (path) dataset = load_dataset(path, text->tokenizer, text->template_or_null(), o);
    if (dataset.left_out > 0)
      warn(concat(path, ": ", dataset.left_out, " records of more than ", o.max_length, " tokens left out"));
    return std::make_shared<Records>(text, o, std::move(dataset));
  });
}

ft_status ft_dataset_free(ft_dataset* dataset) { return destroy(dataset); }

ft_status ft_dataset_append_messages(ft_dataset* dataset, const char* const* roles, const char* const* contents,
                                     size_t message_count, const ft_record_options* options) {
  return guard([&] {
    const auto records = get(dataset);
    Record record = new_record(*records, options);
    record.kind = Record::Kind::messages;
    record.messages = messages_of(roles, contents, message_count);
    FT_CHECK(record.prompt_messages < message_count, invalid_argument, "prompt_messages is ", record.prompt_messages,
             ", of ", message_count, " messages");
    records->text().need_template();
    append_text(*records, std::move(record));
  });
}

ft_status ft_dataset_append_completion(ft_dataset* dataset, const char* prompt, const char* completion,
                                       const ft_record_options* options) {
  return guard([&] {
    const auto records = get(dataset);
    Record record = new_record(*records, options);
    record.kind = Record::Kind::completion;
    record.prompt = need(prompt, "prompt"), record.completion = need(completion, "completion");
    append_text(*records, std::move(record));
  });
}

ft_status ft_dataset_append_text(ft_dataset* dataset, const char* text, const ft_record_options* options) {
  return guard([&] {
    const auto records = get(dataset);
    Record record = new_record(*records, options);
    record.text = need(text, "text");
    append_text(*records, std::move(record));
  });
}

ft_status ft_dataset_append_json(ft_dataset* dataset, const char* json, size_t json_bytes) {
  return guard([&] {
    const auto records = get(dataset);
    const auto bytes = array(json, json_bytes, "json");
    append_text(*records, parse_record({bytes.data(), bytes.size()}, "record", records->next_number()));
  });
}

ft_status ft_dataset_append_tokens(ft_dataset* dataset, const int32_t* tokens, const int32_t* labels, size_t token_count,
                                   const ft_record_options* options) {
  return guard([&] {
    const auto records = get(dataset);
    Record record = new_record(*records, options);
    const auto ids = array(tokens, token_count, "tokens"), targets = array(labels, token_count, "labels");
    const std::int32_t vocabulary = records->text().tokenizer.vocab_size();
    Example example;
    example.id = record.id, example.weight = static_cast<float>(record.weight);
    example.tokens.assign(ids.begin(), ids.end());
    example.supervised.resize(token_count);
    for (std::size_t i = 0; i < token_count; ++i) {
      FT_CHECK(ids[i] >= 0 && ids[i] < vocabulary, invalid_argument, "tokens[", i, "] is ", ids[i],
               ", the vocabulary has ", vocabulary);
      FT_CHECK(targets[i] == ids[i] || targets[i] == kIgnoreLabel, invalid_argument, "labels[", i, "] is ", targets[i],
               "; want the token itself, ", ids[i], ", or ", kIgnoreLabel);
      example.supervised[i] = i > 0 && targets[i] != kIgnoreLabel;
    }
    FT_CHECK_FILE(example.supervised_tokens() > 0, schema, "record ", record.id, ": no token is supervised");
    records->append(std::move(record), std::move(example));
  });
}

ft_status ft_dataset_get_info(const ft_dataset* dataset, ft_dataset_info* info) {
  return guard([&] {
    const auto data = get(dataset)->snapshot();
    ft_dataset_info value{};
    value.examples = static_cast<std::int64_t>(data->examples.size());
    value.records = data->read, value.left_out = data->left_out, value.truncated = data->truncated;
    value.tokens = data->tokens, value.supervised_tokens = data->supervised_tokens;
    fill_struct(info, value, "info");
  });
}

ft_status ft_dataset_example(const ft_dataset* dataset, int64_t index, int32_t* tokens, int32_t* labels, size_t capacity,
                             size_t* token_count) {
  return guard([&] {
    *need(token_count, "token_count") = 0;
    const auto data = get(dataset)->snapshot();
    const auto count = static_cast<std::int64_t>(data->examples.size());
    FT_CHECK(index >= 0 && index < count, invalid_argument, "there are ", count, " examples, index is ", index);
    const Example& example = data->examples[static_cast<std::size_t>(index)];
    copy_out(std::span<const std::int32_t>(example.tokens), tokens, capacity, token_count);
    for (std::size_t i = 0; tokens && labels && i < example.tokens.size(); ++i)
      labels[i] = example.supervised[i] ? example.tokens[i] : kIgnoreLabel;
  });
}
