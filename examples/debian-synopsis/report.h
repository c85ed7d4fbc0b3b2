// SPDX-License-Identifier: Apache-2.0
// The report: one HTML file with everything in it, and the loss curve as an SVG that also stands alone.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "table.h"

namespace demo {

inline std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

/// Training loss by step, and the held-out loss before and after as dots.
class LossChart {
 public:
  explicit LossChart(const std::vector<System>& systems) : systems_(systems) {
    double low = 1e300, high = -1e300;
    const auto see = [&](double value) { low = std::min(low, value), high = std::max(high, value); };
    for (const System& system : systems) {
      if (!system.training) continue;
      for (const double loss : system.training->losses) see(loss);
      see(*figure_of(system, Figure::loss));
      see(*figure_of(systems.front(), Figure::loss));
      steps_ = std::max(steps_, system.training->losses.size());
    }
    bottom_ = std::floor(low * 2) / 2;
    top_ = std::max(std::ceil(high * 2) / 2, bottom_ + 0.5);
  }

  std::string svg() const {
    std::string out = ftlib::concat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", kWidth, " ", kHeight, "\" role=\"img\" ",
        "font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>Training loss by step</title>\n<style>\n",
        ".ink{fill:#333}.grid{stroke:#ddd}.curve,.raw{fill:none;stroke-width:2.5}.raw{stroke-width:1;opacity:.4}\n",
        ".s0 polyline{stroke:#2563eb}.s0 .dot,.s0 .name{fill:#2563eb}.s1 polyline{stroke:#d97706}\n",
        ".s1 .dot,.s1 .name{fill:#d97706}.name{font-weight:600}\n",
        "@media(prefers-color-scheme:dark){.ink{fill:#ccc}.grid{stroke:#444}}\n", "</style>\n");
    out += axes();
    std::size_t index = 0;
    for (const System& system : systems_)
      if (system.training) out += series(system, index++);
    return out + "</svg>\n";
  }

 private:
  static constexpr int kWidth = 720, kHeight = 340, kLeft = 52, kRight = 190, kTop = 20, kBottom = 44;

  double x(double step) const {
    const double span = static_cast<double>(std::max<std::size_t>(steps_, 1));
    return kLeft + step / span * (kWidth - kLeft - kRight);
  }
  double y(double loss) const { return kTop + (top_ - loss) / (top_ - bottom_) * (kHeight - kTop - kBottom); }
  static std::string at(double value) { return fixed(value, 1); }

  std::string axes() const {
    std::string out;
    const int lines = static_cast<int>((top_ - bottom_) * 2 + 0.5), every = lines > 8 ? 2 : 1;
    for (int i = 0; i <= lines; i += every) {
      const double loss = bottom_ + i * 0.5;
      out += ftlib::concat("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", at(y(loss)),
                           "\" y2=\"", at(y(loss)), "\"/><text class=\"ink\" text-anchor=\"end\" x=\"", kLeft - 8,
                           "\" y=\"", at(y(loss) + 4), "\">", fixed(loss, 1), "</text>\n");
    }
    for (int i = 0; i <= 4; ++i) {
      const auto step = steps_ * static_cast<std::size_t>(i) / 4;
      out += ftlib::concat("<text class=\"ink\" text-anchor=\"middle\" x=\"", at(x(static_cast<double>(step))),
                           "\" y=\"", kHeight - 24, "\">", step, "</text>\n");
    }
    return out + ftlib::concat(
                     "<text class=\"ink\" x=\"", kLeft, "\" y=\"", kHeight - 6,
                     "\">step; lines: training loss (nats a token) and its running mean; dots: held-out loss</text>\n");
  }

  /// The mean of the last steps, weights falling by a fifth a step.
  static std::vector<double> smoothed(const std::vector<double>& losses) {
    std::vector<double> out;
    double sum = 0, weight = 0;
    for (const double loss : losses) {
      sum = 0.8 * sum + loss, weight = 0.8 * weight + 1;
      out.push_back(sum / weight);
    }
    return out;
  }

  std::string polyline(std::string_view name, const std::vector<double>& losses) const {
    std::string points;
    for (std::size_t i = 0; i < losses.size(); ++i)
      points += ftlib::concat(i ? " " : "", at(x(static_cast<double>(i) + 0.5)), ",", at(y(losses[i])));
    return ftlib::concat("<polyline class=\"", name, "\" points=\"", points, "\"/>");
  }

  std::string series(const System& system, std::size_t index) const {
    const double before = *figure_of(systems_.front(), Figure::loss), after = *figure_of(system, Figure::loss);
    const auto& losses = system.training->losses;
    const double end = x(static_cast<double>(losses.size()));
    const double label = kTop + 20 + static_cast<double>(index) * 40;
    const auto dot = [&](double cx, double loss) {
      return ftlib::concat("<circle class=\"dot\" r=\"4.5\" cx=\"", at(cx), "\" cy=\"", at(y(loss)), "\"/>");
    };
    return ftlib::concat("<g class=\"s", index % 2, "\">", polyline("raw", losses), polyline("curve", smoothed(losses)),
                         dot(x(0), before), dot(end, after), "<text class=\"name\" x=\"", kWidth - kRight + 18,
                         "\" y=\"", at(label), "\">", escaped(system.title), "</text><text class=\"ink\" x=\"",
                         kWidth - kRight + 18, "\" y=\"", at(label + 17), "\">", fixed(before, 3), " to ",
                         fixed(after, 3), " held out</text></g>\n");
  }

  const std::vector<System>& systems_;
  std::size_t steps_ = 0;
  double bottom_ = 0, top_ = 1;
};

inline std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class=\"wide\"><table>\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += "<tr>";
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const char* tag = r == 0 || c == 0 ? "th" : "td";
      out += ftlib::concat("<", tag,
                           r == 0   ? " scope=\"col\">"
                           : c == 0 ? " scope=\"row\">"
                                    : ">",
                           escaped(rows[r][c]), "</", tag, ">");
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

/// The same table as a picture that also stands alone.
inline std::string svg_table(std::string_view title, const std::vector<std::vector<std::string>>& rows) {
  constexpr int kRow = 30, kLetter = 9, kGap = 28;  // units of the view box, for letters of 15
  std::vector<int> right;  // edge of each column
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (c == right.size()) right.push_back(0);
      right[c] = std::max(right[c], static_cast<int>(row[c].size()) * kLetter + kGap);
    }
  for (std::size_t c = 1; c < right.size(); ++c) right[c] += right[c - 1];
  const int width = right.back(), height = kRow * static_cast<int>(rows.size());
  std::string out = ftlib::concat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", width, " ", height, "\" style=\"max-width:", width,
      "px\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"15\">\n<title>", escaped(title),
      "</title>\n<style>.ink{fill:#333}.head{font-weight:600}.grid{stroke:#ddd}\n",
      "@media(prefers-color-scheme:dark){.ink{fill:#ccc}.grid{stroke:#444}}</style>\n");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const int base = kRow * static_cast<int>(r);
    for (std::size_t c = 0; c < rows[r].size(); ++c)
      out += ftlib::concat("<text class=\"ink", r == 0 || c == 0 ? " head" : "", "\" text-anchor=\"",
                           c == 0 ? "start" : "end", "\" x=\"", c == 0 ? 0 : right[c], "\" y=\"", base + 20, "\">",
                           escaped(rows[r][c]), "</text>");
    out += ftlib::concat("<line class=\"grid\" x1=\"0\" x2=\"", width, "\" y1=\"", base + kRow - 1, "\" y2=\"",
                         base + kRow - 1, "\"/>\n");
  }
  return out + "</svg>\n";
}

/// A heading and what stands below it.
struct Section {
  std::string title, body;
};

inline std::string html_page(std::string_view title, std::string_view lead, const std::vector<Section>& sections) {
  std::string out = ftlib::concat(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>",
      escaped(title), "</title>\n<style>\n",
      ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem "
      "auto;padding:0 1rem}\n"
      "h1{font-size:1.7rem}h2{font-size:1.15rem;margin-top:2rem}.wide{overflow-x:auto}svg{width:100%;height:auto}\n"
      "table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.3rem .9rem;text-align:right;"
      "border-bottom:1px solid #8884;white-space:nowrap}th{font-weight:600}th:first-child{text-align:left}\n"
      ".said td,.said th{white-space:normal;text-align:left;vertical-align:top}pre{overflow-x:auto;padding:.8rem;"
      "background:#8881;border-radius:.4rem}\n</style>\n<h1>",
      escaped(title), "</h1>\n<p>", escaped(lead), "</p>\n");
  for (const Section& section : sections) out += ftlib::concat("<h2>", escaped(section.title), "</h2>\n", section.body);
  return out + "</html>\n";
}

}  // namespace demo
