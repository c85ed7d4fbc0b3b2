// SPDX-License-Identifier: Apache-2.0
// The program in the hands of somebody who does everything wrong: each mistake is one sentence on standard error with
// the next step, the right exit code, and nothing left behind.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "program.h"
#include "test_models.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

using Arguments = std::vector<std::string>;
const std::string kRecords = std::string(FTLIB_TESTS_DIR) + "/quickstart.jsonl";
const std::string kTiny = std::string(FTLIB_TESTS_DIR) + "/golden/tiny_llama/plain";

std::string demo_model() { return test_model("SmolLM2-135M-Instruct.Q4_1.gguf"); }

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The program in a shell, for what only a shell can do to it: `before` comes before it, `after` its arguments.
ProgramResult shell(const TemporaryFolder& folder, const std::string& before, const Arguments& args,
                    const std::string& after = "") {
  std::string command = concat(before, " '", FTLIB_PROGRAM, "'");
  for (const std::string& arg : args) command += concat(" '", arg, "'");
  std::ofstream(folder / "run.sh") << "exec 2>'" << folder / "err"
                                   << "' 1>'" << folder / "out"
                                   << "'\n"
                                   << command << " " << after << "\n";
  const int status = std::system(concat("sh '", folder / "run.sh", "' </dev/null").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_file(folder / "out"),
          read_file(folder / "err")};
}

void check_refused(const ProgramResult& result, int code, const std::string& says) {
  CAPTURE(says);
  CAPTURE(result.err);
  CHECK(result.code == code);
  CHECK(result.out.empty());
  CHECK(result.err.find(says) != std::string::npos);
  CHECK(result.err.size() < 900);
}

/// Names in a folder, temporary ones too.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

/// An adapter of the demo's model, trained once for all tests here.
const std::string& adapter() {
  static const TemporaryFolder folder;
  static const std::string path = folder / "adapter";
  if (!fs::exists(path))
    REQUIRE(run_program(
                {"tune", "--model", demo_model(), "--train", kRecords, "--out", path, "--rank", "2", "--steps", "1"})
                .code == 0);
  return path;
}

}  // namespace

TEST_CASE("cli: numbers out of range, contradictions and empty names end with 2 and say what is wanted") {
  const TemporaryFolder folder;
  const Arguments tune{"tune", "--model", "/nowhere", "--train", "/nowhere", "--out", folder / "out"};
  const Arguments generate{"generate", "--model", "/nowhere", "--prompt", "x"};
  const std::pair<Arguments, const char*> rows[] = {
      {tune + Arguments{"--threads", "0"}, "--threads: want a whole number from 1 to 1024, got 0"},
      {tune + Arguments{"--threads", "-1"}, "--threads: want a whole number from 1"},
      {tune + Arguments{"--threads", "99999"}, "got 99999"},
      {tune + Arguments{"--lr", "nan"}, "--lr: want a number from 0, got nan"},
      {tune + Arguments{"--lr", "inf"}, "got inf"},
      {tune + Arguments{"--lr", "-1"}, "got -1"},
      {tune + Arguments{"--alpha", "nan"}, "--alpha: want a number above 0"},
      {tune + Arguments{"--eps", "0"}, "--eps: want a number above 0"},
      {tune + Arguments{"--clip", "nan"}, "--clip"},
      {tune + Arguments{"--warmup", "inf"}, "--warmup"},
      {tune + Arguments{"--weight-decay", "nan"}, "--weight-decay"},
      {tune + Arguments{"--betas", "0.9"}, "--betas"},
      {tune + Arguments{"--betas", "0.9,nan"}, "--betas"},
      {tune + Arguments{"--steps", "0"}, "--steps: want a whole number from 1, got 0"},
      {tune + Arguments{"--seed", "-1"}, "--seed: want a whole number from 0"},
      {tune + Arguments{"--seed", "99999999999999999999"}, "--seed"},
      {tune + Arguments{"--memory", "nan"}, "--memory: want a size such as 2GiB"},
      {tune + Arguments{"--memory", "2Gb"}, "got 2Gb"},
      {tune + Arguments{"--date", "2024-13-01"}, "want YYYY-MM-DD"},
      {tune + Arguments{"--rank-pattern", "q_proj"}, "--rank-pattern: want KEY=VALUE"},
      {tune + Arguments{"--alpha-pattern", "q_proj=x"}, "--alpha-pattern: want a number after ="},
      {tune + Arguments{"--patience", "2"}, "--patience requires --valid"},
      {tune + Arguments{"--valid-every", "2"}, "--valid-every requires --valid"},
      {tune + Arguments{"--epochs", "2", "--steps", "3"}, "excludes"},
      {tune + Arguments{"--batch-tokens", "99", "--batch-examples", "2"}, "excludes"},
      {tune + Arguments{"--target", "q_proj", "--target-regex", ".*"}, "excludes"},
      {tune + Arguments{"--resume", "--overwrite"}, "excludes"},
      {{"tune", "--model", "/nowhere", "--train", "/nowhere", "--out", ""}, "--out: want a path, got nothing"},
      {{"merge", "--model", "/nowhere", "--adapter", "/nowhere", "--out", ""}, "--out: want a path"},
      {{"quantize", "--model", "/nowhere", "--out", ""}, "--out: want a path"},
      {{"export", "--adapter", "/nowhere", "--peft", ""}, "--peft: want a path"},
      {{"export", "--adapter", "/nowhere", "--peft", "a", "--gguf", "b"}, "give either --gguf FILE or --peft DIR"},
      {generate + Arguments{"--temperature", "nan"}, "--temperature"},
      {generate + Arguments{"--top-p", "nan"}, "--top-p"},
      {generate + Arguments{"--top-k", "-1"}, "--top-k"},
      {{"eval", "--model", "/nowhere", "--data", "/nowhere", "--limit", "0"}, "--limit: want a whole number from 1"},
      {{"eval", "--model", "/nowhere", "--data", "/nowhere", "--metrics", "foo"}, "want exact, f1, rouge-l or regex"},
      {{"info", ""}, "info: name a MODEL"},
  };
  for (const auto& [args, says] : rows) {
    check_refused(run_program(args), 2, says);
  }
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("cli: a wrong model, adapter or target ends with 1 or 2, and nothing is written") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe", out = folder / "out", file = folder / "file";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::ofstream(file) << "x";
  const std::pair<Arguments, std::pair<int, const char*>> rows[] = {
      {{"info", pipe}, {1, "want a regular file, got a pipe"}},
      {{"info", folder.path()}, {1, "has no config.json"}},
      {{"info", kTiny + "/model.safetensors"}, {1, "is a file of a Hugging Face folder"}},
      {{"info", kTiny + "/adapter"}, {1, "holds an adapter, not a model"}},
      {{"generate", "--model", kTiny, "--prompt", "x"}, {1, "has no tokenizer.json"}},
      {{"tokenize", "--model", "/dev/zero"}, {1, "want a regular file, got a device"}},
      {{"tokenize", "--model", "/nowhere"}, {1, "there is nothing; a model is"}},
      {{"merge", "--model", kTiny, "--adapter", kTiny, "--out", out}, {1, "has no adapter_config.json"}},
      {{"merge", "--model", kTiny, "--adapter", adapter(), "--out", out}, {1, "of a model with 2 layers"}},
      {{"merge", "--model", kTiny, "--adapter", kTiny + "/adapter", "--out", file}, {2, "name a new folder"}},
      {{"merge", "--model", kTiny, "--adapter", kTiny + "/adapter", "--out", folder.path()}, {2, "name a new folder"}},
      {{"merge", "--model", kTiny, "--adapter", kTiny + "/adapter", "--out", out, "--format", "q8_0"}, {2, "q8_0"}},
      {{"quantize", "--model", kTiny, "--out", kTiny}, {2, "is the model itself"}},
      {{"quantize", "--model", kTiny + "/model.safetensors", "--out", kTiny + "/model.safetensors"},
       {2, "is the model itself"}},
      {{"quantize", "--model", kTiny, "--out", file}, {2, "is a file"}},
      {{"export", "--model", kTiny, "--adapter", adapter(), "--gguf", out}, {1, "of a model with 2 layers"}},
      {{"export", "--model", kTiny, "--adapter", kTiny + "/adapter", "--gguf", "/nowhere/x"},
       {1, "/nowhere/x: cannot"}},
      {{"export", "--adapter", kTiny + "/adapter.gguf", "--peft", kTiny + "/adapter"}, {2, "holds an adapter"}},
      {{"export", "--model", kTiny, "--adapter", kTiny + "/adapter", "--peft", file}, {1, "is no folder"}},
  };
  for (const auto& [args, expected] : rows) {
    check_refused(run_program(args), expected.first, expected.second);
  }
  CHECK(names_in(folder.path()) == std::vector<std::string>{"file", "pipe"});
}

TEST_CASE("cli: a tokenizer of more tokens than the embedding has rows is refused before anything is computed") {
  const TemporaryFolder folder;
  for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(kTiny + "/" + name, folder / name);
  fs::copy_file(std::string(FTLIB_TESTS_DIR) + "/golden/tokenizer_tiny.json", folder / "tokenizer.json");
  const std::string says = ": the tokenizer has 602 tokens, the embedding 97 rows; they do not belong together";
  check_refused(run_program({"generate", "--model", folder.path(), "--prompt", "x"}), 1, folder.path() + says);
  check_refused(run_program({"eval", "--model", folder.path(), "--data", kRecords}), 1,
                "give one with --template FILE");
}

TEST_CASE("cli: an adapter used on another form of its base says so and goes on") {
  const ProgramResult result = run_program({"generate", "--model", demo_model(), "--adapter", adapter(), "--base",
                                            "nf4", "--prompt", "x", "--max-tokens", "1"});
  CHECK(result.code == 0);
  CHECK(result.err.find("warning: " + adapter() + ": [adapter] trained on the base as native, this is nf4/64") == 0);
}

TEST_CASE(
    "cli: standard input that is closed, a folder or has no line end is an error, and nothing on it is no prompt") {
  const TemporaryFolder folder;
  const Arguments tokenize{"tokenize", "--model", demo_model()};
  check_refused(shell(folder, "", tokenize, "</tmp"), 1, "standard input: Is a directory");
  check_refused(shell(folder, "", tokenize, "<&-"), 1, "standard input: Bad file descriptor");
  check_refused(shell(folder, "", tokenize, "</dev/zero"), 1, "a line of more than 16777216 bytes");
  check_refused(run_program({"generate", "--model", demo_model()}), 2, "generate: no prompt; give --prompt TEXT");
  check_refused(run_program({"generate", "--model", demo_model()}, "[]\n"), 1, "stdin:1:2: ");
  check_refused(run_program({"generate", "--model", demo_model()}, "\n"), 1, "stdin:1:1: ");
  check_refused(run_program({"generate", "--model", demo_model(), "--prompt", "\xFF"}), 2, "UTF-8");
  const ProgramResult none = run_program(tokenize);
  CHECK(none.code == 0);
  CHECK(none.out.empty());
  const ProgramResult unended = run_program(tokenize, "\"a\"\n\"h\xC3\xA9\\nx\"");
  CHECK(unended.code == 0);
  CHECK(std::ranges::count(unended.out, '\n') == 2);
}

TEST_CASE("cli: standard output that is full or closed is an error, and no file takes its place") {
  const TemporaryFolder folder;
  for (const char* to : {">/dev/full", ">&-"})
    for (const Arguments& args : {Arguments{"--help"}, Arguments{"tune", "--help"}, Arguments{"info", "--supported"},
                                  Arguments{"generate", "--model", demo_model(), "--prompt", "x"}}) {
      CAPTURE(to);
      check_refused(shell(folder, "", args, to), 1, "standard output");
    }
  // The model would become standard input, and the file that is open while results are printed standard output.
  const std::string scores = folder / "scores.jsonl";
  check_refused(
      shell(folder, "", {"eval", "--model", demo_model(), "--data", kRecords, "--per-example", scores}, "<&- >&-"), 1,
      "standard output: Bad file descriptor");
  CHECK_FALSE(fs::exists(scores));
}

TEST_CASE("cli: a disk that takes no more ends with 1, and no part of a file stays") {
  const TemporaryFolder folder, place;
  const std::string out = place / "out";
  const Arguments rows[] = {
      {"merge", "--model", demo_model(), "--adapter", adapter(), "--out", out},
      {"merge", "--model", demo_model(), "--adapter", adapter(), "--out", out + ".gguf"},
      {"quantize", "--model", demo_model(), "--out", out},
      {"export", "--model", demo_model(), "--adapter", adapter(), "--gguf", out},
      {"export", "--model", demo_model(), "--adapter", adapter(), "--peft", out},
  };
  for (const Arguments& args : rows) {
    CAPTURE(args[0]);
    const ProgramResult result = shell(folder, "ulimit -f 1000;", args);
    check_refused(result, 1, "cannot write: File too large; it needs ");
    CHECK(fs::is_empty(place.path()));
  }
  fs::create_directories(out);
  std::ofstream(out + "/config.json") << "kept";
  check_refused(shell(folder, "ulimit -f 1000;", rows[2]), 1, "File too large");
  CHECK(names_in(out) == std::vector<std::string>{"config.json"});
  check_refused(run_program({"eval", "--model", demo_model(), "--data", kRecords, "--per-example", "/nowhere/x"}), 1,
                "/nowhere/x: cannot create");
  const std::string run = place / "run";
  check_refused(shell(folder, "ulimit -f 1000;",
                      {"tune", "--model", demo_model(), "--train", kRecords, "--out", run, "--steps", "1"}),
                1, "once there is room, go on with --resume");
  CHECK(names_in(run) == std::vector<std::string>{"checkpoints", "ftlib.json", "journal.jsonl"});
  CHECK(fs::is_empty(run + "/checkpoints"));
}

// --foreground: else the signal comes twice, to the program and to its group, and the second one ends it at once.
TEST_CASE("cli: Ctrl-C ends with 130, and nothing is left that looks finished") {
  const TemporaryFolder folder, place;
  std::ofstream many(folder / "many.jsonl");
  const std::string records = read_file(kRecords);
  for (int i = 0; i < 2000; ++i) many << records;
  many.close();
  const std::string out = place / "out";
  const Arguments rows[] = {
      {"eval", "--model", demo_model(), "--data", folder / "many.jsonl", "--per-example", out},
      {"eval", "--model", demo_model(), "--data", kRecords, "--metrics", "exact", "--max-tokens", "4000",
       "--per-example", out},
      {"generate", "--model", demo_model(), "--prompt", "A very long story", "--max-tokens", "8000", "--temperature",
       "1000", "--json"},
      {"bench", "generate", "--model", demo_model()},
  };
  for (const Arguments& args : rows) {
    CAPTURE(args[0]);
    const ProgramResult result = shell(folder, "timeout --foreground --preserve-status -s INT 1.2", args);
    CHECK(result.code == 130);
    CHECK(result.out.find("\"event\"") == std::string::npos);
    CHECK(fs::is_empty(place.path()));
  }
}

TEST_CASE("cli: Ctrl-C while a model is written ends with 130 and takes back what was written") {
  const TemporaryFolder place;
  const auto interrupt_at_first_file = [&](pid_t program) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (fs::is_empty(place.path()) && std::chrono::steady_clock::now() < patience) usleep(1000);
    kill(program, SIGINT);
  };
  const Arguments rows[] = {{"merge", "--model", demo_model(), "--adapter", adapter(), "--out", place / "out"},
                            {"quantize", "--model", demo_model(), "--out", place / "out"}};
  for (const Arguments& args : rows) {
    CAPTURE(args[0]);
    CHECK(run_program(args, "", {}, interrupt_at_first_file).code == 130);
    CHECK(fs::is_empty(place.path()));
  }
}

TEST_CASE("cli: more threads than a machine can use are not taken at their word") {
  const ProgramResult result =
      run_program({"bench", "load", "--model", demo_model(), "--threads", "1024", "--repeats", "1", "--json"});
  CHECK(result.code == 0);
  const bool large = result.out.find("\"threads\":1024") != std::string::npos;
  CHECK((large || result.err.find("--threads 1024: this process may use ") == 0));
}
