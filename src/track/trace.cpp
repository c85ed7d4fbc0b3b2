// SPDX-License-Identifier: Apache-2.0
#include "ftlib/track/trace.h"

#include <algorithm>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

double microseconds(ProfileClock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

Json trace_event(const Profile::Total& total, const Profile::Call& call, ProfileClock::time_point origin) {
  Json event = Json::object();
  event["name"] = total.op, event["cat"] = "op", event["ph"] = "X";
  event["ts"] = microseconds(call.begin - origin), event["dur"] = microseconds(call.end - call.begin);
  event["pid"] = 1, event["tid"] = 1;
  Json& args = event["args"] = Json::object();
  args["flops"] = call.work.flops, args["bytes"] = call.work.bytes;
  if (total.work.columns > 0) args["shape"] = Json::array();
  if (total.work.columns > 0) args["shape"].push_back(total.work.columns), args["shape"].push_back(total.work.depth);
  if (!total.work.format.empty()) args["format"] = total.work.format;
  return event;
}

}  // namespace

std::vector<Profile::Total> sorted_totals(const Profile& profile) {
  std::vector<Profile::Total> totals = profile.totals();
  std::ranges::stable_sort(totals, std::greater<>(), &Profile::Total::seconds);
  double outside = profile.seconds();
  for (const Profile::Total& total : totals) outside -= total.seconds;
  totals.push_back({"outside ops", {}, 0, std::max(outside, 0.0)});
  return totals;
}

std::string chrome_trace(const Profile& profile) {
  std::string text = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  const auto& calls = profile.calls();
  for (std::size_t i = 0; i < calls.size(); ++i)
    text += (i == 0 ? "\n" : ",\n") + dump_json(trace_event(profile.totals()[calls[i].total], calls[i], calls[0].begin));
  return text + "\n]}\n";
}

}  // namespace ftlib::inline FTLIB_ABI
