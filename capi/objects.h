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
  const ChatTemplate* template_or_null() const noexcept { return chat_template ? &*chat_template : nullptr; }
  const ChatTemplate& need_template() const;
};

/// Parallel arrays of roles and contents, at least one. Throws Error{invalid_argument} for NULL in any place.
std::vector<Message> messages_of(const char* const* roles, const char* const* contents, std::size_t count);

/// A digest that is computed when it is first asked for.
class LazyDigest {
 public:
  LazyDigest() = default;
  explicit LazyDigest(std::string known) : digest_(std::move(known)) {}

  template <class Compute>
  const std::string& get(Compute&& compute) const {
    const std::lock_guard lock(mutex_);
    if (digest_.empty()) digest_ = compute();
    return digest_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::string digest_;
};

/// ft_model.
struct Model {
  std::unique_ptr<ModelFiles> files;  ///< null: opened from memory
  std::string name;                   ///< the path as the host gave it, or "memory"
  std::shared_ptr<Text> text;
  CausalLM weights;

  Model() = default;
  explicit Model(std::string known_digest) : digest_(std::move(known_digest)) {}
  const std::string& digest() const {  ///< of the base
    return digest_.get([&] { return files->digest(); });
  }

 private:
  LazyDigest digest_;
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
  AdapterFile file;
  ModelConfig model;
  std::vector<std::string> names;  ///< of the tensors, two a module

  Adapter(AdapterFile adapter, ModelConfig config);
  const LoraAdapter& weights() const noexcept { return file.adapter; }
  const std::string& digest() const {
    return digest_.get([&] { return adapter_digest(file.adapter); });
  }

 private:
  LazyDigest digest_;
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
