// SPDX-License-Identifier: Apache-2.0
#include "profile.h"

#include <algorithm>

#include "cli.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/ops/peak.h"
#include "ftlib/track/trace.h"
#include "progress.h"

namespace ftlib::cli {
namespace {

constexpr std::size_t kWidth = 11;

std::string right(const std::string& text, std::size_t width = kWidth) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}
std::string left(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, text.size()), ' ');
}

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

std::string row_text(const std::string& name, const Profile::Total& total, double share, const Rates& rates) {
  const auto where = [](double amount, const std::string& text) { return right(amount > 0 ? text : "-"); };
  return concat(left(name, 42), right(total.calls > 0 ? grouped(total.calls) : "-"), right(fixed(total.seconds * 1e3, 1)),
                right(fixed(share * 100, 1)), where(total.work.flops, fixed(rates.gflops, 1)),
                where(total.work.flops, fixed(rates.peak_fraction, 3)), where(total.work.bytes, fixed(rates.gb_per_s, 1)));
}

/// The products with weights and attention: their operands would be moved if everything else were part of them.
bool is_least(const Profile::Total& total) { return total.op.starts_with("linear") || total.op.starts_with("attention"); }

}  // namespace

void report_profile(const Profile& profile, DType compute, std::int64_t tokens, bool json, const std::string& path) {
  const double peak = peak_flops(compute);
  if (!json)
    print_line(concat(left("op", 42), right("calls"), right("ms"), right("% of time"), right("GFLOP/s"), right("of peak"),
                      right("GB/s")));
  Profile::Total all{"all", {}, 0, profile.seconds()};
  const auto print = [&](const Profile::Total& total) {
    const double share = total.seconds / std::max(profile.seconds(), 1e-9);
    const Rates rates(total, peak);
    json ? print_json(row_json(total, share, rates)) : print_line(row_text(label(total), total, share, rates));
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
