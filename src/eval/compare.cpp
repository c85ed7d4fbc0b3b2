// SPDX-License-Identifier: Apache-2.0
#include "ftlib/eval/compare.h"

namespace ftlib::inline FTLIB_ABI {

std::vector<std::string> record_groups(std::span<const Record> records) {
  std::vector<std::string> groups;
  for (const Record& record : records) groups.push_back(record.group.empty() ? concat("#", groups.size()) : record.group);
  return groups;
}

Interval loss_difference(const LossReport& before, const LossReport& after, std::span<const std::string> groups) {
  FT_CHECK(before.examples.size() == after.examples.size() && before.examples.size() == groups.size(), mismatch,
           "[compare] one evaluation has ", before.examples.size(), " examples, the other ", after.examples.size());
  std::vector<double> nll_before, nll_after, weights;
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const ExampleLoss &a = before.examples[i], &b = after.examples[i];
    FT_CHECK(a.id == b.id && a.supervised_tokens == b.supervised_tokens && a.weight == b.weight, mismatch,
             "[compare] example ", i + 1, " is ", excerpt(a.id), " in one evaluation, ", excerpt(b.id),
             " in the other: they are not of the same records");
    if (a.weight <= 0) continue;
    nll_before.push_back(a.weight * a.nll), nll_after.push_back(b.weight * b.nll);
    weights.push_back(a.weight * static_cast<double>(a.supervised_tokens));
    kept.push_back(groups[i]);
  }
  return paired_difference(nll_before, nll_after, weights, kept);
}

Interval score_difference(std::span<const double> before, std::span<const double> after,
                          std::span<const std::string> groups, std::span<const std::size_t> places) {
  std::vector<std::string> drawn;
  for (const std::size_t place : places) drawn.push_back(groups[place]);
  return paired_difference(before, after, {}, drawn);
}

}  // namespace ftlib::inline FTLIB_ABI
