// SPDX-License-Identifier: Apache-2.0
#include "objects.h"

namespace ftlib::capi {

LoaderOptions loader_options(ft_order order, std::int64_t batch_tokens, std::int64_t batch_examples,
                             std::int64_t accumulate, std::uint64_t seed) {
  FT_CHECK(batch_examples >= 0, invalid_argument, "batch_examples must not be negative, got ", batch_examples);
  FT_CHECK(batch_examples > 0 || batch_tokens > 0, invalid_argument, "batch_tokens must be positive, got ", batch_tokens);
  FT_CHECK(accumulate >= 1, invalid_argument, "accumulate must be at least 1, got ", accumulate);
  LoaderOptions options;
  options.batch_examples = batch_examples;
  options.batch_tokens = batch_examples > 0 ? 0 : batch_tokens;
  options.accumulate = accumulate;
  options.order = choice(order, FT_ORDER_GIVEN, "order") == FT_ORDER_GIVEN ? Order::given : Order::shuffle;
  options.seed = seed;
  return options;
}

/// ft_batches: a place in the micro-batches of all epochs.
class Batches {
 public:
  Batches(std::shared_ptr<const Dataset> dataset, const ft_batch_options& o)
      : dataset_(std::move(dataset)),
        epochs_(o.epochs),
        loader_(dataset_->examples, loader_options(o.order, o.batch_tokens, o.batch_examples, o.accumulate, o.seed)) {
    FT_CHECK(!dataset_->examples.empty(), invalid_argument, "the dataset is empty");
    FT_CHECK(epochs_ >= 1, invalid_argument, "epochs must be at least 1, got ", epochs_);
    loader_.steps(0);  // what cannot be packed shows now
  }

  ft_batch next() {
    if (epoch_ == epochs_) return {};
    const std::span<const Batch> step = loader_.step(epoch_, step_);
    const Batch& batch = step[static_cast<std::size_t>(micro_step_)];
    ft_batch view{};
    view.epoch = epoch_, view.step = step_, view.micro_step = micro_step_;
    view.token_count = batch.size(), view.segment_count = batch.segments();
    view.supervised_tokens = batch.supervised_tokens();
    view.tokens = batch.tokens.data(), view.labels = batch.labels.data(), view.weights = batch.weights.data();
    view.positions = batch.positions.data(), view.segment_offsets = batch.segment_offsets.data();
    advance(static_cast<std::int64_t>(step.size()));
    return view;
  }

  ft_batch_position position() const {
    ft_batch_position at{};
    at.epoch = epoch_, at.step = step_, at.micro_step = micro_step_;
    return at;
  }

  void go_to(const ft_batch_position& at) {
    const bool end = at.epoch == epochs_ && at.step == 0 && at.micro_step == 0;
    const bool inside = end || (at.epoch >= 0 && at.epoch < epochs_ && at.step >= 0 && at.step < loader_.steps(at.epoch) &&
                                at.micro_step >= 0 && at.micro_step < micro_steps(at.epoch, at.step));
    FT_CHECK(inside, mismatch, "epoch ", at.epoch, ", step ", at.step, ", micro-step ", at.micro_step,
             " lies outside this walk of ", epochs_, " epochs");
    epoch_ = at.epoch, step_ = at.step, micro_step_ = at.micro_step;
  }

  OneCall one_call;

 private:
  std::int64_t micro_steps(std::int64_t epoch, std::int64_t step) {
    return static_cast<std::int64_t>(loader_.step(epoch, step).size());
  }

  void advance(std::int64_t micro_steps_of_step) {
    if (++micro_step_ < micro_steps_of_step) return;
    micro_step_ = 0;
    if (++step_ < loader_.steps(epoch_)) return;
    step_ = 0;
    ++epoch_;
  }

  std::shared_ptr<const Dataset> dataset_;
  std::int64_t epochs_;
  Loader loader_;
  std::int64_t epoch_ = 0, step_ = 0, micro_step_ = 0;
};

namespace {

ft_batch_options batch_defaults() {
  ft_batch_options o{};
  o.order = FT_ORDER_SHUFFLE, o.batch_tokens = 2048, o.accumulate = 1, o.epochs = 1;
  return o;
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_batch_options_init(ft_batch_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, batch_defaults()); });
}

ft_status ft_batches_create(const ft_dataset* dataset, const ft_batch_options* options, ft_batches** out) {
  return create(out, [&] {
    return std::make_shared<Batches>(get(dataset)->snapshot(), read_options(options, batch_defaults()));
  });
}

ft_status ft_batches_free(ft_batches* batches) { return destroy(batches); }

ft_status ft_batches_next(ft_batches* batches, ft_batch* batch) {
  return guard([&] {
    const auto walk = get(batches);
    const OneCall::Scope scope(walk->one_call, "ft_batches_next");
    checked_size<ft_batch>(need(batch, "batch")->struct_size);
    fill_struct(batch, walk->next(), "batch");
  });
}

ft_status ft_batches_get_position(const ft_batches* batches, ft_batch_position* position) {
  return guard([&] {
    const auto walk = get(batches);
    const OneCall::Scope scope(walk->one_call, "ft_batches_get_position");
    fill_struct(position, walk->position(), "position");
  });
}

ft_status ft_batches_set_position(ft_batches* batches, const ft_batch_position* position) {
  return guard([&] {
    const auto walk = get(batches);
    const OneCall::Scope scope(walk->one_call, "ft_batches_set_position");
    walk->go_to(read_struct(position, "position"));
  });
}
