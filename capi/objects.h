// SPDX-License-Identifier: Apache-2.0
// What the handles stand for. Each holds what it needs by shared_ptr, so that the host may free in any order.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "ftlib/data/chat_template.h"
#include "ftlib/data/dataset.h"
#include "ftlib/data/loader.h"
#include "ftlib/model/adapter.h"
#include "ftlib/model/causal_lm.h"
#include "handle.h"

namespace ftlib::capi {

/// ft_tokenizer: what turns text into tokens.
struct Text {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::string date;

  Text(Tokenizer tokens, const ft_tokenizer_options& options);
  const ChatTemplate& need_template() const;
};

/// ft_model.
struct Model {
  std::unique_ptr<ModelFiles> files;  ///< null: opened from memory
  std::string name;                   ///< the path as the host gave it, or "memory"
  std::shared_ptr<Text> text;
  CausalLM weights;

  const std::string& digest() const;  ///< of the base; read once, at first use
  void set_digest(std::string digest) { known_digest_ = std::move(digest); }  ///< where there are no files

 private:
  mutable std::mutex mutex_;
  mutable std::string known_digest_;
};

/// ft_dataset: a snapshot that is shared with whoever was made of it, and copied by the append after that.
class Records {
 public:
  Records(std::shared_ptr<Text> text, DatasetOptions options, Dataset dataset)
      : text_(std::move(text)), options_(std::move(options)), dataset_(std::make_shared<Dataset>(std::move(dataset))) {}

  std::shared_ptr<const Dataset> snapshot() const;
  const Text& text() const noexcept { return *text_; }
  const DatasetOptions& options() const noexcept { return options_; }
  void append(Record record, Example example);
  std::int64_t next_number() const;  ///< of the record that would be appended, from 1

 private:
  std::shared_ptr<Text> text_;
  DatasetOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<Dataset> dataset_;
};

/// ft_adapter.
struct Adapter {
  LoraAdapter weights;
  AdapterOrigin origin;
  ModelConfig model;
  std::string digest;
  std::vector<std::string> names;  ///< of the tensors, two a module

  Adapter(LoraAdapter lora, AdapterOrigin from, ModelConfig config);
};

/// One call at a time on an object; a second one is refused, not kept waiting.
class OneCall {
 public:
  class Scope {
   public:
    Scope(OneCall& owner, std::string_view what) : owner_(owner) {
      FT_CHECK(!owner_.busy_.exchange(true, std::memory_order_acquire), busy, what,
               ": another call is in progress on this handle");
    }
    ~Scope() { owner_.busy_.store(false, std::memory_order_release); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    OneCall& owner_;
  };

 private:
  std::atomic<bool> busy_{false};
};

class Batches;
class TrainerObject;
struct EvaluationObject;
struct GenerationObject;

template <> struct Object<ft_tokenizer> { using Type = Text; static constexpr char kName[] = "ft_tokenizer"; };
template <> struct Object<ft_model> { using Type = Model; static constexpr char kName[] = "ft_model"; };
template <> struct Object<ft_dataset> { using Type = Records; static constexpr char kName[] = "ft_dataset"; };
template <> struct Object<ft_batches> { using Type = Batches; static constexpr char kName[] = "ft_batches"; };
template <> struct Object<ft_adapter> { using Type = Adapter; static constexpr char kName[] = "ft_adapter"; };
template <> struct Object<ft_trainer> { using Type = TrainerObject; static constexpr char kName[] = "ft_trainer"; };
template <> struct Object<ft_evaluation> { using Type = EvaluationObject; static constexpr char kName[] = "ft_evaluation"; };
template <> struct Object<ft_generation> { using Type = GenerationObject; static constexpr char kName[] = "ft_generation"; };

/// The model's view of an adapter handle that may be NULL.
inline std::shared_ptr<Adapter> get_or_null(const ft_adapter* adapter) {
  return adapter ? get(adapter) : std::shared_ptr<Adapter>();
}

/// Throws Error{mismatch} where the adapter's modules are not the model's.
const LoraAdapter* fitting(const Model& model, const std::shared_ptr<Adapter>& adapter);

LoaderOptions loader_options(ft_order order, std::int64_t batch_tokens, std::int64_t batch_examples,
                             std::int64_t accumulate, std::uint64_t seed);

}  // namespace ftlib::capi
