// SPDX-License-Identifier: Apache-2.0
#include "ftlib/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "ftlib/core/profile.h"
#include "ftlib/model/flops.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kSmallest8bitTensor = 4096;  // bitsandbytes' min_8bit_size
constexpr std::int64_t kStateBlock = 256;
constexpr double kLargestRate = 1000;

std::int64_t blocks(std::int64_t n) { return (n + kStateBlock - 1) / kStateBlock; }

bool in_8bit(Optimizer optimizer, std::int64_t n) {
  return optimizer == Optimizer::adamw8bit && n >= kSmallest8bitTensor;
}

/// Bytes of both moments of one tensor.
std::int64_t moment_bytes(Optimizer optimizer, std::int64_t n) {
  return in_8bit(optimizer, n) ? 2 * (n + 4 * blocks(n)) : 8 * n;
}

void check_options(const TrainOptions& o) {
  FT_CHECK(o.epochs >= 1 && o.epochs <= 100000, invalid_argument, "[train] epochs must be 1 to 100000, got ", o.epochs);
  FT_CHECK(o.steps >= 0, invalid_argument, "[train] steps must not be negative, got ", o.steps);
  FT_CHECK(o.adamw.lr >= 0 && o.adamw.lr <= kLargestRate, invalid_argument, "[train] lr must be 0 to ", kLargestRate,
           ", got ", o.adamw.lr);
  FT_CHECK(o.adamw.beta1 >= 0 && o.adamw.beta1 < 1 && o.adamw.beta2 >= 0 && o.adamw.beta2 < 1, invalid_argument,
           "[train] betas must lie in [0, 1), got ", o.adamw.beta1, ",", o.adamw.beta2);
  FT_CHECK(o.adamw.eps > 0 && std::isfinite(o.adamw.eps), invalid_argument, "[train] eps must be positive");
  FT_CHECK(o.adamw.weight_decay >= 0 && std::isfinite(o.adamw.weight_decay), invalid_argument,
           "[train] weight_decay must be finite and >= 0");
  FT_CHECK(o.warmup >= 0 && std::isfinite(o.warmup), invalid_argument, "[train] warmup must be finite and >= 0");
  FT_CHECK(o.clip >= 0 && std::isfinite(o.clip), invalid_argument, "[train] clip must be finite and >= 0");
}

std::int64_t longest(std::span<const Example> examples) {
  std::int64_t length = 1;
  for (const Example& example : examples) length = std::max(length, example.length());
  return length;
}

PassOptions pass_options(std::int64_t max_tokens, std::int64_t max_positions, const std::vector<Keep>& keep) {
  return {max_tokens, max_positions, true, keep};
}

}  // namespace

Json train_options_json(const TrainOptions& o) {
  Json json = Json::object();
  json["batch_tokens"] = o.loader.batch_tokens;
  json["batch_examples"] = o.loader.batch_examples;
  json["accumulate"] = o.loader.accumulate;
  json["order"] = o.loader.order == Order::shuffle ? "shuffle" : "given";
  json["seed"] = static_cast<std::int64_t>(o.loader.seed);
  json["epochs"] = o.epochs;
  json["steps"] = o.steps;
  json["optimizer"] = o.optimizer == Optimizer::adamw ? "adamw" : "adamw8bit";
  json["lr"] = o.adamw.lr, json["beta1"] = o.adamw.beta1, json["beta2"] = o.adamw.beta2;
  json["eps"] = o.adamw.eps, json["weight_decay"] = o.adamw.weight_decay;
  json["schedule"] = schedule_name(o.schedule);
  json["warmup"] = o.warmup;
  json["clip"] = o.clip;
  json["on_nonfinite"] = o.on_nonfinite == OnNonFinite::stop ? "stop" : "skip";
  return json;
}

Json lora_config_json(const LoraConfig& c) {
  Json json = Json::object();
  json["r"] = c.r, json["lora_alpha"] = c.lora_alpha, json["lora_dropout"] = c.lora_dropout;
  json["use_rslora"] = c.use_rslora;
  json["target_modules"] = Json::array();
  for (const std::string& name : c.target_modules) json["target_modules"].push_back(name);
  json["target_regex"] = c.target_regex;
  json["rank_pattern"] = Json::object(), json["alpha_pattern"] = Json::object();
  for (const auto& [key, value] : c.rank_pattern) json["rank_pattern"].append(key, value);
  for (const auto& [key, value] : c.alpha_pattern) json["alpha_pattern"].append(key, value);
  return json;
}

Trainer::Trainer(const CausalLM& model, LoraAdapter& adapter, std::span<const Example> examples,
                 const TrainOptions& options, const std::vector<Keep>& keep, std::int64_t also_fits)
    : model_(model),
      adapter_(adapter),
      options_(options),
      loader_(examples, options.loader),
      gradients_(adapter.parameters.bytes()),
      pass_(
          (check_options(options), model), &adapter,
          pass_options(std::max(loader_.max_batch_tokens(), also_fits), std::max(longest(examples), also_fits), keep)) {
  FT_CHECK(!adapter.modules.empty(), invalid_argument, "[train] the adapter has no modules");
  plan_parameters();
  plan_states();
  plan_steps();
  nll_.reserve(static_cast<std::size_t>(pass_.max_tokens()));
}

std::int64_t Trainer::state_bytes(const LoraAdapter& adapter, const TrainOptions& options) noexcept {
  std::int64_t bytes = 0;
  for (const LoraModule& m : adapter.modules)
    bytes += moment_bytes(options.optimizer, m.r * m.in) + moment_bytes(options.optimizer, m.r * m.out);
  return bytes;
}

std::int64_t Trainer::planned_bytes(const CausalLM& model, const LoraAdapter& adapter, const TrainOptions& options,
                                    std::int64_t max_tokens, std::int64_t max_positions,
                                    const std::vector<Keep>& keep) {
  return adapter.parameters.bytes() + state_bytes(adapter, options) +
         Pass::planned_bytes(model, &adapter, pass_options(max_tokens, max_positions, keep));
}

void Trainer::plan_parameters() {
  const auto add = [&](float* value, std::int64_t n, std::size_t module, bool is_a) {
    const float* gradient = gradients_.as<float>() + (value - adapter_.parameters.as<float>());
    const auto count = static_cast<std::size_t>(n);
    parameters_.push_back({{value, count}, {gradient, count}, module, is_a});
    all_gradients_.emplace_back(gradient, count);
  };
  for (std::size_t m = 0; m < adapter_.modules.size(); ++m) {
    const LoraModule& module = adapter_.modules[m];
    add(module.a, module.r * module.in, m, true);
    add(module.b, module.out * module.r, m, false);
  }
}

void Trainer::plan_states() {
  std::int64_t bytes = 0, floats = 0;
  for (const Parameter& p : parameters_) {
    const auto n = static_cast<std::int64_t>(p.value.size());
    bytes += moment_bytes(options_.optimizer, n);
    floats += 2 * (in_8bit(options_.optimizer, n) ? blocks(n) : n);
  }
  states_ = Buffer(bytes);
  // All f32 first, then all codes, so that every f32 is aligned.
  auto* number = states_.as<float>();
  auto* codes = reinterpret_cast<std::uint8_t*>(number + floats);
  for (const Parameter& p : parameters_) {
    const auto n = static_cast<std::int64_t>(p.value.size());
    if (in_8bit(options_.optimizer, n)) {
      quantized_tensors_.push_back(
          {p.value.data(), p.gradient.data(), codes, codes + n, number, number + blocks(n), n});
      number += 2 * blocks(n), codes += 2 * n;
    } else {
      tensors_.push_back({p.value.data(), p.gradient.data(), number, number + n, n});
      number += 2 * n;
    }
  }
}

void Trainer::plan_steps() {
  total_steps_ = options_.steps;
  if (total_steps_ == 0)
    for (std::int64_t epoch = 0; epoch < options_.epochs; ++epoch) total_steps_ += loader_.steps(epoch);
  warmup_steps_ = static_cast<std::int64_t>(
      options_.warmup < 1 ? std::ceil(options_.warmup * static_cast<double>(total_steps_)) : options_.warmup);
}

/// Forward and backward of all micro-batches; returns the weighted sum of the nll.
double Trainer::accumulate(std::span<const Batch> batches, double weight_sum, const std::atomic<bool>* stop) {
  std::memset(gradients_.data(), 0, static_cast<std::size_t>(gradients_.bytes()));
  const auto scale = static_cast<float>(1.0 / weight_sum);
  double sum = 0;
  for (const Batch& batch : batches) {
    FT_CHECK(!stop || !stop->load(), cancelled, "[train] step ", step_ + 1, ": cancelled; nothing of it was applied");
    pass_.forward_backward(batch, scale, gradients_.as<float>(), nll_, {options_.loader.seed, step_});
    std::size_t row = 0;
    for (std::size_t t = 0; t < batch.labels.size(); ++t)
      if (batch.labels[t] != kIgnoreLabel) sum += double{batch.weights[t]} * double{nll_[row++]};
    if (!std::isfinite(sum)) break;
  }
  return sum;
}

std::string Trainer::non_finite_text(double loss) const {
  if (!std::isfinite(loss))
    return concat("loss is ", loss, ", first not finite after ", pass_.first_non_finite_layer());
  for (const Parameter& p : parameters_) {
    if (!std::ranges::all_of(p.gradient, [](float g) { return std::isfinite(g); }))
      return concat("the gradient of ", adapter_.modules[p.module].name, p.is_a ? ".lora_A" : ".lora_B",
                    " is not finite");
  }
  return "the gradients' norm is not finite";
}

// The last step's parameters meet no forward pass that would show it.
void Trainer::check_update() const {
  for (const Parameter& p : parameters_)
    FT_CHECK(std::ranges::all_of(p.value, [](float value) { return std::isfinite(value); }), non_finite,
             "[train] step ", step_ + 1, ": the update made ", adapter_.modules[p.module].name,
             p.is_a ? ".lora_A" : ".lora_B", " NaN or infinite; lower --lr");
}

void Trainer::update(double lr, double factor) {
  AdamWOptions adamw = options_.adamw;
  adamw.lr = lr;
  ++applied_steps_;
  adamw_step(tensors_, adamw, applied_steps_, static_cast<float>(factor));
  if (!quantized_tensors_.empty())
    adamw_8bit_step(quantized_tensors_, adamw, applied_steps_, static_cast<float>(factor));
  check_update();
  pass_.refresh_adapter();
}

void Trainer::advance() {
  ++step_;
  if (++epoch_step_ < loader_.steps(epoch_)) return;
  epoch_step_ = 0;
  ++epoch_;
}

std::span<const Batch> Trainer::next_batches() {
  const detail::ProfiledCall call("data", [] { return OpWork(); });
  return loader_.step(epoch_, epoch_step_);
}

StepReport Trainer::step(const std::atomic<bool>* stop) {
  FT_CHECK(!done(), invalid_argument, "[train] all ", total_steps_, " steps are done");
  const auto begin = std::chrono::steady_clock::now();
  const std::span<const Batch> batches = next_batches();
  StepReport report;
  report.step = step_ + 1, report.epoch = epoch_;
  double weights = 0;
  for (const Batch& batch : batches) {
    report.tokens += batch.size();
    report.supervised_tokens += batch.supervised_tokens();
    report.flops += training_flops(model_.config(), adapter_, work_of(batch));
    weights += batch.weight_sum();
  }
  report.lr = options_.adamw.lr * schedule_factor(options_.schedule, step_ + 1, warmup_steps_, total_steps_);
  const double sum = weights > 0 ? accumulate(batches, weights, stop) : 0;
  report.loss = weights > 0 ? sum / weights : 0;
  report.grad_norm = weights > 0 ? global_norm(all_gradients_) : 0;
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  if (!finite && options_.on_nonfinite == OnNonFinite::stop)
    throw Error(Status::non_finite, concat("[train] step ", report.step, ": ", non_finite_text(sum),
                                           "; lower --lr, check the records, or use --on-nonfinite skip"));
  report.skipped = !finite;
  if (finite && weights > 0) {
    update(report.lr, double{clip_factor(report.grad_norm, options_.clip)});
    nll_sum_ += sum, weight_sum_ += weights;
  }
  advance();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

std::span<const std::byte> Trainer::optimizer_state() const {
  return {states_.data(), static_cast<std::size_t>(states_.bytes())};
}

Json Trainer::position() const {
  Json json = Json::object();
  json["step"] = step_, json["epoch"] = epoch_, json["epoch_step"] = epoch_step_;
  json["applied_steps"] = applied_steps_;
  json["nll_sum"] = nll_sum_, json["weight_sum"] = weight_sum_;
  return json;
}

void Trainer::restore(std::span<const std::byte> optimizer_state, const Json& position) {
  FT_CHECK(static_cast<std::int64_t>(optimizer_state.size()) == states_.bytes(), mismatch,
           "[train] the optimiser state has ", optimizer_state.size(), " bytes, this run needs ", states_.bytes());
  const auto integer = [&](const char* key) {
    return position.at(key, "position").as_integer(key, 0, std::int64_t{1} << 40);
  };
  const std::int64_t step = integer("step"), epoch = integer("epoch"), epoch_step = integer("epoch_step");
  FT_CHECK(step <= total_steps_ && epoch_step < loader_.steps(epoch), mismatch, "[train] position ",
           dump_json(position), " lies outside this run");
  step_ = step, epoch_ = epoch, epoch_step_ = epoch_step, applied_steps_ = integer("applied_steps");
  nll_sum_ = position.at("nll_sum", "position").as_number("nll_sum");
  weight_sum_ = position.at("weight_sum", "position").as_number("weight_sum");
  std::memcpy(states_.data(), optimizer_state.data(), optimizer_state.size());
  pass_.refresh_adapter();
}

}  // namespace ftlib::inline FTLIB_ABI
