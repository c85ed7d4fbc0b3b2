// SPDX-License-Identifier: Apache-2.0
#include "ftlib/eval/compare.h"
#include "ftlib/eval/evaluate.h"
#include "objects.h"

namespace ftlib::capi {

/// ft_evaluation.
struct EvaluationObject {
  Evaluation found;
  std::vector<Metric> metrics;
  std::vector<std::string> groups;        ///< one an example
  std::vector<std::size_t> places;        ///< of the answers: their example
  std::vector<const ScoredOutput*> outputs;  ///< one an example; null: it has no answer

  std::vector<double> scores(std::string_view name) const {
    for (std::size_t i = 0; i < metrics.size(); ++i)
      if (metrics[i].name() == name) return scores_of(found.outputs, i);
    throw Error(Status::not_found, concat("the evaluation has no metric ", name));
  }
};

namespace {

ft_evaluate_options evaluate_defaults() {
  ft_evaluate_options o{};
  o.max_tokens = 128, o.batch_tokens = 2048;
  return o;
}

Prompts prompts_with_answers(const Records& records, const Dataset& dataset) {
  const Text& text = records.text();
  Prompts found = prompts_of(dataset.records, text.tokenizer, text.template_or_null(), records.options().encode,
                             [](const Record& record) { return concat("record ", record.id); });
  FT_CHECK(!found.prompts.empty(), invalid_argument,
           "metrics need records with a prompt and an answer; the dataset has none");
  return found;
}

/// What ft_evaluate was called with, resolved.
struct Call {
  std::shared_ptr<Model> model;
  std::shared_ptr<Adapter> adapter;
  std::shared_ptr<Records> records;
  std::shared_ptr<const Dataset> dataset;
  ft_evaluate_options options;
  ft_work_callback callback;
  void* user;

  const LoraAdapter* lora() const { return fitting(*model, adapter); }
  void tell(std::int64_t done, std::int64_t total) const {
    if (!wants_to_go_on(callback, done, total, user)) cancelled("ft_evaluate");
  }
};

Evaluation loss_only(const Call& call) {
  return {evaluate_loss(call.model->weights, call.lora(), call.dataset->examples, call.options.batch_tokens, nullptr,
                        [&](std::int64_t done, std::int64_t total) { call.tell(done, total); }),
          {}};
}

Evaluation with_answers(const Call& call, const std::vector<Metric>& metrics, const Prompts& prompts) {
  GenerateOptions options;
  options.max_tokens = call.options.max_tokens, options.stop = stop_tokens(call.records->text().tokenizer);
  const auto total = static_cast<std::int64_t>(prompts.prompts.size());
  std::int64_t begun = 0;
  bool stopped = false;
  const auto on_token = [&](std::size_t prompt, std::int32_t) {
    const auto number = static_cast<std::int64_t>(prompt) + 1;
    if (number <= begun) return true;
    begun = number;
    stopped = !wants_to_go_on(call.callback, begun, total, call.user);
    return !stopped;
  };
  Evaluation found = evaluate(call.model->weights, call.lora(), call.records->text().tokenizer, call.dataset->examples,
                              prompts.prompts, prompts.places, metrics, options, call.options.batch_tokens, on_token);
  if (stopped) cancelled("ft_evaluate");
  return found;
}

std::shared_ptr<EvaluationObject> evaluate_call(const Call& call) {
  FT_CHECK(!call.dataset->examples.empty(), invalid_argument, "the dataset is empty");
  FT_CHECK(call.options.batch_tokens >= 1, invalid_argument, "batch_tokens must be positive, got ",
           call.options.batch_tokens);
  auto object = std::make_shared<EvaluationObject>();
  if (call.options.metrics) object->metrics = parse_metrics(call.options.metrics);
  Prompts prompts;
  if (!object->metrics.empty()) prompts = prompts_with_answers(*call.records, *call.dataset);
  object->found = object->metrics.empty() ? loss_only(call) : with_answers(call, object->metrics, prompts);
  FT_CHECK(std::isfinite(object->found.loss.loss), non_finite, "the loss is ", object->found.loss.loss,
           "; the model or the adapter is damaged, or holds numbers too large for this compute");
  object->groups = record_groups(call.dataset->records);
  object->places = std::move(prompts.places);
  object->outputs.resize(call.dataset->examples.size());
  for (std::size_t i = 0; i < object->found.outputs.size(); ++i)
    object->outputs[object->places[i]] = &object->found.outputs[i];
  return object;
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_evaluate_options_init(ft_evaluate_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, evaluate_defaults()); });
}

ft_status ft_evaluate(const ft_model* model, const ft_adapter* adapter, const ft_dataset* dataset,
                      const ft_evaluate_options* options, ft_work_callback callback, void* user, ft_evaluation** out) {
  return create(out, [&] {
    check_process();
    const auto m = get(model);
    const auto records = get(dataset);
    return evaluate_call({m, get_or_null(adapter), records, records->snapshot(),
                          read_options(options, evaluate_defaults()), callback, user});
  });
}

ft_status ft_evaluation_free(ft_evaluation* evaluation) { return destroy(evaluation); }

ft_status ft_evaluation_get_info(const ft_evaluation* evaluation, ft_evaluation_info* info) {
  return guard([&] {
    const auto e = get(evaluation);
    const LossReport& loss = e->found.loss;
    ft_evaluation_info value{};
    value.loss = loss.loss, value.perplexity = loss.perplexity();
    value.tokens = loss.tokens, value.supervised_tokens = loss.supervised_tokens;
    value.example_count = loss.examples.size(), value.answer_count = e->found.outputs.size();
    value.metric_count = e->metrics.size();
    fill_struct(info, value, "info");
  });
}

ft_status ft_evaluation_metric(const ft_evaluation* evaluation, size_t index, const char** name, double* mean_score) {
  return guard([&] {
    const auto e = get(evaluation);
    FT_CHECK(index < e->metrics.size(), invalid_argument, "there are ", e->metrics.size(), " metrics, index is ", index);
    *need(mean_score, "mean") = mean(scores_of(e->found.outputs, index));
    if (name) *name = e->metrics[index].name().c_str();
  });
}

ft_status ft_evaluation_example(const ft_evaluation* evaluation, size_t index, ft_example_result* result) {
  return guard([&] {
    const auto e = get(evaluation);
    const auto& examples = e->found.loss.examples;
    FT_CHECK(index < examples.size(), invalid_argument, "there are ", examples.size(), " examples, index is ", index);
    ft_example_result value{};
    value.id = examples[index].id.c_str();
    value.nll = examples[index].nll, value.supervised_tokens = examples[index].supervised_tokens;
    if (const ScoredOutput* output = e->outputs[index]) {
      value.output = output->output.c_str(), value.output_bytes = output->output.size();
      value.scores = output->scores.data();
    }
    fill_struct(result, value, "result");
  });
}

ft_status ft_evaluation_compare(const ft_evaluation* before, const ft_evaluation* after, const char* metric,
                                ft_interval* interval) {
  return guard([&] {
    check_process();
    const auto a = get(before), b = get(after);
    Interval difference;
    if (metric == nullptr) {
      FT_CHECK(a->groups == b->groups, mismatch, "the two evaluations are not of the same records");
      difference = loss_difference(a->found.loss, b->found.loss, a->groups);
    } else {
      FT_CHECK(a->places == b->places && a->groups == b->groups, mismatch,
               "the two evaluations are not of the same records");
      difference = score_difference(a->scores(metric), b->scores(metric), a->groups, a->places);
    }
    ft_interval value{};
    value.estimate = difference.estimate, value.low = difference.low, value.high = difference.high;
    fill_struct(interval, value, "interval");
  });
}
