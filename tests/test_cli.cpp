// SPDX-License-Identifier: Apache-2.0
// The command line's contract, on the demo's model: streams, exit codes, signals.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "allocations.h"
#include "ftlib/io/checkpoint.h"
#include "ftlib/io/json.h"
#include "program.h"
#include "test_models.h"

using namespace ftlib;

namespace {

const std::string kRecords = std::string(FTLIB_TESTS_DIR) + "/quickstart.jsonl";

std::vector<std::string> tune(const std::string& out, std::vector<std::string> more) {
  std::vector<std::string> args{"tune",  "--model", test_model("SmolLM2-135M-Instruct.Q4_1.gguf"),
                                "--out", out,       "--json",
                                "--rank", "2",      "--batch-examples",
                                "2"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

/// Every line of standard output has to be an object with `event`.
std::vector<Json> events(const ProgramResult& result) {
  std::vector<Json> all;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = result.out.find('\n', begin)) != result.out.npos; begin = end + 1)
    all.push_back(parse_json(std::string_view(result.out).substr(begin, end - begin), "standard output"));
  CHECK(begin == result.out.size());
  return all;
}

std::string kind(const Json& event) { return event.at("event", "event").as_string("event"); }
std::int64_t last_step(const std::vector<Json>& all) {
  std::int64_t step = 0;
  for (const Json& event : all)
    if (kind(event) == "step") step = event.at("step", "step").as_integer("step");
  return step;
}

}  // namespace

TEST_CASE("cli: usage errors end with 2 and a word on standard error, help with 0 on standard output") {
  const std::vector<std::string> kWrong[] = {{}, {"nonsense"}, {"tune"}, {"tune", "--rank", "0"}, {"eval", "--model"},
                                             tune("/nowhere/out", {"--train", kRecords, "--lr", "fast"})};
  for (const auto& args : kWrong) {
    const ProgramResult result = run_program(args);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK_FALSE(result.err.empty());
  }
  for (const char* command : {"info", "tokenize", "template", "tune", "eval", "generate", "merge", "export", "quantize", "bench"}) {
    const ProgramResult help = run_program({command, "--help"});
    CHECK(help.code == 0);
    CHECK(help.out.find(command) != help.out.npos);
    CHECK(help.err.empty());
  }
}

TEST_CASE("cli: what cannot be read ends with 1 and names the file") {
  const ProgramResult no_model = run_program({"info", "/nowhere/model.gguf"});
  CHECK(no_model.code == 1);
  CHECK(no_model.err.find("/nowhere/model.gguf") != no_model.err.npos);
  const TemporaryFolder folder;
  const ProgramResult no_data = run_program(tune(folder / "run", {"--train", folder / "none.jsonl"}));
  CHECK(no_data.code == 1);
  CHECK(no_data.err.find("none.jsonl") != no_data.err.npos);
}

TEST_CASE("cli: tokenize and template answer line by line") {
  const std::string model = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  const ProgramResult ids = run_program({"tokenize", "--model", model}, "\"Hello there\"\n\"\"\n\"<|im_end|>\"\n");
  CHECK(ids.code == 0);
  const ProgramResult back = run_program({"tokenize", "--model", model, "--decode"}, ids.out);
  CHECK(back.out == "\"Hello there\"\n\"\"\n\"<|im_end|>\"\n");
  CHECK(run_program({"tokenize", "--model", model, "--special"}, "\"<|im_end|>\"\n").out == "[2]\n");
  const ProgramResult broken = run_program({"tokenize", "--model", model}, "\"ok\"\nno json\n");
  CHECK(broken.code == 1);
  CHECK(broken.err.find("stdin:2:1: ") != broken.err.npos);
  const ProgramResult text =
      run_program({"template", "--model", model}, R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}])" "\n");
  CHECK(text.code == 0);
  CHECK(text.out.find("<|im_start|>user\\nHi<|im_end|>") != text.out.npos);
}

TEST_CASE("cli: tune --json gives a plan, steps and done, and nothing else on standard output") {
  const TemporaryFolder folder;
  const ProgramResult result = run_program(tune(folder / "run", {"--train", kRecords, "--valid", kRecords}));
  REQUIRE(result.code == 0);
  const std::vector<Json> all = events(result);
  CHECK(kind(all.front()) == "plan");
  CHECK(kind(all.back()) == "done");
  CHECK(last_step(all) == 2);
  for (const Json& event : all) {
    const std::vector<const char*> names =
        kind(event) == "step" ? std::vector{"step", "loss", "grad_norm", "lr", "tokens", "supervised_tokens", "tokens_per_s"}
        : kind(event) == "eval" ? std::vector{"step", "loss", "perplexity", "supervised_tokens"}
        : kind(event) == "done" ? std::vector{"train_loss", "valid_loss", "tokens_per_s", "supervised_tokens_per_s",
                                              "peak_rss_bytes", "peak_fraction", "adapter_digest"}
                                : std::vector<const char*>{};
    for (const char* name : names) CHECK_MESSAGE(event.find(name) != nullptr, name);
  }
  const ProgramResult again = run_program(tune(folder / "run", {"--train", kRecords}));
  CHECK(again.code == 2);
  CHECK(again.err.find("--resume") != again.err.npos);
}

TEST_CASE("cli: --profile prints every op and writes a Chrome trace") {
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  const ProgramResult result = run_program(tune(out, {"--train", kRecords, "--steps", "2", "--profile"}));
  REQUIRE(result.code == 0);
  double share = 0;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    const Json event = parse_json(line, "line");
    if (event.at("event", "line").as_string("event") != "profile") continue;
    const bool all = event.at("op", "line").as_string("op") == "all";
    share += all ? 0 : event.at("share", "line").as_number("share");
    if (!all) continue;
    CHECK(event.at("flops", "line").as_number("flops") > 1e9);
    const double moved = event.at("bytes_per_token", "line").as_number("bytes_per_token");
    CHECK(moved > event.at("least_bytes_per_token", "line").as_number("least_bytes_per_token"));
    CHECK(event.at("least_bytes_per_token", "line").as_number("least_bytes_per_token") > 0);
  }
  CHECK(share == doctest::Approx(1).epsilon(0.01));
  const Json trace = parse_json(read_file(out + "/trace.json"), "trace");
  const auto& calls = trace.at("traceEvents", "trace").as_array("traceEvents");
  CHECK(calls.size() > 500);
  for (const Json& call : {calls.front(), calls.back()}) {
    CHECK(call.at("ph", "call").as_string("ph") == "X");
    CHECK(call.at("dur", "call").as_number("dur") >= 0);
  }
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const ProgramResult table = run_program({"bench", "step", "--model", test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), "--tokens", "32",
                                           "--length", "32", "--repeats", "1", "--profile"});
  std::filesystem::current_path(here);
  CHECK(std::filesystem::file_size(folder / "ftlib-trace.json") > 1000);
  CHECK(table.out.find("linear q4_1 [576, 576]") != table.out.npos);
  CHECK(table.out.find("outside ops") != table.out.npos);
  CHECK(table.out.find("moved for each of 32 tokens: ") != table.out.npos);
}

TEST_CASE("cli: the table of --profile has time, FLOP, bytes and fraction of the peak of every op, in 100 columns") {
  const TemporaryFolder folder;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());  // where the trace goes
  const ProgramResult result = run_program({"bench", "step", "--model", test_model("SmolLM2-135M-Instruct.Q4_1.gguf"),
                                            "--tokens", "32", "--length", "32", "--repeats", "1", "--profile"});
  std::filesystem::current_path(here);
  REQUIRE(result.code == 0);
  std::istringstream lines(result.out.substr(result.out.find("\nop ") + 1));
  std::string line;
  std::getline(lines, line);
  CHECK(line.size() == 100);
  CHECK(line.find("calls        ms   time    GFLOP      GB GFLOP/s of peak   GB/s") != line.npos);
  int rows = 0;
  bool has_all = false;
  while (std::getline(lines, line) && !line.starts_with("moved ")) {
    CAPTURE(line);
    ++rows;
    CHECK(line.size() == 100);
    if (!line.starts_with("linear q4_1 [576, 576] ") && !line.starts_with("all ")) continue;
    has_all |= line.starts_with("all ");
    std::string calls;
    double ms = 0, share = 0, gflop = 0, gb = 0, gflops = 0, peak = 0, gb_per_s = 0;
    char percent = 0;
    std::istringstream columns(line.substr(36));
    columns >> calls >> ms >> share >> percent >> gflop >> gb >> gflops >> peak >> percent >> gb_per_s;
    if (line.starts_with("linear "))
      CHECK(gflop == doctest::Approx(60 * 2 * 32 * 576 * (576 + 16) / 1e9).epsilon(0.01));
    CHECK(gflop / ms * 1e3 == doctest::Approx(gflops).epsilon(0.02));
    CHECK(gb / ms * 1e3 == doctest::Approx(gb_per_s).epsilon(0.06));  // of two digits
    CHECK(peak > 0);
  }
  CHECK(rows > 15);
  CHECK(has_all);
}

TEST_CASE("cli: an unknown FTLIB_FORCE_BACKEND ends with 1 and the names of those that are there") {
  const TemporaryFolder folder;
  setenv("FTLIB_FORCE_BACKEND", "sse9", 1);
  const ProgramResult peak = run_program({"bench", "peak"});
  const ProgramResult tuned = run_program(tune(folder / "run", {"--train", kRecords, "--steps", "1"}));
  unsetenv("FTLIB_FORCE_BACKEND");
  for (const ProgramResult& result : {peak, tuned}) {
    CHECK(result.code == 1);
    CHECK(result.out.empty());
    CHECK(result.err.find("[FTLIB_FORCE_BACKEND] no such backend") != std::string::npos);
    CHECK(result.err.find("got sse9, want one of ") != std::string::npos);
    CHECK(result.err.find("portable, ref") != std::string::npos);
  }
  setenv("FTLIB_FORCE_BACKEND", "portable", 1);
  const ProgramResult known = run_program({"bench", "peak", "--json"});
  unsetenv("FTLIB_FORCE_BACKEND");
  CHECK(known.code == 0);
  CHECK(known.out.find("\"isa\":\"portable\"") != std::string::npos);
}

namespace {

/// "... needs at least 305 MiB ..."
std::int64_t minimum_of(const ProgramResult& refused) {
  const std::string before = "needs at least ";
  const std::size_t at = refused.err.find(before);
  return at == std::string::npos ? 0 : std::stoll(refused.err.substr(at + before.size()));
}

}  // namespace

TEST_CASE("cli: the minimum that --memory names is enough and is kept, and clearly less is refused") {
  if (!FTLIB_COUNT_ALLOCATIONS) {
    MESSAGE("skipped: a sanitizer takes memory of its own, as much as it likes");
    return;
  }
  const TemporaryFolder folder;
  const auto with = [&](std::int64_t mib) {
    return run_program(tune(folder / "run", {"--train", kRecords, "--memory", concat(mib, "MiB")}));
  };
  const ProgramResult hopeless = with(1);
  CHECK(hopeless.code == 2);
  const std::int64_t minimum = minimum_of(hopeless);
  REQUIRE(minimum > 100);
  // Two runs of one command differ by some pages, huge ones perhaps: what is named covers 4 MiB of it.
  const ProgramResult less = with(minimum - 8);
  CHECK(less.code == 2);
  CHECK(minimum_of(less) > minimum - 8);
  CHECK_FALSE(std::filesystem::exists(folder / "run"));
  const ProgramResult enough = with(minimum);
  REQUIRE_MESSAGE(enough.code == 0, enough.err);
  const Json done = events(enough).back();
  CHECK(kind(done) == "done");
  CHECK(done.at("peak_rss_bytes", "done").as_integer("peak_rss_bytes") <= minimum << 20);
}

TEST_CASE("cli: the peak of memory that a program reports is its own, not that of who started it") {
  { const std::vector<char> large(std::size_t{2} << 30, 'x'); }
  const ProgramResult result = run_program({"bench", "step", "--model", test_model("SmolLM2-135M-Instruct.Q4_1.gguf"),
                                            "--tokens", "32", "--length", "32", "--repeats", "1", "--json"});
  const std::int64_t peak = events(result).back().at("peak_rss_bytes", "step").as_integer("peak_rss_bytes");
  CHECK(peak > std::int64_t{100} << 20);
  CHECK(peak < std::int64_t{2} << 30);
}

TEST_CASE("cli: a refused --memory names what would need less in this very call") {
  const std::string model = test_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  const auto says = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args{"bench", "step", "--model", model, "--memory", "1MiB"};
    args.insert(args.end(), more.begin(), more.end());
    const ProgramResult result = run_program(args);
    CHECK(result.code == 2);
    return result.err.substr(std::min(result.err.find("; lower "), result.err.size()));
  };
  CHECK(says({}) == "; lower the 2048 tokens of a batch or the 512 tokens of the longest record\n");
  CHECK(says({"--tokens", "64", "--length", "64", "--base", "nf4"}) == "; lower the 64 tokens of the longest record\n");
  CHECK(says({"--tokens", "64", "--length", "64", "--base", "bf16"}) ==
        "; lower the 64 tokens of the longest record, or take an nf4 base\n");
}

TEST_CASE("cli: SIGTERM and SIGINT end within one step, save, exit with 130, and --resume gives the bytes of one run") {
  const TemporaryFolder folder;
  const std::vector<std::string> options{"--train", kRecords, "--steps", "5", "--save-every", "100"};
  REQUIRE(run_program(tune(folder / "straight", options)).code == 0);
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string out = folder / (signal == SIGTERM ? "terminated" : "interrupted");
    std::int64_t seen = 0;
    const ProgramResult stopped = run_program(tune(out, options), "", [&](const std::string& line, pid_t program) {
      const Json event = parse_json(line, "line");
      if (kind(event) != "step" || seen > 0) return;
      seen = event.at("step", "step").as_integer("step");
      kill(program, signal);
    });
    CHECK(stopped.code == 130);
    CHECK(last_step(events(stopped)) <= seen + 1);
    CHECK(stopped.err.find("--resume") != stopped.err.npos);
    const CheckpointSearch saved = newest_valid_checkpoint(out + "/checkpoints");
    REQUIRE(saved.checkpoint.has_value());
    CHECK(saved.checkpoint->step == last_step(events(stopped)));
    std::vector<std::string> resume = options;
    resume.push_back("--resume");
    CHECK(run_program(tune(out, resume)).code == 0);
    for (const char* name : {"/adapter_model.safetensors", "/adapter.gguf", "/ftlib.json"})
      CHECK(read_file(out + name) == read_file(folder / "straight" + name));
  }
}

TEST_CASE("cli: data that changes under the run ends it with 1 and the byte") {
  const TemporaryFolder folder;
  const std::string data = folder / "train.jsonl", records = read_file(kRecords);
  std::ofstream(data) << records;
  const ProgramResult result = run_program(tune(folder / "run", {"--train", data, "--steps", "50"}), "",
                                           [&](const std::string& line, pid_t) {
                                             if (line.find("\"grad_norm\"") != line.npos) std::ofstream(data, std::ios::app) << records;
                                           });
  CHECK(result.code == 1);
  CHECK(last_step(events(result)) < 50);
  CHECK(result.err.find(concat("train.jsonl: byte ", records.size(), ": had ", records.size(), " bytes")) != result.err.npos);
}
