// SPDX-License-Identifier: Apache-2.0
// Figures as text: cells, their padding, and the tables that the demo prints.
#pragma once
#include <string>
#include <vector>

#include "progress.h"
#include "results.h"

namespace demo {

using ftlib::cli::fixed;

inline bool is_share(Figure figure) { return figure == Figure::exact || figure == Figure::rules; }

/// "3.914", "50.1", "82.5 %"; "-" of nothing.
inline std::string cell(std::optional<double> value, Figure figure) {
  if (!value) return "-";
  if (is_share(figure)) return ftlib::concat(fixed(*value * 100, 1), " %");
  return fixed(*value, figure == Figure::perplexity ? 2 : 3);
}

/// "-1.431 [-1.502, -1.364]"; shares in percentage points.
inline std::string cell(const std::optional<ftlib::Interval>& interval, Figure figure) {
  if (!interval) return "-";
  const double scale = is_share(figure) ? 100 : 1;
  const int digits = is_share(figure) ? 1 : figure == Figure::perplexity ? 2 : 3;
  const auto number = [&](double value) { return ftlib::concat(value > 0 ? "+" : "", fixed(value * scale, digits)); };
  return ftlib::concat(number(interval->estimate), " [", number(interval->low), ", ", number(interval->high), "]");
}

/// Rows of cells, the first column to the left, the others to the right.
inline std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      line += i == 0 ? row[i] + padding : "   " + padding + row[i];
    }
    out.append(line.substr(0, line.find_last_not_of(' ') + 1)).append("\n");
  }
  return out;
}

/// The figures that the task has.
inline std::vector<Figure> figures_shown(bool has_rules) {
  std::vector<Figure> out;
  for (const Figure figure : kFigures)
    if (has_rules || figure != Figure::rules) out.push_back(figure);
  return out;
}

/// One row a figure, one column a system.
inline std::vector<std::vector<std::string>> figure_rows(const std::vector<System>& systems, bool has_rules) {
  std::vector<std::vector<std::string>> rows{{""}};
  for (const System& system : systems) rows[0].push_back(system.title);
  for (const Figure figure : figures_shown(has_rules)) {
    rows.push_back({kFigureTitles[static_cast<std::size_t>(figure)]});
    for (const System& system : systems) rows.back().push_back(cell(figure_of(system, figure), figure));
  }
  return rows;
}

/// How a tuned system differs from each of `others`.
inline std::vector<std::vector<std::string>> difference_rows(const System& tuned,
                                                             const std::vector<const System*>& others,
                                                             const std::vector<Question>& questions, bool has_rules) {
  std::vector<std::vector<std::string>> rows{{tuned.title + " minus ..."}};
  for (const System* other : others) rows[0].push_back(other->title);
  for (const Figure figure : figures_shown(has_rules)) {
    rows.push_back({kFigureTitles[static_cast<std::size_t>(figure)]});
    for (const System* other : others)
      rows.back().push_back(cell(difference(*other, tuned, figure, questions), figure));
  }
  return rows;
}

/// What training cost.
inline std::vector<std::vector<std::string>> training_rows(const std::vector<System>& systems) {
  std::vector<std::vector<std::string>> rows{
      {""}, {"training time"}, {"tokens a second"}, {"peak memory"}, {"trainable"}};
  for (const System& system : systems) {
    if (!system.training) continue;
    const Training& training = *system.training;
    rows[0].push_back(system.title);
    rows[1].push_back(ftlib::concat(fixed(training.seconds, 0), " s"));
    rows[2].push_back(fixed(training.tokens_per_s, 0));
    rows[3].push_back(ftlib::cli::human_bytes(training.peak_rss_bytes));
    const double share = static_cast<double>(training.trainable) / static_cast<double>(training.parameters);
    rows[4].push_back(ftlib::concat(fixed(share * 100, 2), " %"));
  }
  return rows;
}

/// At most `limit` bytes on one line, cut between code points.
inline std::string shortened(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text)
    out += c == '\n' || c == '\r' || c == '\t' ? ' ' : static_cast<unsigned char>(c) < 32 ? '?' : c;
  if (out.size() <= limit) return out;
  std::size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
  return out.substr(0, end) + "...";
}

}  // namespace demo
