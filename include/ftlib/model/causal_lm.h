// SPDX-License-Identifier: Apache-2.0
// A frozen language model with an optional adapter, and one packed batch through it: forward to the loss, backward to the
// adapter's gradients, in memory that is planned before the first step.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/data/batch.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/model/lora.h"
#include "ftlib/model/weights.h"

namespace ftlib::inline FTLIB_ABI {

/// bf16 where the CPU multiplies it natively, else f32.
DType default_compute() noexcept;

/// Throws Error{invalid_file, MISMATCH} unless the embedding has a row for each token.
void check_tokenizer(const ModelFiles& files, const Tokenizer& tokenizer);

/// Weights, configuration and arithmetic; immutable after load, so any number of passes may share it from any thread.
class CausalLM {
 public:
  /// `path`: a .gguf file or a Hugging Face folder. `compute`: f32, or bf16 where the CPU has it (else
  /// Error{unsupported}); absent: default_compute(). Throws as ModelFiles::open and load_weights.
  static CausalLM load(const std::string& path, const BaseFormat& base = {}, std::optional<DType> compute = {});
  static CausalLM load(const ModelFiles& files, const BaseFormat& base = {}, std::optional<DType> compute = {});

  const ModelConfig& config() const noexcept { return config_; }
  const ModelWeights& weights() const noexcept { return weights_; }
  const BaseFormat& base() const noexcept { return base_; }
  DType compute() const noexcept { return compute_; }

 private:
  ModelConfig config_;
  BaseFormat base_;
  ModelWeights weights_;
  DType compute_ = DType::f32;
};

/// What a layer keeps from the forward pass; the rest is computed again in the backward pass, with the same bits.
enum class Keep : std::int32_t {
  gemm_outputs = 0,  ///< plan A: every GEMM's output
  without_mlp,       ///< plan B: gate and up are computed again
  input,             ///< plan C: the whole layer is computed again
};

struct PassOptions {
  std::int64_t max_tokens = 2048;  ///< T of the largest batch
  std::int64_t max_positions = 0;  ///< longest segment; 0: max_tokens
  bool backward = false;
  std::vector<Keep> keep;          ///< one a layer; empty: gemm_outputs
};

/// The rows of keys and values that generation keeps, per layer; rows of one sequence are neighbours, and what one head
/// reads of them lies in one piece.
struct KvCache {
  Buffer memory;
  std::int64_t rows = 0;
  std::vector<TensorView> k, v;  ///< per layer [rows, K, E], dtype of the compute

  KvCache() = default;
  KvCache(const CausalLM& model, std::int64_t cache_rows);
};

/// Where a batch's keys and values go, and which keys its queries see.
struct CachePlacement {
  std::vector<std::int32_t> rows;       ///< [T] cache row of each token
  std::vector<std::int32_t> kv_begin;   ///< [S]
  std::vector<std::int32_t> kv_length;  ///< [S], the batch's own tokens included
  std::vector<std::int32_t> logit_rows; ///< [S] row of the batch whose logits are wanted
};

/// Dropout's identity: which step of which seeded run.
struct DropoutKey {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
};

/// One batch at a time through a model; owns every buffer it needs. Not thread-safe; several passes may share a model.
class Pass {
 public:
  /// `adapter` may be null; it must outlive the pass.
  Pass(const CausalLM& model, const LoraAdapter* adapter, const PassOptions& options);
  Pass(Pass&&) noexcept;
  Pass& operator=(Pass&&) noexcept;
  ~Pass();

  /// Bytes that a pass with these options takes, without making it.
  static std::int64_t planned_bytes(const CausalLM& model, const LoraAdapter* adapter, const PassOptions& options);
  const std::vector<ArenaSlot>& slots() const noexcept;
  std::int64_t max_tokens() const noexcept;

  /// Rounds the adapter's f32 masters to the compute dtype; call after every change of the adapter.
  void refresh_adapter();

  /// Negative log-likelihood (nats) of every supervised row, in row order. `nll` is resized.
  void forward(const Batch& batch, std::vector<float>& nll);

  /// The same, then backward: gradients of gradient_scale * sum(weight * nll) are added to `gradients`, a block laid out
  /// as adapter->parameters. Needs options.backward and an adapter.
  void forward_backward(const Batch& batch, float gradient_scale, float* gradients, std::vector<float>& nll,
                        const DropoutKey& dropout = {});

  /// Logits [S, V] f32 of one row of each segment, with keys and values kept in `cache`; and nll as of forward, where the
  /// batch has labels.
  void forward_cached(const Batch& batch, const CachePlacement& placement, KvCache& cache, std::vector<float>& logits,
                      std::vector<float>& nll);

  /// After a pass whose loss is not finite: "model.layers.3" of the first kept activation that is not, or "the head".
  std::string first_non_finite_layer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ftlib
