// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/flops.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

double linear_parameters(const ModelConfig& config) {
  double sum = 0;
  for (int kind = 0; kind < kLinearKinds; ++kind) {
    const LinearShape shape = linear_shape(config, static_cast<LinearKind>(kind));
    sum += static_cast<double>(shape.out) * static_cast<double>(shape.in);
  }
  return sum * static_cast<double>(config.num_hidden_layers);
}

double attention_width(const ModelConfig& config) {
  return static_cast<double>(config.q_size()) * static_cast<double>(config.num_hidden_layers);
}

}  // namespace

Work work_of(const Batch& batch) noexcept {
  Work work;
  for (std::int64_t s = 0; s < batch.segments(); ++s) {
    const auto index = static_cast<std::size_t>(s);
    work.add_segment(batch.segment_offsets[index + 1] - batch.segment_offsets[index], 0);
  }
  work.supervised_tokens = batch.supervised_tokens();
  return work;
}

double forward_flops(const ModelConfig& config, const LoraAdapter* adapter, const Work& work) noexcept {
  double per_token = 2 * linear_parameters(config);
  if (adapter)
    for (const LoraModule& m : adapter->modules) per_token += 2.0 * static_cast<double>(m.r * (m.in + m.out));
  const double head = 2.0 * static_cast<double>(config.vocab_size * config.hidden_size);
  return per_token * static_cast<double>(work.tokens) + head * static_cast<double>(work.supervised_tokens) +
         4 * attention_width(config) * work.attention_pairs;
}

double training_flops(const ModelConfig& config, const LoraAdapter& adapter, const Work& work) noexcept {
  double backward = 2 * linear_parameters(config);
  for (const LoraModule& m : adapter.modules) backward += 4.0 * static_cast<double>(m.r * (m.in + m.out));
  const double head = 2.0 * static_cast<double>(config.vocab_size * config.hidden_size);
  return forward_flops(config, &adapter, work) + backward * static_cast<double>(work.tokens) +
         head * static_cast<double>(work.supervised_tokens) + 10 * attention_width(config) * work.attention_pairs;
}

}  // namespace ftlib::inline FTLIB_ABI
