// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "ftlib/model/weights.h"

namespace ftlib::inline FTLIB_ABI {

/// One matrix (or vector, as [1, n]) of a model in the form it is computed with, and the memory that the view looks at.
struct BaseWeight {
  WeightView view;
  std::vector<Buffer> memory;
};

/// Throws Error{invalid_argument} for a block size that does not exist.
void check_base_format(const BaseFormat& base);

/// Reads a tensor and, where asked, converts it. Throws as ModelFiles::read, and Error{non_finite} naming the tensor
/// where nf4 meets NaN or infinity.
BaseWeight read_base_weight(const ModelFiles& files, const StoredTensor& tensor, const BaseFormat& base);

}  // namespace ftlib
