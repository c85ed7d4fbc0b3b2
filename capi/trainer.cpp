// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <thread>

#include "ftlib/core/digest.h"
#include "ftlib/train/plan.h"
#include "ftlib/train/resume.h"
#include "ftlib/train/run.h"
#include "objects.h"

namespace ftlib::capi {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int kKeptStates = 2;

ft_lora_options lora_defaults() {
  ft_lora_options o{};
  o.r = 16, o.lora_alpha = 32;
  return o;
}

ft_train_options train_defaults() {
  ft_train_options o{};
  o.order = FT_ORDER_SHUFFLE, o.epochs = 1, o.batch_tokens = 2048, o.accumulate = 1;
  o.lr = 2e-4, o.schedule = FT_SCHEDULE_COSINE, o.optimizer = FT_ADAMW, o.warmup = 0.05, o.clip = 1;
  o.beta1 = 0.9, o.beta2 = 0.999, o.eps = 1e-8, o.on_nonfinite = FT_NONFINITE_STOP;
  return o;
}

LoraConfig lora_config(const ft_lora_options& o) {
  LoraConfig config;
  config.r = o.r, config.lora_alpha = o.lora_alpha, config.lora_dropout = o.lora_dropout;
  config.use_rslora = flag(o.use_rslora, "use_rslora");
  const auto targets = array(o.target_modules, o.target_module_count, "target_modules");
  if (!targets.empty()) config.target_modules.clear();
  for (const char* name : targets) config.target_modules.emplace_back(need(name, "a name of target_modules"));
  config.target_regex = text_or_empty(o.target_regex);
  const auto ranks = array(o.rank_pattern, o.rank_pattern_count, "rank_pattern");
  const auto rank_values = array(o.rank_pattern_r, o.rank_pattern_count, "rank_pattern_r");
  for (std::size_t i = 0; i < ranks.size(); ++i)
    config.rank_pattern.emplace_back(need(ranks[i], "a key of rank_pattern"), rank_values[i]);
  const auto alphas = array(o.alpha_pattern, o.alpha_pattern_count, "alpha_pattern");
  const auto alpha_values = array(o.alpha_pattern_alpha, o.alpha_pattern_count, "alpha_pattern_alpha");
  for (std::size_t i = 0; i < alphas.size(); ++i)
    config.alpha_pattern.emplace_back(need(alphas[i], "a key of alpha_pattern"), alpha_values[i]);
  return config;
}

TrainOptions train_options(const ft_train_options& o) {
  TrainOptions t;
  t.loader = loader_options(o.order, o.batch_tokens, o.batch_examples, o.accumulate, o.seed);
  t.epochs = o.epochs, t.steps = o.steps;
  t.adamw = {o.lr, o.beta1, o.beta2, o.eps, o.weight_decay};
  t.optimizer = choice(o.optimizer, FT_ADAMW_8BIT, "optimizer") == FT_ADAMW_8BIT ? Optimizer::adamw8bit : Optimizer::adamw;
  constexpr Schedule kSchedules[] = {Schedule::cosine, Schedule::linear, Schedule::constant};
  t.schedule = kSchedules[choice(o.schedule, FT_SCHEDULE_CONSTANT, "schedule")];
  t.warmup = o.warmup, t.clip = o.clip;
  t.on_nonfinite =
      choice(o.on_nonfinite, FT_NONFINITE_SKIP, "on_nonfinite") == FT_NONFINITE_SKIP ? OnNonFinite::skip : OnNonFinite::stop;
  FT_CHECK(o.memory_bytes >= 0 && o.valid_every >= 0 && o.patience >= 0, invalid_argument,
           "memory_bytes, valid_every and patience must not be negative");
  return t;
}

/// Everything of the examples that decides the bits of a run, whether they come from a file or were appended.
std::string examples_digest(std::span<const Example> examples) {
  Sha256 hash;
  for (const Example& example : examples) {
    const std::string head = concat(example.index, " ", example.tokens.size(), " ", example.weight, "\n");
    hash.update(head.data(), head.size());
    hash.update(example.tokens.data(), example.tokens.size() * sizeof example.tokens[0]);
    hash.update(example.supervised.data(), example.supervised.size());
  }
  return hash.hex();
}

}  // namespace

/// ft_trainer.
class TrainerObject {
 public:
  TrainerObject(std::shared_ptr<Model> model, std::shared_ptr<const Dataset> train, std::shared_ptr<const Dataset> valid,
                LoraAdapter adapter, const std::string& initial_digest, const ft_train_options& o)
      : model_(std::move(model)),
        train_((check_not_empty(*train), std::move(train))),
        valid_(std::move(valid)),
        adapter_(std::move(adapter)),
        options_(train_options(o)),
        validation_(valid_ ? std::span<const Example>(valid_->examples) : std::span<const Example>(),
                    {o.valid_every, o.patience}),
        plan_(plan_memory(model_->weights, adapter_, train_->examples, options_, o.memory_bytes,
                          validation_.longest())),
        trainer_(model_->weights, adapter_, train_->examples, options_, plan_.keep, validation_.longest()) {
    describe_run(o, initial_digest);
    progress_.struct_size = sizeof progress_;
    progress_.total_steps = trainer_.total_steps();
    progress_.valid_loss = progress_.best_valid_loss = kNone;
  }

  void step() {
    const OneCall::Scope scope(one_call_, "ft_trainer_step");
    begin_uncancelled();
    step_and_validate();
  }

  void run(ft_progress_callback callback, void* user) {
    const OneCall::Scope scope(one_call_, "ft_trainer_run");
    begin_uncancelled();
    while (!finished()) {
      step_and_validate();
      const ft_progress now = progress();
      const Callback inside(*this);
      if (!wants_to_go_on(callback, &now, user)) cancelled("ft_trainer_run");
    }
  }

  void cancel() noexcept { cancel_.store(true); }

  /// The handle is gone: a call that found it before ends, whether it has begun or not.
  void cancel_for_good() noexcept {
    freed_.store(true);
    cancel();
  }

  ft_progress progress() const {
    const std::lock_guard lock(progress_mutex_);
    return progress_;
  }

  void save(const std::string& folder) {
    const auto scope = call_or_callback("ft_trainer_save");
    save_training(folder, adapter_, trainer_, validation_, run_, kKeptStates);
  }

  void resume(const std::string& folder) {
    const OneCall::Scope scope(one_call_, "ft_trainer_resume");
    const CheckpointSearch search = newest_valid_checkpoint(folder);
    for (const SkippedCheckpoint& skipped : search.skipped)
      warn(concat(folder, "/", skipped.name, " is damaged and was passed over: ", skipped.why));
    FT_CHECK(search.checkpoint.has_value(), not_found, folder, ": there is no valid state to go on from");
    compare_run(folder, search.checkpoint->meta.at("run", folder));
    restore_training(*search.checkpoint, adapter_, trainer_, validation_);
    publish({});
  }

  std::shared_ptr<Adapter> adapter() {
    const auto scope = call_or_callback("ft_trainer_adapter");
    LoraAdapter copy = copy_of(adapter_);
    if (finished()) validation_.copy_best(copy);
    return std::make_shared<Adapter>(AdapterFile{std::move(copy), origin()}, model_->weights.config());
  }

  const MemoryPlan& plan() const noexcept { return plan_; }

 private:
  /// While the host's callback runs: it may save and take the adapter.
  class Callback {
   public:
    explicit Callback(TrainerObject& owner) : owner_(owner) { owner_.callback_thread_ = std::this_thread::get_id(); }
    ~Callback() { owner_.callback_thread_ = std::thread::id(); }

   private:
    TrainerObject& owner_;
  };

  std::unique_ptr<OneCall::Scope> call_or_callback(std::string_view what) {
    if (callback_thread_.load() == std::this_thread::get_id()) return nullptr;
    return std::make_unique<OneCall::Scope>(one_call_, what);
  }

  static void check_not_empty(const Dataset& dataset) {
    FT_CHECK(!dataset.examples.empty(), invalid_argument, "the dataset to train on is empty");
  }

  AdapterOrigin origin() const { return {model_->digest(), model_->weights.base(), model_->name}; }

  void describe_run(const ft_train_options& o, const std::string& initial_digest) {
    run_["options"] = train_options_json(options_);
    Json& options = run_["options"];
    const Json lora = lora_config_json(adapter_.config);
    for (const auto& [key, value] : lora.as_object("lora")) options.append(key, value);
    options["init_adapter"] = initial_digest.empty() ? Json() : Json(initial_digest);
    options["base"] = static_cast<std::int64_t>(model_->weights.base().kind);
    options["block_size"] = std::int64_t{model_->weights.base().block_size};
    options["double_quant"] = model_->weights.base().double_quant;
    options["compute"] = dtype_name(model_->weights.compute());
    options["valid_every"] = o.valid_every, options["patience"] = o.patience;
    run_["digests"]["base"] = model_->digest();
    run_["digests"]["train"] = examples_digest(train_->examples);
    run_["digests"]["valid"] = valid_ ? Json(examples_digest(valid_->examples)) : Json();
  }

  void compare_run(const std::string& folder, const Json& then) const {
    FT_CHECK(then.is_object(), mismatch, folder, " is the state of a run in an output folder; go on with ftlib tune --resume");
    std::string difference;
    for (const char* part : {"options", "digests"}) {
      const std::string text = options_difference(then.at(part, folder), run_.at(part, "run"));
      difference += (difference.empty() || text.empty() ? "" : "; ") + text;
    }
    FT_CHECK(difference.empty(), mismatch, folder, ": the state is of another run: ", difference);
  }

  bool finished() const {
    return (trainer_.done() || validation_.out_of_patience()) && !validation_.due(trainer_);
  }

  /// A validation that was cut short comes first.
  void step_and_validate() {
    if (validation_.due(trainer_)) return validate();
    FT_CHECK(!finished(), invalid_argument, "the run is finished after ", trainer_.step_count(), " steps");
    check_cancelled();
    publish(trainer_.step(&cancel_));
    if (validation_.due(trainer_)) validate();
  }

  void validate() {
    const auto report = validation_.run(model_->weights, adapter_, trainer_, &cancel_);
    if (!report) check_cancelled();
    const std::lock_guard lock(progress_mutex_);
    progress_.validated = 1, progress_.valid_loss = report->loss;
    publish_best();
  }

  /// A cancel is of the call that it finds in progress: one that came too late for the last one is not of this one.
  void begin_uncancelled() noexcept {
    cancel_.store(false);
    if (freed_.load()) cancel();  // after the store: ft_trainer_free in another thread is not overwritten
  }

  void check_cancelled() const {
    FT_CHECK(!cancel_.load(), cancelled, "the trainer was cancelled after step ", trainer_.step_count());
  }

  void publish(const StepReport& report) {
    const std::lock_guard lock(progress_mutex_);
    progress_.step = trainer_.step_count(), progress_.epoch = report.epoch;
    progress_.loss = report.loss, progress_.grad_norm = report.grad_norm, progress_.lr = report.lr;
    progress_.tokens = report.tokens, progress_.supervised_tokens = report.supervised_tokens;
    progress_.seconds = report.seconds, progress_.skipped = report.skipped;
    progress_.validated = 0, progress_.train_loss = trainer_.train_loss();
    publish_best();
  }

  void publish_best() {  // under the mutex
    progress_.best_valid_loss = validation_.has_best() ? validation_.best_loss() : kNone;
    progress_.best_step = validation_.best_step();
    progress_.finished = finished();
  }

  std::shared_ptr<Model> model_;
  std::shared_ptr<const Dataset> train_, valid_;
  LoraAdapter adapter_;
  TrainOptions options_;
  Validation validation_;
  MemoryPlan plan_;
  Trainer trainer_;
  Json run_ = Json::object();
  OneCall one_call_;
  std::atomic<std::thread::id> callback_thread_{};
  std::atomic<bool> cancel_{false}, freed_{false};
  mutable std::mutex progress_mutex_;
  ft_progress progress_{};
};

namespace {

LoraAdapter first_adapter(const Model& model, const ft_lora_options* lora, const std::shared_ptr<Adapter>& initial,
                          std::uint64_t seed) {
  if (initial) {
    FT_CHECK(lora == nullptr, invalid_argument, "init_adapter brings its own options: lora must be NULL");
    fitting(model, initial);
    const AdapterOrigin& origin = initial->file.origin;
    if (!origin.base_digest.empty()) check_base(origin, model.name, model.digest(), model.weights.base());
    return copy_of(initial->weights());
  }
  LoraAdapter adapter = make_lora_adapter(model.weights.config(), lora_config(read_options(lora, lora_defaults())));
  initialize(adapter, seed);
  return adapter;
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_lora_options_init(ft_lora_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, lora_defaults()); });
}

ft_status ft_train_options_init(ft_train_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, train_defaults()); });
}

ft_status ft_trainer_create(const ft_model* model, const ft_dataset* train, const ft_dataset* valid,
                            const ft_lora_options* lora, const ft_train_options* options, ft_trainer** out) {
  return create(out, [&] {
    check_process();
    const auto m = get(model);
    const auto records = get(train);
    const std::shared_ptr<const Dataset> held_out = valid ? get(valid)->snapshot() : nullptr;
    const ft_train_options o = read_options(options, train_defaults());
    const auto initial = get_or_null(o.init_adapter);
    return std::make_shared<TrainerObject>(m, records->snapshot(), held_out, first_adapter(*m, lora, initial, o.seed),
                                           initial ? initial->digest() : std::string(), o);
  });
}

ft_status ft_trainer_free(ft_trainer* trainer) {
  return guard([&] {
    if (trainer == nullptr) return;
    const auto t = get(trainer);
    remove_handle(Object<ft_trainer>::kName, trainer);
    t->cancel_for_good();
  });
}

ft_status ft_trainer_step(ft_trainer* trainer, ft_progress* progress) {
  return guard([&] {
    check_process();
    const auto t = get(trainer);
    if (progress) checked_size<ft_progress>(progress->struct_size);
    t->step();
    if (progress) fill_struct(progress, t->progress(), "progress");
  });
}

ft_status ft_trainer_run(ft_trainer* trainer, ft_progress_callback callback, void* user) {
  return guard([&] {
    check_process();
    get(trainer)->run(callback, user);
  });
}

ft_status ft_trainer_cancel(ft_trainer* trainer) {
  return guard([&] { get(trainer)->cancel(); });
}

ft_status ft_trainer_progress(const ft_trainer* trainer, ft_progress* progress) {
  return guard([&] { fill_struct(progress, get(trainer)->progress(), "progress"); });
}

ft_status ft_trainer_get_plan(const ft_trainer* trainer, ft_memory_plan* plan) {
  return guard([&] {
    const auto t = get(trainer);
    ft_memory_plan value{};
    value.peak_bytes = t->plan().peak_bytes(), value.trainer_bytes = t->plan().trainer_bytes;
    value.budget_bytes = t->plan().budget_bytes;
    value.layers_kept_whole = t->plan().layers(Keep::gemm_outputs);
    value.layers_without_mlp = t->plan().layers(Keep::without_mlp);
    value.layers_input_only = t->plan().layers(Keep::input);
    fill_struct(plan, value, "plan");
  });
}

ft_status ft_trainer_save(ft_trainer* trainer, const char* folder) {
  return guard([&] { get(trainer)->save(need(folder, "folder")); });
}

ft_status ft_trainer_resume(ft_trainer* trainer, const char* folder) {
  return guard([&] {
    check_process();
    get(trainer)->resume(need(folder, "folder"));
  });
}

ft_status ft_trainer_adapter(const ft_trainer* trainer, ft_adapter** out) {
  return create(out, [&] { return get(trainer)->adapter(); });
}
