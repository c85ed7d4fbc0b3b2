// SPDX-License-Identifier: Apache-2.0
// Progress for people, on standard error: a bar that redraws itself on a terminal, now and then a plain line otherwise.
#pragma once
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "ftlib/core/error.h"

namespace ftlib::cli {

/// A number with so many digits after the point.
inline std::string fixed(double value, int digits) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits);
  return end.ec == std::errc() ? std::string(text, end.ptr) : concat(value);
}

/// "0:07", "12:05", "1:02:05"; "--:--" of what is unknown.
inline std::string duration(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "--:--";
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  const auto two = [](std::int64_t n) { return concat(n < 10 ? "0" : "", n); };
  const std::int64_t h = whole / 3600, m = whole / 60 % 60;
  return h > 0 ? concat(h, ":", two(m), ":", two(whole % 60)) : concat(m, ":", two(whole % 60));
}

/// "512 B", "93.8 MiB", "1.25 GiB": three digits.
inline std::string human_bytes(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  return concat(fixed(value, unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2), " ", kUnits[unit]);
}

/// `12,345`
inline std::string grouped(std::int64_t value) {
  std::string text = concat(value);
  for (std::size_t i = text.size(), first = value < 0 ? 1 : 0; i > first + 3;) text.insert(i -= 3, 1, ',');
  return text;
}

/// What the bar shows: `tune [=======>        ] 12/63  loss 2.51  ETA 1:20`, cut to the terminal's width. The first
/// `begin` units were done before, by a run that is resumed; the others took `seconds`.
inline std::string progress_text(std::string_view what, std::int64_t done, std::int64_t total, double seconds,
                                 std::string_view note, std::size_t columns, std::int64_t begin = 0) {
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0;
  constexpr std::size_t kCells = 24;
  const auto full = static_cast<std::size_t>(share * kCells);
  std::string bar(full, '=');
  if (full < kCells) bar += '>';
  bar.resize(kCells, ' ');
  const double unit = done > begin ? seconds / static_cast<double>(done - begin) : -1;
  const double left = unit * static_cast<double>(total - done);
  const std::string time = done >= total ? concat("in ", duration(seconds)) : concat("ETA ", duration(left));
  std::string text = concat(what, " [", bar, "] ", done, "/", total, note.empty() ? "" : "  ", note, "  ", time);
  if (text.size() > columns) text.resize(columns);
  return text;
}

/// One task of `total` units, the first `begin` of them done before. Not thread-safe.
class Progress {
 public:
  Progress(std::string what, std::int64_t total, std::int64_t begin = 0)
      : what_(std::move(what)), total_(total), begin_(begin), terminal_(::isatty(STDERR_FILENO) == 1) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { close(); }

  /// `note`: "loss 2.51  812 tokens/s". A plain line comes at most every ten seconds, and at the first and last unit.
  void update(std::int64_t done, std::string_view note) {
    const bool first = drawn_ == Clock::time_point{}, last = done >= total_;
    const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
    if (!first && !last && Clock::now() - drawn_ < pause) return;
    drawn_ = Clock::now();
    const double seconds = std::chrono::duration<double>(drawn_ - start_).count();
    const std::string text = progress_text(what_, done, total_, seconds, note, columns(), begin_);
    std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", text.c_str());
    open_ = terminal_;
    if (last) close();
  }

  /// A line of its own, above the bar.
  void line(std::string_view text) {
    std::fprintf(stderr, open_ ? "\r\x1b[K%.*s\n" : "%.*s\n", static_cast<int>(text.size()), text.data());
    open_ = false;
  }

  /// Leaves the bar as it is and goes to the next line.
  void close() {
    if (std::exchange(open_, false)) std::fputc('\n', stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::size_t columns() const {
    struct winsize size {};
    if (!terminal_ || ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 200;
    return size.ws_col - 1u;
  }

  std::string what_;
  std::int64_t total_, begin_;
  bool terminal_, open_ = false;
  Clock::time_point start_ = Clock::now(), drawn_{};
};

}  // namespace ftlib::cli
