// SPDX-License-Identifier: Apache-2.0
#include "profile.h"

#include <algorithm>
#include <array>

#include "cli.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/ops/peak.h"
#include "ftlib/track/trace.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

/// The table's columns: 100 characters in all.
struct Column {
  const char* name;
  std::size_t width;
};
constexpr std::size_t kNameWidth = 36;
constexpr Column kColumns[] = {{"calls", 7}, {"ms", 10},     {"time", 7},    {"GFLOP", 9},
                               {"GB", 8},    {"GFLOP/s", 8}, {"of peak", 8}, {"GB/s", 7}};
using Cells = std::array<std::string, std::size(kColumns)>;

std::string line_text(const std::string& name, const Cells& cells) {
  std::string text = name + std::string(kNameWidth - std::min(kNameWidth, name.size()), ' ');
  for (std::size_t i = 0; i < cells.size(); ++i)
    text += std::string(kColumns[i].width - std::min(kColumns[i].width, cells[i].size()), ' ') + cells[i];
  return text;
}

std::string header() {
  Cells names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kColumns[i].name;
  return line_text("op", names);
}

/// 0.012, 1.23, 12.3, 1234.
std::string short_number(double value) { return fixed(value, value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3); }

/// "linear q4_1 [576, 1536]"
std::string label(const Profile::Total& total) {
  std::string text = concat(total.op, total.work.format.empty() ? "" : " ", total.work.format);
  if (total.work.columns > 0) text += concat(" [", total.work.columns, ", ", total.work.depth, "]");
  return text;
}

struct Rates {
  double gflops = 0, peak_fraction = 0, gb_per_s = 0;
  Rates(const Profile::Total& total, double peak) {
    if (total.seconds <= 0) return;
    gflops = total.work.flops / total.seconds / 1e9, peak_fraction = total.work.flops / total.seconds / peak;
    gb_per_s = total.work.bytes / total.seconds / 1e9;
  }
};

Json row_json(const Profile::Total& total, double share, const Rates& rates) {
  Json json = Json::object();
  json["event"] = "profile", json["op"] = total.op;
  if (!total.work.format.empty()) json["format"] = total.work.format;
  if (total.work.columns > 0) json["columns"] = total.work.columns, json["depth"] = total.work.depth;
  json["calls"] = total.calls, json["seconds"] = total.seconds, json["share"] = share;
  json["flops"] = total.work.flops, json["bytes"] = total.work.bytes;
  json["gflops"] = rates.gflops, json["peak_fraction"] = rates.peak_fraction, json["gb_per_s"] = rates.gb_per_s;
  return json;
}

std::string row_text(const Profile::Total& total, double share, const Rates& rates) {
  const auto where = [](double amount, const std::string& text) { return amount > 0 ? text : "-"; };
  const OpWork& work = total.work;
  return line_text(label(total), {total.calls > 0 ? grouped(total.calls) : "-", fixed(total.seconds * 1e3, 1),
                                  fixed(share * 100, 1) + "%", where(work.flops, short_number(work.flops / 1e9)),
                                  where(work.bytes, short_number(work.bytes / 1e9)),
                                  where(work.flops, short_number(rates.gflops)),
                                  where(work.flops, fixed(rates.peak_fraction * 100, 1) + "%"),
                                  where(work.bytes, short_number(rates.gb_per_s))});
}

/// The products with weights and attention: their operands would be moved if everything else were part of them.
bool is_least(const Profile::Total& total) { return total.op.starts_with("linear") || total.op.starts_with("attention"); }

}  // namespace

void report_profile(const Profile& profile, DType compute, std::int64_t tokens, bool json, const std::string& path) {
  const double peak = peak_flops(compute);
  if (!json) print_line(header());
  Profile::Total all{"all", {}, 0, profile.seconds()};
  const auto print = [&](const Profile::Total& total) {
    const double share = total.seconds / std::max(profile.seconds(), 1e-9);
    const Rates rates(total, peak);
    json ? print_json(row_json(total, share, rates)) : print_line(row_text(total, share, rates));
  };
  double least = 0;
  for (const Profile::Total& total : sorted_totals(profile)) {
    print(total);
    if (is_least(total)) least += total.work.bytes;
    all.work.flops += total.work.flops, all.work.bytes += total.work.bytes, all.calls += total.calls;
  }
  const auto each = static_cast<double>(std::max<std::int64_t>(tokens, 1));  // none where a run had been finished before
  const double moved = all.work.bytes / each;
  least /= each;
  if (json) {
    Json row = row_json(all, 1, Rates(all, peak));
    row["bytes_per_token"] = moved, row["least_bytes_per_token"] = least;
    print_json(row);
  } else {
    print(all);
    print_line(concat("moved for each of ", grouped(tokens), " tokens: ", fixed(moved / 1e6, 2), " MB, each operand once; ",
                      fixed(least / 1e6, 2), " MB if weights and attention were all"));
  }
  write_file_atomic(path, chrome_trace(profile));
  const std::size_t calls = profile.calls().size();
  if (!json)
    print_line(concat("trace of ", calls == Profile::kMostCalls ? "the first " : "", grouped(static_cast<std::int64_t>(calls)),
                      " calls: ", path, " (open it in ui.perfetto.dev or chrome://tracing)"));
}

}  // namespace ftlib::cli
