// SPDX-License-Identifier: Apache-2.0
// Two evaluations of the same records: how much the second differs, with the paired interval of bootstrap.h.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "ftlib/data/record.h"
#include "ftlib/eval/bootstrap.h"
#include "ftlib/eval/evaluate.h"

namespace ftlib::inline FTLIB_ABI {

/// What is drawn together: the record's group, or one of its own for a record without.
std::vector<std::string> record_groups(std::span<const Record> records);

/// Of the loss; records of weight 0 do not count. Throws Error{mismatch} where the two are not of the same examples, and
/// as paired_difference.
Interval loss_difference(const LossReport& before, const LossReport& after, std::span<const std::string> groups);

/// Of one metric's scores of the answers; answer i is of the record places[i]. Throws as paired_difference.
Interval score_difference(std::span<const double> before, std::span<const double> after,
                          std::span<const std::string> groups, std::span<const std::size_t> places);

}  // namespace ftlib
