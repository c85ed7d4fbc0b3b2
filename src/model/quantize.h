// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <vector>

#include "ftlib/io/safetensors.h"
#include "ftlib/model/quantize.h"

namespace ftlib::inline FTLIB_ABI {

/// A tensor as it lies in some container, about to be written to safetensors.
struct InputTensor {
  std::string file;  ///< for messages
  std::string name;
  SafetensorsDType dtype = SafetensorsDType::f32;
  std::vector<std::int64_t> shape;
  std::int64_t bytes = 0;
  std::function<void(void* out)> read;
};

void check_nf4_options(const Nf4Options& options);

/// The tensors of a safetensors file or of all shards of a model. Throws Error{unsupported} when one is 4-bit already.
std::vector<InputTensor> input_tensors(const SafetensorsModel& model);

/// Writes one file: candidates as NF4, the rest as they are.
QuantizeReport write_quantized(const std::string& out, std::span<const InputTensor> tensors,
                               const SafetensorsMetadata& metadata, const Nf4Options& options,
                               const QuantizeProgressFunction& progress);

}  // namespace ftlib::inline FTLIB_ABI
