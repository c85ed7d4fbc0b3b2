// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ftlib/model/weights.h"

namespace ftlib::cli {

/// The shapes that random_model() knows.
std::vector<std::string> shape_names();

/// A model of that shape with bf16 weights, uniform and of the usual variance: speeds of sizes that nobody has to download.
std::unique_ptr<ModelFiles> random_model(const std::string& shape, std::int64_t most_layers);

}  // namespace ftlib::cli
