// SPDX-License-Identifier: Apache-2.0
// The systems that the demo compares, their scores on the same held-out records and the differences between them.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ftlib/eval/bootstrap.h"
#include "ftlib/eval/metrics.h"
#include "ftlib/io/file.h"
#include "ftlib/io/json.h"
#include "synopsis.h"

namespace demo {

/// A held-out record.
struct Question {
  std::string id, group, text, reference;
};

/// What one system answered, and how well.
struct Answer {
  std::string output;
  double nll = 0;     ///< nats, summed over the reference's tokens
  double tokens = 0;  ///< supervised ones
  double exact = 0, rouge_l = 0, rules = 0;
};

/// What a training run cost.
struct Training {
  double seconds = 0, tokens_per_s = 0;
  std::int64_t peak_rss_bytes = 0, trainable = 0, parameters = 0;
  std::vector<double> losses{};  ///< of each step
};

struct System {
  std::string key, title;
  std::vector<Answer> answers;  ///< in the order of the questions
  std::optional<Training> training;
  bool has_loss = true;  ///< the reference itself has none
};

enum class Figure { loss = 0, perplexity, exact, rouge_l, rules };
inline constexpr std::array kFigures{Figure::loss, Figure::perplexity, Figure::exact, Figure::rouge_l, Figure::rules};
inline constexpr std::array kFigureKeys{"loss", "perplexity", "exact", "rouge_l", "rules"};
inline constexpr std::array kFigureTitles{"loss", "perplexity", "exact match", "ROUGE-L", "keeps the rules"};

inline bool needs_loss(Figure figure) { return figure == Figure::loss || figure == Figure::perplexity; }

inline double value_of(const Answer& answer, Figure figure) {
  switch (figure) {
    case Figure::exact:
      return answer.exact;
    case Figure::rouge_l:
      return answer.rouge_l;
    case Figure::rules:
      return answer.rules;
    default:
      return answer.nll;
  }
}

inline std::vector<double> values_of(const System& system, Figure figure) {
  std::vector<double> out;
  for (const Answer& answer : system.answers) out.push_back(value_of(answer, figure));
  return out;
}

/// A system's figure over all questions; nothing where it has none.
inline std::optional<double> figure_of(const System& system, Figure figure) {
  if (!needs_loss(figure)) return ftlib::mean(values_of(system, figure));
  if (!system.has_loss) return std::nullopt;
  double nll = 0, tokens = 0;
  for (const Answer& answer : system.answers) nll += answer.nll, tokens += answer.tokens;
  return figure == Figure::loss ? nll / tokens : std::exp(nll / tokens);
}

/// `after` minus `before` on the same questions, with its 95 % interval.
inline std::optional<ftlib::Interval> difference(const System& before, const System& after, Figure figure,
                                                 const std::vector<Question>& questions) {
  if (needs_loss(figure) && !(before.has_loss && after.has_loss)) return std::nullopt;
  std::vector<std::string> groups;
  std::vector<double> weights;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    groups.push_back(questions[i].group);
    if (needs_loss(figure)) weights.push_back(after.answers[i].tokens);
  }
  ftlib::BootstrapOptions options;
  options.exponentiate = figure == Figure::perplexity;
  return ftlib::paired_difference(values_of(before, figure), values_of(after, figure), weights, groups, options);
}

/// Scores an output; `rules` only where the task has them.
inline void score(Answer& answer, const std::string& reference) {
  static const ftlib::Metric rules(synopsis::kRules);
  answer.exact = ftlib::exact_match(answer.output, reference);
  answer.rouge_l = ftlib::rouge_l(answer.output, reference);
  answer.rules = rules.score(answer.output, reference);
}

inline std::vector<ftlib::Json> read_json_lines(const std::string& path) {
  const std::string text = ftlib::read_file(path);
  std::vector<ftlib::Json> out;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (!line.empty()) out.push_back(ftlib::parse_json(line, ftlib::concat(path, ":", out.size() + 1)));
    begin = end + 1;
  }
  return out;
}

inline std::string text_or(const ftlib::Json& record, std::string_view key, std::string other) {
  const ftlib::Json* value = record.find(key);
  return value && value->is_string() ? value->as_string(key) : other;
}

/// The last message of a role, or a plain string.
inline std::string last_content(const ftlib::Json& messages, std::string_view role) {
  if (messages.is_string()) return messages.as_string(role);
  std::string content;
  for (const ftlib::Json& message : messages.as_array("messages"))
    if (message.at("role", "message") == ftlib::Json(role))
      content = message.at("content", "message").as_string("content");
  return content;
}

/// The held-out records: {"messages"} or {"prompt", "completion"}.
inline std::vector<Question> read_questions(const std::string& path) {
  std::vector<Question> out;
  for (const ftlib::Json& record : read_json_lines(path)) {
    const std::string id = text_or(record, "id", std::to_string(out.size() + 1));
    const ftlib::Json* messages = record.find("messages");
    const ftlib::Json& asked = messages ? *messages : record.at("prompt", path);
    const ftlib::Json& answered = messages ? *messages : record.at("completion", path);
    out.push_back({id, text_or(record, "group", id), last_content(asked, "user"), last_content(answered, "assistant")});
  }
  return out;
}

/// Reads what `ftlib eval --per-example` wrote for these questions, in their order.
inline std::vector<Answer> read_answers(const std::string& path, const std::vector<Question>& questions) {
  std::vector<Answer> out;
  for (const ftlib::Json& line : read_json_lines(path)) {
    FT_CHECK(out.size() < questions.size() && line.at("id", path) == ftlib::Json(questions[out.size()].id), internal,
             path, ": line ", out.size() + 1, ": another record than asked");
    Answer answer{line.at("output", path).as_string("output"), line.at("nll", path).as_number("nll"),
                  line.at("supervised_tokens", path).as_number("supervised_tokens")};
    score(answer, questions[out.size()].reference);
    out.push_back(std::move(answer));
  }
  return out;
}

/// The true answers as a system of their own: the ceiling of the rules.
inline System reference_system(const std::vector<Question>& questions) {
  System system{"reference", "reference", {}, {}, false};
  for (const Question& question : questions) {
    Answer answer{question.reference};
    score(answer, question.reference);
    system.answers.push_back(std::move(answer));
  }
  return system;
}

}  // namespace demo
