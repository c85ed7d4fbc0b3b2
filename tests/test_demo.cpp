// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "../examples/debian-synopsis/command.h"
#include "../examples/debian-synopsis/report.h"

using namespace demo;

namespace {

const std::vector<Question> kQuestions{{"a", "a", "?", "fast tool"}, {"b", "b", "?", "small <tool>"}};

System system_of(const std::string& title, std::vector<std::string> outputs, double nll) {
  System system{title, title, {}, {}};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Answer answer{outputs[i], nll * static_cast<double>(i + 1), static_cast<double>(i + 1)};
    score(answer, kQuestions[i].reference);
    system.answers.push_back(answer);
  }
  return system;
}

}  // namespace

TEST_CASE("the demo's figures are token-weighted losses and means of shares, with paired differences") {
  const System base = system_of("base", {"A fast tool.", "nothing"}, 3), tuned = system_of("LoRA", {"fast tool", "x"}, 2);
  CHECK(figure_of(base, Figure::loss) == 3);
  CHECK(figure_of(base, Figure::exact) == 0);
  CHECK(figure_of(tuned, Figure::exact) == 0.5);
  CHECK(figure_of(tuned, Figure::rules) == 1);
  const auto loss = difference(base, tuned, Figure::loss, kQuestions);
  REQUIRE(loss.has_value());
  CHECK(cell(loss, Figure::loss) == "-1.000 [-1.000, -1.000]");
  CHECK(cell(difference(base, tuned, Figure::rules, kQuestions), Figure::rules) == "+50.0 [0.0, +100.0]");
  const System reference = reference_system(kQuestions);
  CHECK(!figure_of(reference, Figure::perplexity).has_value());
  CHECK(figure_of(reference, Figure::rouge_l) == 1);
  CHECK(cell(figure_of(reference, Figure::loss), Figure::loss) == "-");
}

TEST_CASE("tables line up and leave out what the task has not") {
  const std::vector<System> systems{system_of("base", {"A tool.", "b"}, 3), reference_system(kQuestions)};
  CHECK(aligned(figure_rows(systems, false)) ==
        "               base   reference\n"
        "loss          3.000           -\n"
        "perplexity    20.09           -\n"
        "exact match   0.0 %     100.0 %\n"
        "ROUGE-L       0.250       1.000\n");
}

TEST_CASE("the report stands alone and escapes what models say") {
  std::vector<System> systems{system_of("base", {"<script>", "b"}, 3), system_of("LoRA", {"a & b", "\"c\""}, 2)};
  systems[1].training = Training{12, 800, 1 << 30, 5, 100, {3.1, 2.6, 2.2}};
  const std::string svg = LossChart(systems).svg();
  CHECK(svg.starts_with("<svg xmlns="));
  CHECK(svg.find("3.000 to 2.000 held out") != svg.npos);
  const std::string page = html_page("T", "<lead>", {{"Samples", html_table({{"x"}, {"<script>"}}) + svg}});
  const std::string table = svg_table("T", {{"", "a"}, {"b & c", "<script>"}});
  CHECK(table.starts_with("<svg xmlns="));
  CHECK(table.find(">b &amp; c</text>") != table.npos);
  CHECK(table.find(">&lt;script&gt;</text>") != table.npos);
  CHECK(table.ends_with("</svg>\n"));
  CHECK(page.find("<script") == page.npos);
  CHECK(page.find("&lt;script&gt;") != page.npos);
  for (const char* outside : {"http:", "https:", "src=", "href="}) {
    std::string rest = page;
    rest.erase(rest.find("http://www.w3.org/2000/svg"), 26);
    CHECK_MESSAGE(rest.find(outside) == rest.npos, outside);
  }
  CHECK(aligned(training_rows(systems)) ==
        "                      LoRA\n"
        "training time         12 s\n"
        "tokens a second        800\n"
        "peak memory       1.00 GiB\n"
        "trainable           5.00 %\n");
}

TEST_CASE("commands to paste survive quotes, line breaks and blanks") {
  CHECK(shell_text({"./run", "a b", "it's", "x\ny", "", "k=v,1"}) == "./run 'a b' $'it\\'s' $'x\\ny' '' k=v,1");
  CHECK(shortened("one\ntwo \xC3\xA9\xC3\xA9\xC3\xA9", 12) == "one two ...");
}

TEST_CASE("a command's events are read, its failure and its interruption are told apart") {
  const auto events = run_command({"/bin/sh", "-c", "echo '{\"event\":\"a\",\"x\":1}'; echo '{\"event\":\"b\"}'"});
  CHECK(events.size() == 2);
  CHECK(last_event(events, "a").at("x", "").as_integer("") == 1);
  CHECK_THROWS_AS(last_event(events, "c"), ftlib::Error);
  CHECK_THROWS_WITH_AS(run_command({"/bin/sh", "-c", "exit 3"}), "exit code 3 of /bin/sh -c 'exit 3'", ftlib::Error);
  CHECK_THROWS_AS(run_command({"/bin/sh", "-c", "exit 130"}), Interrupted);
  CHECK_THROWS_AS(run_command({"/nowhere/ftlib"}), ftlib::Error);
  CHECK_THROWS_AS(run_command({"/bin/sh", "-c", "echo no json"}), ftlib::Error);
}
