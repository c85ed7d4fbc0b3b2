// SPDX-License-Identifier: Apache-2.0
// strftime in the C locale, over the proleptic Gregorian calendar.
#include <array>
#include <chrono>

#include "data/jinja_interpreter.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

std::string padded(std::int64_t value, std::size_t width, char fill = '0') {
  std::string digits = concat(value);
  if (digits.size() < width) digits.insert(0, width - digits.size(), fill);
  return digits;
}

/// A moment taken apart.
struct Moment {
  int year;
  unsigned month, day, weekday, year_day;
  std::int64_t hour, minute, second;

  explicit Moment(std::int64_t seconds) {
    using namespace std::chrono;
    const sys_seconds time{std::chrono::seconds(seconds)};
    const sys_days date = floor<days>(time);
    const year_month_day calendar(date);
    year = int{calendar.year()};
    month = unsigned{calendar.month()};
    day = unsigned{calendar.day()};
    weekday = std::chrono::weekday(date).c_encoding();
    year_day = static_cast<unsigned>((date - sys_days(calendar.year() / January / 1)).count());
    const std::int64_t rest = (time - date).count();
    hour = rest / 3600;
    minute = rest / 60 % 60;
    second = rest % 60;
  }
};

std::string field(const Moment& at, char code) {
  switch (code) {
    case 'a': return std::string(kDays[at.weekday].substr(0, 3));
    case 'A': return std::string(kDays[at.weekday]);
    case 'b':
    case 'h': return std::string(kMonths[at.month - 1].substr(0, 3));
    case 'B': return std::string(kMonths[at.month - 1]);
    case 'd': return padded(at.day, 2);
    case 'e': return padded(at.day, 2, ' ');
    case 'm': return padded(at.month, 2);
    case 'y': return padded(at.year % 100, 2);
    case 'Y': return concat(at.year);
    case 'H': return padded(at.hour, 2);
    case 'I': return padded((at.hour + 11) % 12 + 1, 2);
    case 'p': return at.hour < 12 ? "AM" : "PM";
    case 'M': return padded(at.minute, 2);
    case 'S': return padded(at.second, 2);
    case 'f': return "000000";
    case 'j': return padded(at.year_day + 1, 3);
    case 'w': return concat(at.weekday);
    case 'u': return concat(at.weekday == 0 ? 7u : at.weekday);
    case 'z':
    case 'Z': return "";
    case 'n': return "\n";
    case 't': return "\t";
    case '%': return "%";
    default: raise_unsupported("strftime: %", code, " is not supported");
  }
}

std::string_view expansion(char code) {
  switch (code) {
    case 'D':
    case 'x': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'T':
    case 'X': return "%H:%M:%S";
    case 'R': return "%H:%M";
    case 'c': return "%a %b %e %H:%M:%S %Y";
    default: return {};
  }
}

}  // namespace

std::string format_time(std::int64_t seconds, std::string_view pattern) {
  const Moment moment(seconds);
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      out += pattern[i];
      continue;
    }
    char code = pattern[++i];
    const bool bare = code == '-' && i + 1 < pattern.size();  // glibc's %-d: no padding
    if (bare) code = pattern[++i];
    const std::string_view longer = expansion(code);
    std::string text = longer.empty() ? field(moment, code) : format_time(seconds, longer);
    if (bare) text.erase(0, std::min(text.find_first_not_of("0 "), text.size() - 1));
    out += text;
  }
  return out;
}

}  // namespace ftlib::jinja
