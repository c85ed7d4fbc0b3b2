// SPDX-License-Identifier: Apache-2.0
// demo FTLIB MODEL FOLDER [TIMES]: what `./run demo` shows. Asks the base model, the base with three examples, a LoRA
// and a QLoRA adapter the same held-out questions (FOLDER/valid.jsonl), after tuning on FOLDER/train.jsonl with the
// ftlib program. TIMES: what `./run demo` measured so far, a JSON object; with more of it it goes to FOLDER/times.json.
#include <chrono>
#include <cstdio>
#include <exception>

#include "command.h"
#include "ftlib/core/digest.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/track/journal.h"
#include "report.h"

namespace demo {
namespace {

using ftlib::concat;
using ftlib::Json;

/// What the reference figures were measured on: with other files they are not comparable.
constexpr char kModelSha256[] = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
constexpr char kTrainSha256[] = "2249b6a2e1a5e8191f1d2bcd35b3ddbc275b7eea08dc874965a59758c3047217";
constexpr char kValidSha256[] = "2b4ffa31472b72d1238554f20979979a63d5a5f803bfd5aea614e638dddf56fd";
constexpr char kReferenceFigures[] =
    "TRL 1.16 + PEFT in bf16 on two such cores, one epoch, r 16: loss 2.483, ROUGE-L 0.314, rules 82.5 %, 422 s, 8.8 "
    "GiB";

constexpr std::size_t kShots = 3, kShown = 3, kSamples = 5;

// Packing must not cost optimiser steps: 768 tokens a step are about as many steps as batches of eight records.
const std::vector<std::string> kTuneOptions{"--rank",     "16",     "--alpha",      "32",  "--batch-tokens", "768",
                                            "--epochs",   "1",      "--max-length", "768", "--lr",           "1.5e-3",
                                            "--schedule", "cosine", "--warmup",     "0.1", "--seed",         "0"};
const std::vector<std::string> kNf4{"--base", "nf4", "--double-quant"};

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::vector<std::string> joined(std::initializer_list<std::vector<std::string>> parts) {
  std::vector<std::string> out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

class Demo {
 public:
  Demo(std::string ftlib, std::string model, std::string folder, Json times)
      : ftlib_(std::move(ftlib)), model_(std::move(model)), folder_(std::move(folder)), times_(std::move(times)) {}

  void run() {
    questions_ = read_questions(file("valid.jsonl"));
    has_rules_ =
        std::ranges::all_of(questions_, [](const Question& q) { return q.text.starts_with(synopsis::kInstruction); });
    info_ = last_event(command({"info", model_}), "info");
    comparable_ = same_files();
    show_first("base", "The base model answers");
    note_seconds("first_answer");
    ask({"base", "base", {}, {}}, {}, file("valid.jsonl"));
    write_few_shot();
    ask({"few_shot", "few-shot (3)", {}, {}}, {}, file("few-shot.jsonl"));
    tune("lora", "LoRA", {});
    tune("qlora", "QLoRA (NF4)", kNf4);
    systems_.push_back(reference_system(questions_));
    write_results();
    show_results();
    note_seconds("all");
    write_times();
  }

 private:
  std::string file(const std::string& name) const { return concat(folder_, "/", name); }

  std::vector<Json> command(std::vector<std::string> words) const {
    words.insert(words.begin(), ftlib_);
    words.push_back("--json");
    return run_command(words);
  }

  /// The words of an evaluation, without the program.
  std::vector<std::string> eval_words(const std::string& key, const std::vector<std::string>& base,
                                      const std::string& data, const std::string& out) const {
    const bool tuned = systems_.size() >= 2;
    return joined({{"eval", "--model", model_},
                   tuned ? std::vector<std::string>{"--adapter", file(key)} : std::vector<std::string>{},
                   base,
                   {"--data", data, "--max-length", "4096", "--metrics", "exact,rouge-l", "--max-tokens",
                    has_rules_ ? "32" : "128", "--per-example", out}});
  }

  void show_first(const std::string& key, const std::string& title, const std::vector<std::string>& base = {}) {
    const std::string out = file("first.jsonl");
    command(joined({eval_words(key, base, file("valid.jsonl"), out), {"--limit", std::to_string(kShown)}}));
    const std::vector<Answer> answers = read_answers(out, questions_);
    print(concat("\n", title, "\n"));
    for (std::size_t i = 0; i < answers.size(); ++i)
      print(concat("  ", questions_[i].id, "\n    wanted  ", shortened(questions_[i].reference, 100), "\n    got     ",
                   shortened(answers[i].output, 100), "\n"));
    std::remove(out.c_str());
  }

  void ask(System system, const std::vector<std::string>& base, const std::string& data) {
    print(concat("\n", system.title, ": ", questions_.size(), " held-out questions\n"));
    const std::string out = file("answers-" + system.key + ".jsonl");
    command(eval_words(system.key, base, data, out));
    system.answers = read_answers(out, questions_);
    FT_CHECK(system.answers.size() == questions_.size(), internal, out, ": ", system.answers.size(), " answers to ",
             questions_.size(), " questions");
    std::remove(out.c_str());
    systems_.push_back(std::move(system));
    print(concat("  loss ", cell(figure_of(systems_.back(), Figure::loss), Figure::loss), ", ROUGE-L ",
                 cell(figure_of(systems_.back(), Figure::rouge_l), Figure::rouge_l), "\n"));
  }

  /// The held-out records with the first training records before them, as turns of one conversation.
  void write_few_shot() const {
    Json::Array shots;
    for (const Question& shot : read_questions(file("train.jsonl"))) {
      if (shots.size() == 2 * kShots) break;
      shots.push_back(Json(Json::Object{{"role", "user"}, {"content", shot.text}}));
      shots.push_back(Json(Json::Object{{"role", "assistant"}, {"content", shot.reference}}));
    }
    std::string text;
    for (const Question& question : questions_) {
      Json::Array prompt = shots;
      prompt.push_back(Json(Json::Object{{"role", "user"}, {"content", question.text}}));
      const Json answer(Json::Object{{"role", "assistant"}, {"content", question.reference}});
      Json record(Json::Object{{"id", question.id}, {"group", question.group}});
      record["prompt"] = prompt;
      record["completion"] = Json::Array{answer};
      text += ftlib::dump_json(record) + "\n";
    }
    ftlib::write_file_atomic(file("few-shot.jsonl"), std::string_view(text));
  }

  std::vector<std::string> tune_words(const std::string& key, const std::vector<std::string>& base) const {
    return joined(
        {{"tune", "--model", model_, "--train", file("train.jsonl"), "--out", file(key)}, base, kTuneOptions});
  }

  void tune(const std::string& key, const std::string& title, const std::vector<std::string>& base) {
    const auto words = tune_words(key, base);
    print(concat("\n", title, ": ./run ftlib ", shell_text(words), "\n"));
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<Json> events = command(joined({words, {"--overwrite"}}));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    System system{key, title, {}, training_of(events, seconds)};
    show_first(key, title + " answers", base);
    ask(std::move(system), base, file("valid.jsonl"));
  }

  Training training_of(const std::vector<Json>& events, double seconds) const {
    const Json &done = last_event(events, "done"), &plan = last_event(events, "plan");
    Training training{seconds, done.at("tokens_per_s", "done").as_number("tokens_per_s"),
                      done.at("peak_rss_bytes", "done").as_integer("peak_rss_bytes"),
                      plan.at("trainable_parameters", "plan").as_integer("trainable_parameters"),
                      info_.at("parameters", "info").as_integer("parameters")};
    for (const Json& event : events)
      if (event.at("event", "event") == Json("step"))
        training.losses.push_back(event.at("loss", "step").as_number("loss"));
    return training;
  }

  /// Since ./run demo began to work.
  void note_seconds(const char* stage) {
    if (times_.is_null()) return;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    times_["seconds"][stage] =
        std::chrono::duration<double>(now).count() - times_.at("began", "TIMES").as_number("began");
  }

  /// With what this machine makes of multiply-adds: epochs of two machines are comparable then.
  void write_times() {
    if (times_.is_null()) return;
    for (const System& system : systems_)
      if (system.training) times_["epoch_seconds"][system.key] = system.training->seconds;
    const Json peak = command({"bench", "peak"}).back();
    for (const char* key : {"isa", "compute", "threads", "compiler", "version", "gflops"})
      times_[key] = peak.at(key, "bench peak");
    times_["comparable"] = comparable_;
    ftlib::write_file_atomic(file("times.json"), ftlib::dump_json(times_) + "\n");
  }

  bool same_files() const {
    return info_.at("digest", "info") == Json(kModelSha256) &&
           ftlib::sha256_file(file("train.jsonl")) == kTrainSha256 &&
           ftlib::sha256_file(file("valid.jsonl")) == kValidSha256;
  }

  std::string reference_line() const {
    return concat("Reference: ", kReferenceFigures,
                  comparable_ ? " (same model and records)" : "; NOT COMPARABLE: model or records differ here");
  }

  // --- results
  // --------------------------------------------------------------------------------------------------------

  Json interval_json(const ftlib::Interval& interval) const {
    return Json(Json::Object{{"estimate", interval.estimate}, {"low", interval.low}, {"high", interval.high}});
  }

  Json differences_json(const System& before, const System& after) const {
    Json json = Json::object();
    for (const Figure figure : figures_shown(has_rules_))
      if (const auto interval = difference(before, after, figure, questions_))
        json.append(kFigureKeys[static_cast<std::size_t>(figure)], interval_json(*interval));
    return json;
  }

  Json system_json(const System& system) const {
    Json json = Json::object();
    for (const Figure figure : figures_shown(has_rules_))
      if (const auto value = figure_of(system, figure))
        json.append(kFigureKeys[static_cast<std::size_t>(figure)], *value);
    if (!system.training) return json;
    json["train_seconds"] = system.training->seconds;
    json["tokens_per_s"] = system.training->tokens_per_s;
    json["peak_rss_bytes"] = system.training->peak_rss_bytes;
    json["trainable_parameters"] = system.training->trainable;
    json["trainable_share"] =
        static_cast<double>(system.training->trainable) / static_cast<double>(system.training->parameters);
    json["minus_base"] = differences_json(systems_[0], system);
    json["minus_few_shot"] = differences_json(systems_[1], system);
    return json;
  }

  void write_results() const {
    Json json = Json::object();
    json["model"] = model_;
    json["model_sha256"] = info_.at("digest", "info");
    json["questions"] = static_cast<std::int64_t>(questions_.size());
    json["comparable_to_reference"] = comparable_;
    for (const System& system : systems_) json[system.key] = system_json(system);
    ftlib::write_file_atomic(file("result.json"), ftlib::dump_json(json, {2, ",", ": ", false, false}) + "\n");
    write_outputs();
    ftlib::write_file_atomic(file("loss.svg"), std::string_view(LossChart(systems_).svg()));
    ftlib::write_file_atomic(file("figures.svg"), std::string_view(figures_svg()));
    ftlib::write_file_atomic(file("report.html"), std::string_view(report()));
  }

  void write_outputs() const {
    std::string text;
    for (const System& system : systems_) {
      if (!system.has_loss) continue;
      for (std::size_t i = 0; i < questions_.size(); ++i) {
        const Answer& answer = system.answers[i];
        Json line(Json::Object{{"system", system.key},
                               {"id", questions_[i].id},
                               {"output", answer.output},
                               {"reference", questions_[i].reference},
                               {"exact", answer.exact},
                               {"rouge_l", answer.rouge_l}});
        if (has_rules_) line["rules"] = answer.rules;
        line["nll"] = answer.nll;
        line["supervised_tokens"] = static_cast<std::int64_t>(answer.tokens);
        text += ftlib::dump_json(line) + "\n";
      }
    }
    ftlib::write_file_atomic(file("outputs.jsonl"), std::string_view(text));
  }

  std::vector<std::vector<std::vector<std::string>>> tables() const {
    const std::vector<const System*> others{&systems_[0], &systems_[1]};
    return {figure_rows(systems_, has_rules_), difference_rows(systems_[2], others, questions_, has_rules_),
            difference_rows(systems_[3], others, questions_, has_rules_), training_rows(systems_)};
  }

  /// Evenly spread over the questions: nobody picked them.
  std::vector<std::size_t> samples() const {
    std::vector<std::size_t> out;
    const std::size_t count = std::min(kSamples, questions_.size());
    for (std::size_t i = 0; i < count; ++i) out.push_back((2 * i + 1) * questions_.size() / (2 * count));
    return out;
  }

  std::vector<std::vector<std::string>> sample_rows(std::size_t i) const {
    std::vector<std::vector<std::string>> rows{{questions_[i].id, shortened(description(i), 400)}};
    for (const System& system : systems_) rows.push_back({system.title, shortened(system.answers[i].output, 400)});
    return rows;
  }

  std::string description(std::size_t i) const {
    const std::string& text = questions_[i].text;
    return has_rules_ ? text.substr(sizeof synopsis::kInstruction - 1 + 2) : text;
  }

  std::string figures_svg() const {
    return svg_table("Figures of the held-out questions", figure_rows(systems_, has_rules_));
  }

  std::string report() const {
    std::vector<Section> sections;
    const auto all = tables();
    std::string differences = html_table(all[1]) + html_table(all[2]);
    sections.push_back({"Training", LossChart(systems_).svg() + html_table(all[3])});
    sections.push_back({concat("Answers to ", questions_.size(), " held-out questions"),
                        figures_svg() + "<p>" + escaped(reference_line()) + "</p>\n"});
    sections.push_back({"Differences on the same questions, with 95 % intervals", differences});
    std::string said;
    for (const std::size_t i : samples()) said += "<div class=\"said\">" + html_table(sample_rows(i)) + "</div>\n";
    sections.push_back({"Samples", said});
    std::string commands;
    for (const auto& [what, line] : next_commands()) commands += concat("# ", what, "\n", line, "\n");
    sections.push_back({"Go on", "<pre>" + escaped(commands) + "</pre>\n"});
    return html_page(
        "ftlib demo: tuned on this machine",
        concat(model_, ", ", info_.at("parameters", "info").as_integer("parameters") / 1'000'000,
               " million parameters. Greedy answers of at most 32 tokens; intervals by a paired bootstrap over "
               "the questions, 10,000 resamples."),
        sections);
  }

  std::vector<std::pair<std::string, std::string>> next_commands() const {
    const std::string adapter = file("lora"), slash = model_.substr(0, model_.rfind('/') + 1);
    const std::string prompt = has_rules_ ? questions_[0].text : shortened(questions_[0].text, 300);
    const std::string peft = concat(
        "from transformers import AutoModelForCausalLM as M; from peft import PeftModel as P; base = "
        "M.from_pretrained(\"",
        slash, "\", gguf_file=\"", model_.substr(slash.size()), "\"); print(P.from_pretrained(base, \"", adapter,
        "\"))");
    return {
        {"your own prompt",
         shell_text({"./run", "ftlib", "generate", "--model", model_, "--adapter", adapter, "--prompt", prompt})},
        {"your own data",
         shell_text({"./run", "ftlib", "tune", "--model", model_, "--train", "F.jsonl", "--out", "mine"})},
        {"load it in PEFT", shell_text({"python3", "-c", peft})},
        {"load it in llama.cpp", shell_text({"llama-cli", "-m", model_, "--lora", adapter + "/adapter.gguf"})},
        {"resume (an interrupted run goes on, a finished one says so)",
         shell_text(joined({{"./run", "ftlib"}, tune_words("lora", {}), {"--resume"}}))},
    };
  }

  void show_results() const {
    const auto all = tables();
    print(concat("\n", aligned(all[0]), "\n", aligned(all[1]), "\n", aligned(all[2]),
                 "\n95 % intervals by a paired bootstrap over the questions, 10,000 resamples; shares in points.\n",
                 reference_line(), "\n\n", aligned(all[3])));
    for (const std::size_t i : samples()) {
      print(concat("\n", shortened(questions_[i].id + ": " + description(i), 160), "\n"));
      for (const System& system : systems_) {
        std::string title = system.title;
        title.resize(14, ' ');
        print(concat("  ", title, shortened(system.answers[i].output, 100), "\n"));
      }
    }
    print(concat("\nadapters     ", file("lora"), ", ", file("qlora"), "\nrun journal  ", file("lora/journal.jsonl"),
                 "\nreport       ", file("report.html"), "\nfigures      ", file("result.json"),
                 "\n\nFive commands to go on with:\n"));
    for (const auto& [what, line] : next_commands()) print(concat("\n# ", what, "\n", line, "\n"));
  }

  std::string ftlib_, model_, folder_;
  std::vector<Question> questions_;
  std::vector<System> systems_;
  Json info_, times_;
  bool has_rules_ = false, comparable_ = false;
};

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) return std::fputs("usage: demo FTLIB MODEL FOLDER [TIMES]\n", stderr), 2;
  try {
    demo::Demo(argv[1], argv[2], argv[3], argc == 5 ? ftlib::parse_json(argv[4], "TIMES") : ftlib::Json()).run();
  } catch (const demo::Interrupted&) {
    return std::fputs("\ninterrupted; what was finished is in the folder\n", stderr), 130;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "demo: %s\n", error.what()), 1;
  }
}
