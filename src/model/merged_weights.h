// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "ftlib/model/merge.h"

namespace ftlib::inline FTLIB_ABI {

/// One tensor of the merged model, under its Hugging Face name.
struct MergedTensor {
  const StoredTensor* stored = nullptr;
  const LoraModule* module = nullptr;  ///< what is added; null: nothing
  WeightFormat format = WeightFormat::f32;
  std::vector<std::int64_t> shape;
  std::int64_t bytes = 0;
};

/// Every tensor that a merged model has, in the base's order, and their bytes.
class MergedWeights {
 public:
  MergedWeights(const ModelFiles& base, const AdapterFile& adapter, WeightFormat format,
                const MergeProgressFunction& progress);

  const std::vector<MergedTensor>& tensors() const noexcept { return tensors_; }

  /// The tensor's `bytes`, rows in Hugging Face's order. Reports progress.
  void write(const MergedTensor& tensor, void* out);

 private:
  void add(const StoredTensor& stored, WeightFormat format);

  const ModelFiles& base_;
  const AdapterFile& adapter_;
  const MergeProgressFunction& progress_;
  std::vector<MergedTensor> tensors_;
  std::int64_t done_bytes_ = 0, total_bytes_ = 0;
};

}  // namespace ftlib
