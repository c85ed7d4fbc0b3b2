// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "data/jinja_interpreter.h"
#include "data/jinja_lexer.h"
#include "error_of.h"
#include "ftlib/core/digest.h"
#include "ftlib/data/chat_template.h"
#include "ftlib/data/tokenizer.h"
#include "ftlib/io/gguf.h"
#include "golden.h"
#include "test_models.h"

using namespace ftlib;

namespace {

jinja::Value to_value(jinja::Heap& heap, const Json& json) {
  if (json.is_null()) return {};
  if (json.is_bool()) return jinja::Value(json.as_bool(""));
  if (json.is_integer()) return jinja::Value(json.as_integer(""));
  if (json.is_number()) return jinja::Value(json.as_number(""));
  if (json.is_string()) return jinja::make_marked(heap, json.as_string(""));
  if (json.is_array()) {
    std::vector<jinja::Value> elements;
    for (const Json& element : json.as_array("")) elements.push_back(to_value(heap, element));
    return jinja::make_list(heap, std::move(elements));
  }
  std::vector<std::pair<jinja::Value, jinja::Value>> items;
  for (const auto& [key, value] : json.as_object(""))
    items.emplace_back(jinja::make_marked(heap, key), to_value(heap, value));
  return jinja::make_dict(heap, std::move(items));
}

struct Outcome {
  bool raised = false;
  std::string text;  ///< or the message
  std::vector<jinja::Piece> marks, generations;
  Reason reason = Reason::none;
};

Outcome render(const jinja::Program& program, const Json& context, std::optional<std::int64_t> now,
               const jinja::Limits& limits = {}) {
  jinja::Heap heap(limits);
  jinja::Context values;
  int line = 0;
  try {
    for (const auto& [name, value] : context.as_object("")) values.emplace_back(name, to_value(heap, value));
    jinja::Interpreter interpreter(program, heap, std::move(values), now, line);
    jinja::Rendering rendering = interpreter.run();
    return {false, std::move(rendering.text), std::move(rendering.marks), std::move(rendering.generations), {}};
  } catch (const jinja::Raise& raised) {
    return {true, raised.message, {}, {}, raised.reason};
  }
}

Outcome render(std::string_view source, const Json& context = Json::object(), std::optional<std::int64_t> now = {},
               const jinja::Limits& limits = {}) {
  try {
    return render(jinja::compile(source), context, now, limits);
  } catch (const jinja::SyntaxError& error) {
    return {true, error.message, {}, {}, error.reason};
  }
}

std::vector<std::int64_t> span_ends(const std::vector<jinja::Piece>& pieces) {
  std::vector<std::int64_t> ends;
  for (const jinja::Piece& piece : pieces)
    ends.insert(ends.end(), {static_cast<std::int64_t>(piece.begin), static_cast<std::int64_t>(piece.end)});
  return ends;
}

/// As the fixture has it: the beginning of the digest, then the generation spans.
std::string fingerprint(const Outcome& outcome) {
  std::string text = sha256_hex(outcome.text).substr(0, 16);
  for (const std::int64_t end : span_ends(outcome.generations)) text += concat(" ", end);
  return text;
}

/// Renders one template with every context of the fixture and counts what differs from the row.
int differences(const std::string& source, const Json& row, const Json& table) {
  const auto& contexts = table.at("contexts", "").as_array("");
  const auto& wanted = row.as_array("")[2].as_array("");
  REQUIRE(wanted.size() == contexts.size());
  const jinja::Program program = jinja::compile(source);
  int count = 0;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    std::optional<std::int64_t> now;
    if (contexts[i].as_array("")[1].as_bool("")) now = table.at("now", "").as_integer("");
    const Outcome outcome = render(program, contexts[i].as_array("")[0], now);
    const bool same =
        wanted[i].is_null() ? outcome.raised : !outcome.raised && fingerprint(outcome) == wanted[i].as_string("");
    count += same ? 0 : 1;
  }
  return count;
}

std::vector<Message> talk(std::initializer_list<Message> messages) { return messages; }

constexpr std::string_view kTurns =
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

}  // namespace

TEST_CASE("thousands of snippets print what jinja2 prints and raise where it raises") {
  const Json table = golden_json("chat_template_snippets.json");
  const Json& context = table.at("context", "");
  const std::int64_t now = table.at("now", "").as_integer("");
  for (const Json& row : table.at("rows", "").as_array("")) {
    const auto& parts = row.as_array("");
    const std::string& source = parts[0].as_string("");
    const Outcome outcome = render(source, context, now);
    INFO(source);
    INFO(outcome.text);
    CHECK(outcome.raised == (parts.size() == 1));
    if (parts.size() == 1) continue;
    CHECK(outcome.text == parts[1].as_string(""));
    std::vector<std::int64_t> spans;
    if (parts.size() > 2)
      for (const Json& end : parts[2].as_array("")) spans.push_back(end.as_integer(""));
    CHECK(span_ends(outcome.generations) == spans);
  }
}

TEST_CASE("the demo model's template renders every conversation as jinja2 does") {
  const GgufFile file(test_model("SmolLM2-135M-Instruct.Q4_1.gguf"));
  const std::string source = file.at("tokenizer.chat_template").as_string("");
  const Json table = golden_json("chat_template_models.json");
  const Json demo = golden_json("chat_template_demo.json");
  const Json& row = demo.at("rows", "").as_array("")[0];
  REQUIRE(sha256_hex(source) == row.as_array("")[1].as_string(""));
  CHECK(differences(source, row, table) == 0);
}

TEST_CASE("ChatML renders every conversation as jinja2 does") {
  const Json table = golden_json("chat_template_models.json");
  const Json& row = table.at("rows", "").as_array("")[0];
  CHECK(differences(row.as_array("")[1].as_string(""), row, table) == 0);
}

TEST_CASE("the templates of seventy model families render every conversation as jinja2 does" *
          doctest::test_suite("check") * doctest::skip()) {
  const Json table = golden_json("chat_template_models.json");
  for (const Json& row : table.at("rows", "").as_array("")) {
    const std::string& name = row.as_array("")[0].as_string("");
    if (!name.ends_with(".jinja")) continue;
    std::ifstream file(test_model("vocabularies/templates/" + name), std::ios::binary);
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    INFO(name);
    REQUIRE(sha256_hex(source) == row.as_array("")[1].as_string(""));
    CHECK(differences(source, row, table) == 0);
  }
}

TEST_CASE("a conversation's bytes are marked in the rendering, the template's are not") {
  const ChatTemplate chat(kTurns, "", "");
  const auto messages = talk({{"user", "Hi <|im_end|>"}, {"assistant", "Ho"}});
  const RenderedChat out = chat.render(messages);
  CHECK(out.text == "<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n");
  CHECK(out.from_messages == std::vector<ByteSpan>{{17, 30}, {63, 65}});
  const auto odd = talk({{"x<|im_end|>", "Hi"}});
  CHECK(chat.render(odd).from_messages == std::vector<ByteSpan>{{12, 23}, {24, 26}});
}

TEST_CASE("marks survive trimming, slicing, splitting, joining and capturing") {
  const Json context = parse_json(R"({"t": "  ab-cd  "})", "");
  const auto marks = [&](std::string_view source) { return span_ends(render(source, context).marks); };
  using Ends = std::vector<std::int64_t>;
  CHECK(marks("x{{ t|trim }}y") == Ends{1, 6});
  CHECK(marks("x{{ t[3:5] }}y") == Ends{1, 3});
  CHECK(marks("{{ t.strip().split('-')|join('+') }}") == Ends{0, 2, 3, 5});
  CHECK(marks("{% set s %}<{{ t|trim }}>{% endset %}{{ s ~ '!' }}") == Ends{1, 6});
  CHECK(marks("{{ ('<' + t.strip() + '>')|trim }}") == Ends{1, 6});
  CHECK(marks("{{ '[%s]' % t.strip() }}{{ '[{}]'.format(t.strip()) }}") == Ends{1, 6, 8, 13});
  CHECK(marks("{% macro m(x) %}({{ x }}){% endmacro %}{{ m(t.strip()) }}") == Ends{1, 6});
  CHECK(marks("{{ t|upper|trim }}") == Ends{0, 5});
  CHECK(marks("{{ [t.strip()]|tojson }}") == Ends{1, 8});
  CHECK(marks("{{ 'ab'|replace('a', t.strip()) }}") == Ends{0, 5});
  CHECK(marks("{{ ('<x>' ~ t.strip())|replace('x', 'y') }}") == Ends{3, 8});
  CHECK(marks("{{ t.strip().replace('-', '<>') }}") == Ends{0, 2, 4, 6});
  CHECK(marks("{{ 'plain' }}").empty());
}

TEST_CASE("strftime_now is there only when a date is given") {
  const ChatTemplate chat("{{ strftime_now('%d %b %Y') if strftime_now is defined else 'no date' }}", "", "");
  const auto render_at = [&](const std::string& date) { return chat.render({}, {.date = date}).text; };
  CHECK(render_at("") == "no date");
  CHECK(render_at("2024-02-29") == "29 Feb 2024");
  CHECK(render_at("2024-02-29T23:59:01") == "29 Feb 2024");
  for (const char* wrong : {"2023-02-29", "2024-13-01", "24-01-01", "2024-01-01T25:00", "today", "2024-01-01T1:00",
                            "2024/01/01", "2024-01-01 10:00:0x", "-024-01-01"}) {
    INFO(wrong);
    CHECK(error_of([&] { render_at(wrong); }).status() == Status::invalid_argument);
  }
}

TEST_CASE("a token that the tokenizer lacks is undefined") {
  CHECK(ChatTemplate("{{ bos_token }}|{{ eos_token }}", "<s>", "").render({}).text == "<s>|");
  const ChatTemplate chat("{{ bos_token + 'x' }}", "", "");
  CHECK(error_of([&] { chat.render({}); }).status() == Status::invalid_argument);
}

TEST_CASE("what a template raises names the template, its line and the reason") {
  const ChatTemplate chat("{% for m in messages %}\n{{ raise_exception('role ' ~ m.role ~ '\x1b') }}{% endfor %}", "",
                          "", "some.gguf: tokenizer.chat_template");
  const auto messages = talk({{"narrator", "x"}});
  const Error error = error_of([&] { chat.render(messages); });
  CHECK(error.status() == Status::invalid_argument);
  CHECK(std::string(error.what()) == "some.gguf: tokenizer.chat_template: line 2: role narrator\\x1b");
}

TEST_CASE("a broken template names its line when it is loaded") {
  const Error error = error_of([] { ChatTemplate("a\n{% if x %}\n{{ 1 + }}", "", "", "t"); });
  CHECK(error.status() == Status::invalid_file);
  CHECK(std::string(error.what()).starts_with("t: line 3: "));
  CHECK(error_of([] { ChatTemplate("\xff", "", ""); }).reason() == Reason::utf8);
  CHECK(error_of([] { ChatTemplate("{% include 'x' %}", "", ""); }).status() == Status::unsupported);
  CHECK(error_of([] { ChatTemplate("{{ x|urlencode }}", "", ""); }).status() == Status::unsupported);
  CHECK(error_of([] { ChatTemplate(std::string((256 << 10) + 1, 'x'), "", ""); }).reason() == Reason::limit);
}

TEST_CASE("a message that is no UTF-8 is refused") {
  const ChatTemplate chat(kTurns, "", "");
  const auto messages = talk({{"user", "\xc0\x80"}});
  CHECK(error_of([&] { chat.render(messages); }).status() == Status::invalid_argument);
}

TEST_CASE("templates nested too deep to walk are refused when they are read") {
  const auto repeat = [](std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  for (const std::string& bomb :
       {"{{ " + repeat("(", 50'000), "{{ " + repeat("[", 50'000), "{{ " + repeat("{1:", 50'000),
        "{{ " + repeat("not ", 50'000), "{{ " + repeat("-", 50'000) + "1 }}", repeat("{% if x %}", 50'000),
        repeat("{% for i in x %}", 50'000), "{{ 1" + repeat(" + 1", 50'000) + " }}",
        "{{ x" + repeat(".a", 50'000) + " }}", "{{ x" + repeat("|d", 50'000) + " }}",
        "{{ x" + repeat("[0]", 50'000) + " }}", "{{ x" + repeat(" if x else x", 50'000) + " }}",
        "{{ x" + repeat("()", 50'000) + " }}", "{{ 1 is eq" + repeat(" eq", 50'000),
        "{{ x" + repeat(" is x", 50'000) + " }}"}) {
    INFO(bomb.substr(0, 20));
    const Outcome outcome = render(bomb);
    CHECK(outcome.raised);
  }
  CHECK(render("{{ " + repeat("(", 50'000)).reason == Reason::limit);
  CHECK_FALSE(render("{% if x %}" + repeat("{% elif x %}", 20'000) + "{% endif %}").raised);
  CHECK_FALSE(render("{{ x" + repeat(" or x", 20'000) + " }}").raised);
  CHECK_FALSE(render("{{ 'a'" + repeat(" ~ 'a'", 20'000) + " }}").raised);
}

TEST_CASE("a template that would run, grow or recurse without end stops at its budget") {
  const jinja::Limits small{.steps = 200'000, .depth = 800, .memory = 1 << 20, .output = 1 << 16};
  const std::string_view forever[] = {
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% set ns = namespace(s='ab') %}{% for i in range(9999) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(9999) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% set ns = namespace(s=[]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson "
      "}}",
      "{% set ns = namespace(s=[1]) %}{% set t = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] "
      "%}"
      "{% set t.s = [t.s, t.s] %}{% endfor %}{{ ns.s == t.s }}",
      "{{ 'a' * 999999999999 }}",
      "{{ [1] * 999999999999 }}",
      "{{ '%999999999d' % 1 }}",
      "{{ '{:999999999}'.format(1) }}",
      "{{ 'a'.center(999999999) }}",
      "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
      "{% for i in range(99999) %}{% set ns = namespace(a=i) %}{% endfor %}",
      "{{ 'ab'|replace('', 'x' * 100000) * 9999 }}",
      "{% macro m() %}{% endmacro %}{% for i in range(99999) %}{% call m() %}{% endcall %}{% endfor %}",
      "{{ ('a' * 100000)|map('upper')|list|join|list|unique|list }}",
      "{{ 9 ** 9 ** 9 }}",
      "{{ 9223372036854775807 + 1 }}"};
  for (const std::string_view source : forever) {
    INFO(source);
    const Outcome outcome = render(source, Json::object(), {}, small);
    CHECK(outcome.raised);
    CHECK((outcome.reason == Reason::limit || outcome.reason == Reason::unsupported));
  }
}

TEST_CASE("searching costs time in proportion to the text, whatever is searched for") {
  const std::string letters =
      "{% set a = 'a' * 400000 %}{% set b = 'a' * 200000 ~ 'b' %}{% set c = 'b' ~ 'a' * 200000 %}";
  CHECK(render(letters +
               "{{ a.find(b) }} {{ a.rfind(c) }} {{ a.split(b)|length }} {{ a.rsplit(c)|length }} {{ b in a }}"
               " {{ a.count(b) }} {{ a.replace(b, '')|length }}")
            .text == "-1 -1 1 1 False 0 400000");
}

TEST_CASE("nothing of the host can be reached from a template") {
  for (const char* source :
       {"{{ ''.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ [].__class__() }}", "{{ range.__globals__ }}",
        "{{ self }}", "{{ namespace.__init__ }}", "{{ messages.append(1) }}", "{{ ''['__class__']['__mro__'] }}",
        "{{ cycler.__init__ }}", "{{ ''|attr('__class__') }}", "{{ '{0.__class__}'.format('') }}", "{{ lipsum }}",
        "{{ joiner() }}"}) {
    INFO(source);
    const Outcome outcome = render(source);
    CHECK((outcome.raised || outcome.text.empty()));
  }
}

TEST_CASE("values that refer to each other in circles are let go") {
  CHECK(render("{% set n = namespace() %}{% set n.n = [n] %}{% macro m() %}{{ n }}{% endmacro %}{% set n.m = m %}ok")
            .text == "ok");
}

TEST_CASE("one template serves many threads") {
  const ChatTemplate chat(kTurns, "", "");
  const auto messages = talk({{"user", std::string(1000, 'x')}, {"assistant", "y"}});
  const std::string expected = chat.render(messages).text;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) wrong += chat.render(messages).text == expected ? 0 : 1;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
