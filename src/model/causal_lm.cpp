// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/causal_lm.h"

#include <cmath>
#include <cstring>

#include "ftlib/core/half.h"
#include "ftlib/core/random.h"
#include "ftlib/ops/convert.h"
#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/embedding.h"
#include "ftlib/ops/linear.h"
#include "ftlib/ops/rms_norm.h"
#include "model/pass_plan.h"

namespace ftlib::inline FTLIB_ABI {

DType default_compute() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bf16")) return DType::bf16;
#endif
  return DType::f32;
}

void check_tokenizer(const ModelFiles& files, const Tokenizer& tokenizer) {
  FT_CHECK_FILE(tokenizer.vocab_size() <= files.config().vocab_size, mismatch, files.path(), ": the tokenizer has ",
                tokenizer.vocab_size(), " tokens, the embedding ", files.config().vocab_size,
                " rows; they do not belong together");
}

CausalLM CausalLM::load(const std::string& path, const BaseFormat& base, std::optional<DType> compute) {
  return load(*ModelFiles::open(path), base, compute);
}

CausalLM CausalLM::load(const ModelFiles& files, const BaseFormat& base, std::optional<DType> compute) {
  CausalLM model;
  model.config_ = files.config();
  model.base_ = base;
  model.compute_ = compute.value_or(default_compute());
  FT_CHECK(model.compute_ == DType::f32 || model.compute_ == DType::bf16, invalid_argument,
           "[model] compute must be f32 or bf16, got ", dtype_name(model.compute_));
  FT_CHECK(model.compute_ == DType::f32 || default_compute() == DType::bf16, unsupported,
           "[model] this CPU has no bf16 arithmetic; use --compute f32");
  model.weights_ = load_weights(files, base);
  return model;
}

KvCache::KvCache(const CausalLM& model, std::int64_t cache_rows) : rows(cache_rows) {
  const ModelConfig& config = model.config();
  const std::int64_t row_bytes = config.kv_size() * dtype_bytes(model.compute());
  memory = Buffer(2 * config.num_hidden_layers * rows * row_bytes);
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
    for (int part = 0; part < 2; ++part) {
      TensorView view{memory.data() + (2 * layer + part) * rows * row_bytes,
                      {rows, config.num_key_value_heads, config.head_dim, 1},
                      {config.head_dim, rows * config.head_dim, 1, 0},
                      3,
                      model.compute()};
      (part == 0 ? k : v).push_back(view);
    }
}

struct Pass::Impl {
  const CausalLM& model;
  const LoraAdapter* adapter;
  PassOptions options;
  PassPlan plan;
  std::vector<std::int32_t> supervised;  ///< rows of the batch that have a label
  std::vector<std::int32_t> targets;
  std::vector<float> weights;
  std::int64_t lowest_adapted = 0;
  std::int64_t last_tokens = 0;

  Impl(const CausalLM& m, const LoraAdapter* a, const PassOptions& o) : model(m), adapter(a), options(o), plan(m, a, o) {
    FT_CHECK(!o.backward || a != nullptr, invalid_argument, "[pass] a backward pass needs an adapter");
    plan.allocate();
    fill_rope();
    const auto most = static_cast<std::size_t>(o.max_tokens);
    supervised.reserve(most), targets.reserve(most), weights.reserve(most);
    lowest_adapted = m.config().num_hidden_layers;
    if (a)
      for (const LoraModule& module : a->modules) lowest_adapted = std::min(lowest_adapted, module.layer);
  }

  void fill_rope();
  void check(const Batch& batch) const;
  LayerContext context(const Batch& batch, std::int64_t layer, const CachePlacement* placement, KvCache* cache,
                       float* gradients, const DropoutKey* dropout);
  void embed_and_run(const Batch& batch, const CachePlacement* placement, KvCache* cache, const DropoutKey* dropout);
  void gather_supervised(const Batch& batch);
  void gather(const std::vector<std::int32_t>& rows);
  void head(float gradient_scale, bool backward, std::vector<float>& nll);
  void scatter_head_gradient(const Batch& batch);
  void backward_layers(const Batch& batch, float* gradients, const DropoutKey& dropout);
};

// Angles in f32 as Hugging Face computes them, so that long positions agree too.
void Pass::Impl::fill_rope() {
  const std::vector<double> frequencies = rope_inverse_frequencies(model.config());
  auto* cosines = data_as<float>(plan.cosines());
  auto* sines = data_as<float>(plan.sines());
  for (std::int64_t p = 0; p < plan.positions(); ++p)
    for (const double frequency : frequencies) {
      const float angle = static_cast<float>(p) * static_cast<float>(frequency);
      *cosines++ = std::cos(angle);
      *sines++ = std::sin(angle);
    }
}

void Pass::Impl::check(const Batch& batch) const {
  FT_CHECK(batch.size() >= 1, invalid_argument, "[pass] the batch is empty");
  FT_CHECK(batch.size() <= options.max_tokens, invalid_argument, "[pass] a batch of ", batch.size(),
           " tokens does not fit the planned ", options.max_tokens);
  for (const std::int32_t position : batch.positions)
    FT_CHECK(position >= 0 && position < plan.positions(), invalid_argument, "[pass] position ", position,
             " is beyond the planned ", plan.positions());
}

LayerContext Pass::Impl::context(const Batch& batch, std::int64_t layer, const CachePlacement* placement, KvCache* cache,
                                 float* gradients, const DropoutKey* dropout) {
  const auto index = static_cast<std::size_t>(layer);
  LayerContext c{model.config(), model.weights().layers[index], {}, {}, plan.cosines(), plan.sines(), {}, {}, 0,
                 plan.scratch(batch.size()), {}, {}};
  c.positions = vector_view<const void*>(batch.positions.data(), batch.size(), DType::i32);
  c.row_keys = vector_view<const void*>(batch.row_keys.data(), batch.size(), DType::i64);
  c.segments = {batch.segment_offsets.data(), nullptr, nullptr, batch.segments()};
  if (placement) {
    c.segments.kv_begin = placement->kv_begin.data(), c.segments.kv_length = placement->kv_length.data();
    c.cache_k = cache->k[index], c.cache_v = cache->v[index], c.cache_rows = placement->rows.data();
  }
  if (adapter == nullptr) return c;
  c.dropout = dropout ? static_cast<float>(adapter->config.lora_dropout) : 0.0f;
  const auto* parameters = adapter->parameters.as<float>();
  for (std::size_t m = 0; m < adapter->modules.size(); ++m) {
    const LoraModule& module = adapter->modules[m];
    if (module.layer != layer) continue;
    LayerAdapter& bound = c.adapters[static_cast<std::size_t>(module.kind)];
    bound.a = plan.adapter_a(m), bound.b = plan.adapter_b(m), bound.scale = module.scale;
    if (gradients) {
      bound.d_a = matrix_view<void*>(gradients + (module.a - parameters), module.r, module.in);
      bound.d_b = matrix_view<void*>(gradients + (module.b - parameters), module.out, module.r);
    }
    if (dropout) {
      const auto id = static_cast<std::uint64_t>(layer * kLinearKinds + static_cast<int>(module.kind));
      const auto words = philox(dropout->seed, static_cast<std::uint64_t>(dropout->step), id);
      bound.dropout_key = (std::uint64_t{words[0]} << 32) | words[1];
    }
  }
  return c;
}

void Pass::Impl::embed_and_run(const Batch& batch, const CachePlacement* placement, KvCache* cache,
                               const DropoutKey* dropout) {
  check(batch);
  last_tokens = batch.size();
  embedding({vector_view<const void*>(batch.tokens.data(), batch.size(), DType::i32), model.weights().embedding,
             plan.hidden(0, batch.size())});
  for (std::int64_t layer = 0; layer < model.config().num_hidden_layers; ++layer)
    forward_layer(context(batch, layer, placement, cache, nullptr, dropout), plan.activations(layer, batch.size()),
                  plan.hidden(layer + 1, batch.size()));
}

void Pass::Impl::gather_supervised(const Batch& batch) {
  supervised.clear(), targets.clear(), weights.clear();
  for (std::size_t t = 0; t < batch.labels.size(); ++t) {
    if (batch.labels[t] == kIgnoreLabel) continue;
    supervised.push_back(static_cast<std::int32_t>(t));
    targets.push_back(batch.labels[t]);
    weights.push_back(batch.weights[t]);
  }
  gather(supervised);
}

/// Copies rows of the final hidden state together and norms them: only they meet the head.
void Pass::Impl::gather(const std::vector<std::int32_t>& rows) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const TensorView from = plan.hidden(model.config().num_hidden_layers, last_tokens), to = plan.head_hidden(count);
  const auto bytes = static_cast<std::size_t>(to.shape[1] * dtype_bytes(to.dtype));
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::memcpy(static_cast<char*>(to.data) + i * bytes, static_cast<char*>(from.data) + static_cast<std::size_t>(rows[i]) * bytes, bytes);
  rms_norm({to, vector_view<const void*>(model.weights().norm, to.shape[1]),
            static_cast<float>(model.config().rms_norm_eps), plan.head_normed(count), plan.head_rstd(count)});
}

void Pass::Impl::head(float gradient_scale, bool backward, std::vector<float>& nll) {
  const auto count = static_cast<std::int64_t>(supervised.size());
  nll.resize(supervised.size());
  if (count == 0) return;
  LinearCrossEntropyArgs args;
  args.hidden = plan.head_normed(count);
  args.head = model.weights().head;
  args.targets = vector_view<const void*>(targets.data(), count, DType::i32);
  args.weights = vector_view<const void*>(weights.data(), count);
  args.gradient_scale = gradient_scale;
  args.nll = vector_view<void*>(nll.data(), count);
  if (backward) args.d_hidden = plan.head_gradient(count);
  args.logits = plan.logits();
  linear_cross_entropy(args);
}

void Pass::Impl::scatter_head_gradient(const Batch& batch) {
  const auto count = static_cast<std::int64_t>(supervised.size());
  const TensorView gradient = plan.head_gradient(count), d_hidden = plan.d_hidden(batch.size());
  std::memset(d_hidden.data, 0, static_cast<std::size_t>(d_hidden.numel() * dtype_bytes(d_hidden.dtype)));
  if (count == 0) return;
  rms_norm_backward({plan.head_hidden(count), vector_view<const void*>(model.weights().norm, gradient.shape[1]),
                     plan.head_rstd(count), gradient, {}, gradient});
  const auto bytes = static_cast<std::size_t>(gradient.shape[1] * dtype_bytes(gradient.dtype));
  for (std::size_t i = 0; i < supervised.size(); ++i)
    std::memcpy(static_cast<char*>(d_hidden.data) + static_cast<std::size_t>(supervised[i]) * bytes,
                static_cast<char*>(gradient.data) + i * bytes, bytes);
}

void Pass::Impl::backward_layers(const Batch& batch, float* gradients, const DropoutKey& dropout) {
  for (std::int64_t layer = model.config().num_hidden_layers - 1; layer >= lowest_adapted; --layer) {
    const LayerContext c = context(batch, layer, nullptr, nullptr, gradients, &dropout);
    const LayerActivations kept = plan.activations(layer, batch.size());
    // The recomputed layer's output goes where the next layer's input was: the same bits, no longer needed.
    if (plan.keep(layer) == Keep::input) forward_layer(c, kept, plan.hidden(layer + 1, batch.size()));
    if (plan.keep(layer) == Keep::without_mlp) recompute_mlp(c, kept);
    backward_layer(c, kept, plan.d_hidden(batch.size()), layer > lowest_adapted);
  }
}

Pass::Pass(const CausalLM& model, const LoraAdapter* adapter, const PassOptions& options)
    : impl_(std::make_unique<Impl>(model, adapter, options)) {
  refresh_adapter();
}
Pass::Pass(Pass&&) noexcept = default;
Pass& Pass::operator=(Pass&&) noexcept = default;
Pass::~Pass() = default;

std::int64_t Pass::planned_bytes(const CausalLM& model, const LoraAdapter* adapter, const PassOptions& options) {
  return PassPlan(model, adapter, options).bytes();
}

const std::vector<ArenaSlot>& Pass::slots() const noexcept { return impl_->plan.slots(); }

std::int64_t Pass::max_tokens() const noexcept { return impl_->options.max_tokens; }

void Pass::refresh_adapter() {
  if (impl_->adapter == nullptr || impl_->model.compute() == DType::f32) return;
  for (std::size_t m = 0; m < impl_->adapter->modules.size(); ++m) {
    const LoraModule& module = impl_->adapter->modules[m];
    convert({matrix_view<const void*>(module.a, module.r, module.in), impl_->plan.adapter_a(m)});
    convert({matrix_view<const void*>(module.b, module.out, module.r), impl_->plan.adapter_b(m)});
  }
}

void Pass::forward(const Batch& batch, std::vector<float>& nll) {
  impl_->embed_and_run(batch, nullptr, nullptr, nullptr);
  impl_->gather_supervised(batch);
  impl_->head(1, false, nll);
}

void Pass::forward_backward(const Batch& batch, float gradient_scale, float* gradients, std::vector<float>& nll,
                            const DropoutKey& dropout) {
  FT_CHECK(impl_->options.backward, invalid_argument, "[pass] this pass was planned without a backward pass");
  impl_->embed_and_run(batch, nullptr, nullptr, &dropout);
  impl_->gather_supervised(batch);
  impl_->head(gradient_scale, true, nll);
  impl_->scatter_head_gradient(batch);
  impl_->backward_layers(batch, gradients, dropout);
}

void Pass::forward_cached(const Batch& batch, const CachePlacement& placement, KvCache& cache,
                          std::vector<float>& logits, std::vector<float>& nll) {
  FT_CHECK(placement.rows.size() == batch.tokens.size() &&
               static_cast<std::int64_t>(placement.kv_begin.size()) == batch.segments() &&
               placement.kv_length.size() == placement.kv_begin.size() &&
               placement.logit_rows.size() == placement.kv_begin.size(),
           invalid_argument, "[pass] the cache placement does not fit the batch");
  impl_->embed_and_run(batch, &placement, &cache, nullptr);
  impl_->gather_supervised(batch);
  impl_->head(1, false, nll);
  impl_->gather(placement.logit_rows);
  const std::int64_t count = batch.segments();
  logits.resize(static_cast<std::size_t>(count * impl_->model.config().vocab_size));
  linear({impl_->plan.head_normed(count), impl_->model.weights().head, {}, {}, {},
          matrix_view<void*>(logits.data(), count, impl_->model.config().vocab_size)});
}

namespace {

bool all_finite(const TensorView& v) {
  const std::int64_t n = v.numel();
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = v.dtype == DType::f32 ? data_as<float>(v)[i] : to_float(data_as<bf16>(v)[i]);
    if (!std::isfinite(value)) return false;
  }
  return true;
}

}  // namespace

std::string Pass::first_non_finite_layer() const {
  const std::int64_t layers = impl_->model.config().num_hidden_layers;
  if (impl_->options.backward)
    for (std::int64_t layer = 0; layer <= layers; ++layer)
      if (!all_finite(impl_->plan.hidden(layer, impl_->last_tokens)))
        return layer == 0 ? "model.embed_tokens" : concat("model.layers.", layer - 1);
  return "the head";
}

}  // namespace ftlib
