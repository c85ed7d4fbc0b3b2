// SPDX-License-Identifier: Apache-2.0
#include "header_mode.h"

#include "ftlib/ops/backend.h"
#include "ftlib/ops/rms_norm.h"

namespace header_mode {

std::vector<float> rms_norm(std::vector<float> x, std::int64_t columns) {
  using namespace ftlib;
  const std::vector<float> weight(static_cast<std::size_t>(columns), 1);
  RmsNormArgs args;
  args.x = args.y = matrix_view<void*>(x.data(), static_cast<std::int64_t>(x.size()) / columns, columns);
  args.weight = vector_view<const void*>(weight.data(), columns);
  ftlib::rms_norm(args);
  return x;
}

std::vector<std::string> backends() {
  std::vector<std::string> names;
  for (const ftlib::KernelTable* backend : ftlib::backends()) names.emplace_back(backend->name);
  return names;
}

}  // namespace header_mode
