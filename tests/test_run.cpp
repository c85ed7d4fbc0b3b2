// SPDX-License-Identifier: Apache-2.0
// A run in its folder: the same bytes straight, resumed, killed, and on a disk that fails.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "comma_locale.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/data/dataset.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/io/checkpoint.h"
#include "ftlib/model/generate.h"
#include "ftlib/track/journal.h"
#include "ftlib/train/run.h"
#include "golden_model.h"
#include "io_faults.h"
#include "temporary_folder.h"

using namespace ftlib;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSteps = 12;

/// A tiny model, its records, and a run of twelve steps over them.
struct Fixture {
  CausalLM model = CausalLM::load(golden_path("tiny_llama/plain"), {}, DType::f32);
  std::vector<Example> train = golden_examples(golden_json("tiny_llama/plain/base.json").at("examples", "base"));
  std::vector<Example> valid{train[1], train[4]};

  Fixture() { train.pop_back(); }  // its one token has no target

  RunOptions options(const std::string& out) const {
    RunOptions o;
    o.train.loader = {40, 0, 1, Order::shuffle, 3};
    o.train.steps = kSteps, o.train.adamw.lr = 0.01;
    o.out = out, o.save_every = 1, o.valid_every = 3;
    o.digests["base"] = std::string(64, '0');
    o.options = train_options_json(o.train);
    return o;
  }
  LoraAdapter adapter() const {
    LoraConfig config;
    config.r = 2, config.lora_alpha = 6, config.lora_dropout = 0.1;
    LoraAdapter adapter = make_lora_adapter(model.config(), config);
    initialize(adapter, 9);
    return adapter;
  }
  RunResult run(const RunOptions& o, const RunEvents& events = {}, const std::atomic<bool>* stop = nullptr) const {
    LoraAdapter a = adapter();
    return run_training(model, a, train, valid, o, events, stop);
  }
};

std::string final_bytes(const std::string& folder) {
  std::string all;
  for (const char* name : {"/adapter_config.json", "/adapter_model.safetensors", "/adapter.gguf", "/ftlib.json"})
    all += read_file(folder + name);
  return all;
}

bool has_temporaries(const std::string& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("a run stopped at every step and resumed ends with the same files, for one, two and three threads") {
  const Fixture f;
  const TemporaryFolder folder;
  const int before = threads();
  const std::string straight = folder.path() + "/straight";
  CHECK(f.run(f.options(straight)).finished);
  for (std::int64_t stop_at = 0; stop_at < kSteps; ++stop_at) {
    set_threads(1 + static_cast<int>(stop_at % 3));
    RunOptions o = f.options(concat(folder.path(), "/stopped-", stop_at));
    std::atomic<bool> stop{stop_at == 0};
    const RunResult stopped = f.run(
        o,
        [&](const Json& event) {
          if (event.at("event", "").as_string("") == "step") stop = event.at("step", "").as_integer("") >= stop_at;
        },
        &stop);
    CHECK_FALSE(stopped.finished);
    CHECK(stopped.steps == stop_at);
    o.resume = true;
    CHECK(f.run(o).finished);
    CHECK(final_bytes(o.out) == final_bytes(straight));
  }
  set_threads(before);
}

TEST_CASE("a finished run resumed says so and changes nothing; a folder with a run needs resume or overwrite") {
  const Fixture f;
  const TemporaryFolder folder;
  RunOptions o = f.options(folder.path() + "/run");
  const RunResult first = f.run(o);
  const std::string bytes = final_bytes(o.out);
  CHECK_THROWS_WITH_AS(f.run(o), doctest::Contains("use --resume to go on or --overwrite to replace it"), Error);
  o.resume = true;
  int steps = 0;
  const RunResult again = f.run(o, [&](const Json& event) { steps += event.at("event", "").as_string("") == "step"; });
  CHECK(again.finished);
  CHECK(steps == 0);
  CHECK(again.done.at("adapter_digest", "").as_string("") == first.done.at("adapter_digest", "").as_string(""));
  CHECK(final_bytes(o.out) == bytes);
  o.resume = false, o.overwrite = true;
  CHECK(f.run(o).finished);
  CHECK(final_bytes(o.out) == bytes);
}

TEST_CASE("resume with other options or files is refused with the difference") {
  const Fixture f;
  const TemporaryFolder folder;
  RunOptions o = f.options(folder.path() + "/run");
  f.run(o);
  o.resume = true;
  o.options["lr"] = 0.02;
  CHECK_THROWS_WITH_AS(f.run(o), doctest::Contains("lr: 0.01 then, 0.02 now"), Error);
  o.options["lr"] = 0.01;
  o.digests["base"] = std::string(64, '1');
  CHECK_THROWS_WITH_AS(f.run(o), doctest::Contains("base: "), Error);
}

TEST_CASE("a second trainer on the folder is refused while the first one runs") {
  const Fixture f;
  const TemporaryFolder folder;
  const RunOptions o = f.options(folder.path() + "/run");
  int refused = 0;
  f.run(o, [&](const Json&) {
    try {
      f.run(o);
    } catch (const Error& error) {
      refused += error.status() == Status::busy;
    }
  });
  CHECK(refused > 0);
}

TEST_CASE("a newer format of the run record is refused by name") {
  const Fixture f;
  const TemporaryFolder folder;
  RunOptions o = f.options(folder.path() + "/run");
  f.run(o);
  std::string record = read_file(o.out + "/ftlib.json");
  record.replace(record.find("\"format\": 1"), 11, "\"format\": 2");
  write_file_atomic(o.out + "/ftlib.json", record);
  o.resume = true;
  CHECK_THROWS_WITH_AS(f.run(o), doctest::Contains("format 2 is newer than this library's 1"), Error);
}

namespace {
const std::string kSample = FTLIB_TESTS_DIR "/formats/v1/run";
constexpr std::int64_t kSampleSteps = 5;
}  // namespace

TEST_CASE("write the sample of the run folder's first format" * doctest::test_suite("write") * doctest::skip()) {
  const Fixture f;
  std::atomic<bool> stop{false};
  RunOptions o = f.options(kSample);
  o.overwrite = true, o.keep_checkpoints = 1;
  f.run(
      o,
      [&](const Json& event) {
        stop = stop || (event.find("grad_norm") && event.at("step", "").as_integer("") == kSampleSteps);
      },
      &stop);
}

TEST_CASE("a run folder of the first format is read, and its run goes on") {
  const Fixture f;
  const TemporaryFolder folder;
  RunOptions o = f.options(folder / "run");
  fs::copy(kSample, o.out, fs::copy_options::recursive);
  std::int64_t steps = 0;
  for (const Json& event : read_journal(o.out + "/journal.jsonl"))
    if (event.find("grad_norm")) ++steps;
  CHECK(steps == kSampleSteps);
  o.resume = true;
  std::vector<std::int64_t> resumed;
  CHECK(f.run(o, [&](const Json& event) {
           if (event.find("grad_norm")) resumed.push_back(event.at("step", "").as_integer(""));
         }).finished);
  CHECK(resumed == std::vector<std::int64_t>{6, 7, 8, 9, 10, 11, 12});
}

TEST_CASE("two trainers in two threads give the bytes of one") {
  const Fixture f;
  const TemporaryFolder folder;
  const std::string one = folder.path() + "/one";
  f.run(f.options(one));
  std::vector<std::thread> hosts;
  for (const char* name : {"/a", "/b"}) hosts.emplace_back([&, name] { f.run(f.options(folder.path() + name)); });
  for (std::thread& host : hosts) host.join();
  CHECK(final_bytes(folder.path() + "/a") == final_bytes(one));
  CHECK(final_bytes(folder.path() + "/b") == final_bytes(one));
}

TEST_CASE("a stop in a validation ends it at once, and the resumed run begins with it") {
  const Fixture f;
  const TemporaryFolder folder;
  f.run(f.options(folder / "straight"));
  for (const std::int64_t at : {3, 12}) {  // in the middle, and at the end
    RunOptions o = f.options(concat(folder / "stopped-", at));
    std::atomic<bool> stop{false};
    const auto stop_at = [&](const Json& event) {
      if (event.find("grad_norm") && event.at("step", "").as_integer("") == at) stop = true;
      const Json* perplexity = event.find("perplexity");
      CHECK((perplexity == nullptr || event.at("step", "").as_integer("") < at));
    };
    const RunResult stopped = f.run(o, stop_at, &stop);
    CHECK_FALSE(stopped.finished);
    CHECK(stopped.steps == at);
    o.resume = true;
    std::vector<std::string> events;
    CHECK(f.run(o, [&](const Json& event) { events.push_back(event.at("event", "").as_string("")); }).finished);
    CHECK(events[2] == "eval");  // after resume and plan
    CHECK(final_bytes(o.out) == final_bytes(folder / "straight"));
  }
}

TEST_CASE("a host's comma-decimal locale changes no byte of a run") {
  const Fixture f;
  const TemporaryFolder folder;
  const std::string straight = folder.path() + "/straight", abroad = folder.path() + "/abroad";
  f.run(f.options(straight));
  const CommaLocale german;
  REQUIRE(german.set());
  f.run(f.options(abroad));
  CHECK(final_bytes(abroad) == final_bytes(straight));
  const auto losses = [](const std::string& run) {
    std::vector<double> values;
    for (const Json& event : read_journal(run + "/journal.jsonl"))
      if (const Json* loss = event.find("loss")) values.push_back(loss->as_number("loss"));
    return values;
  };
  CHECK(losses(abroad).size() == 12 + 4);  // steps and validations
  CHECK(losses(abroad) == losses(straight));
}

TEST_CASE("data that changes under a run ends it with the byte, and the steps so far are kept") {
  const Fixture f;
  const TemporaryFolder folder;
  const std::string data = folder / "train.jsonl", text = std::string(1000, 'x') + "\n";
  const auto fingerprint = [&] {
    write_file_atomic(data, text);
    const InputFile file(data);
    FileFingerprint print(file);
    print.update(text.data(), 700), print.update(text.data() + 700, text.size() - 700);
    return print;
  };
  const auto with = [&](std::size_t at, char byte) {
    std::string changed = text;
    changed[at] = byte;
    return changed;
  };
  const std::pair<std::string, const char*> kChanges[] = {
      {with(0, 'y'), "train.jsonl: byte 0: changed since it was read"},
      {with(600, 'y'), "train.jsonl: byte 512: changed since it was read"},
      {with(1000, 'y'), "train.jsonl: byte 768: changed since it was read"},
      {text + "z", "train.jsonl: byte 1001: had 1001 bytes when it was read, has 1002"},
      {text.substr(0, 900), "train.jsonl: byte 900: had 1001 bytes when it was read, has 900"},
      {"", "train.jsonl: byte 0: had 1001 bytes when it was read, has 0"}};
  for (const auto& [changed, message] : kChanges) {
    RunOptions o = f.options(folder / "run");
    o.overwrite = true, o.save_every = 0;
    o.inputs = {FileFingerprint(), fingerprint()};
    const auto change = [&, &changed = changed](const Json& event) {
      if (event.find("grad_norm") && event.at("step", "").as_integer("") == 3) write_file_atomic(data, changed);
    };
    CHECK_THROWS_WITH_AS(f.run(o, change), doctest::Contains(message), Error);
    REQUIRE(newest_valid_checkpoint(o.out + "/checkpoints").checkpoint.has_value());
    CHECK(newest_valid_checkpoint(o.out + "/checkpoints").checkpoint->step == 3);
  }
  RunOptions o = f.options(folder / "run");
  o.overwrite = true, o.inputs = {fingerprint()};
  CHECK(f.run(o, [&](const Json&) { write_file_atomic(data, text); }).finished);  // replaced by its equal
}

TEST_CASE("what a host's callback throws ends the run after a save") {
  const Fixture f;
  const TemporaryFolder folder;
  RunOptions o = f.options(folder / "run");
  o.save_every = 0;
  const auto give_up = [](const Json& event) {
    if (event.find("grad_norm") && event.at("step", "").as_integer("") == 5) throw std::runtime_error("enough");
  };
  CHECK_THROWS_WITH_AS(f.run(o, give_up), "enough", std::runtime_error);
  CHECK(newest_valid_checkpoint(o.out + "/checkpoints").checkpoint->step == 5);
  f.run(f.options(folder / "straight"));
  o.resume = true;
  f.run(o);
  CHECK(read_file(o.out + "/adapter_model.safetensors") == read_file(folder / "straight/adapter_model.safetensors"));
}

TEST_CASE("patience stops early and the best adapter is what is written") {
  // The held-out record asks for another last token than the one that training teaches: it can only get worse.
  Fixture f;
  f.train = {f.train[1]};
  f.valid = f.train;
  f.valid[0].tokens.back() = (f.valid[0].tokens.back() + 1) % 97;
  std::fill(f.valid[0].supervised.begin(), f.valid[0].supervised.end() - 1, 0);
  REQUIRE((f.train[0].supervised.back() && f.valid[0].supervised.back()));
  const TemporaryFolder folder;
  RunOptions o = f.options(folder.path() + "/run");
  o.train.adamw.lr = 0.05, o.train.schedule = Schedule::constant, o.train.warmup = 0;
  o.valid_every = 1, o.patience = 2;
  std::vector<double> losses;
  const RunResult result = f.run(o, [&](const Json& event) {
    if (event.at("event", "").as_string("") == "eval") losses.push_back(event.at("loss", "").as_number(""));
  });
  const auto best = std::min_element(losses.begin(), losses.end());
  CHECK(result.early_stopped);
  CHECK(result.steps < kSteps);
  CHECK(losses.end() - best == 3);  // the best, and two without improvement
  CHECK(result.done.at("valid_loss", "").as_number("") == *best);
  o.out = folder.path() + "/best", o.patience = 0, o.train.steps = best - losses.begin() + 1;
  f.run(o);
  CHECK(read_file(folder.path() + "/run/adapter_model.safetensors") == read_file(o.out + "/adapter_model.safetensors"));
}

TEST_CASE("a trainer killed at random moments always resumes from its last acknowledged checkpoint to the same bytes") {
  const Fixture f;
  const TemporaryFolder folder;
  const std::string straight = folder.path() + "/straight";
  f.run(f.options(straight));
  const int kills = std::getenv("FTLIB_CHECK") ? 200 : 20;
  Random random(77);
  for (int i = 0; i < kills; ++i) {
    RunOptions o = f.options(concat(folder.path(), "/killed"));
    o.resume = i % 4 != 0, o.overwrite = !o.resume;
    int acknowledged[2];
    REQUIRE(pipe(acknowledged) == 0);
    const pid_t child = fork();
    if (child == 0) {
      set_threads(1);  // the parent's pool did not come along
      try {
        f.run(o, [&](const Json& event) {
          const std::int64_t step =
              event.at("event", "").as_string("") == "checkpoint" ? event.at("step", "").as_integer("") : -1;
          if (step >= 0 && write(acknowledged[1], &step, sizeof step) < 0) _exit(1);
        });
      } catch (...) {
        _exit(1);
      }
      _exit(0);
    }
    close(acknowledged[1]);
    usleep(static_cast<useconds_t>(random.below(30000)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    std::int64_t step = -1, last = -1;
    while (read(acknowledged[0], &step, sizeof step) == sizeof step) last = step;
    close(acknowledged[0]);
    const CheckpointSearch found = newest_valid_checkpoint(o.out + "/checkpoints");
    if (last >= 0) {
      CHECK(found.skipped.empty());
      REQUIRE(found.checkpoint.has_value());
      CHECK(found.checkpoint->step >= last);
    }
    if (i % 4 != 3) continue;
    o.resume = true, o.overwrite = false;
    CHECK(f.run(o).finished);
    CHECK(final_bytes(o.out) == final_bytes(straight));
  }
}

TEST_CASE("whatever call to the disk fails, a run goes on or ends with an error value, and what was saved stays") {
  const Fixture f;
  const TemporaryFolder folder;
  const std::string straight = folder.path() + "/straight";
  f.run(f.options(straight));
  const std::string wanted = final_bytes(straight);
  const int stride = std::getenv("FTLIB_CHECK") ? 1 : 41;  // every k in the long check
  for (const IoFault fault : kIoFaults)
    for (const bool sticky : {false, true})
      for (int k = 0;; k += stride) {
        RunOptions o = f.options(folder.path() + "/faulty");
        fs::remove_all(o.out);
        bool struck = false, finished = false;
        {
          const IoFaults faults(fault, k, sticky);
          try {
            finished = f.run(o).finished;
          } catch (const Error&) {
          }
          struck = faults.struck();
        }
        if (!struck) break;
        CAPTURE(static_cast<int>(fault));
        CAPTURE(sticky);
        CAPTURE(k);
        if (finished && !sticky) CHECK(final_bytes(o.out) == wanted);
        if (!fs::exists(o.out)) continue;
        CHECK(newest_valid_checkpoint(o.out + "/checkpoints").skipped.empty());
        // The disk is well again: the run resumes to the bytes of an undisturbed one, and leaves no temporary.
        o.resume = fs::exists(o.out + "/ftlib.json"), o.overwrite = !o.resume;
        CHECK(f.run(o).finished);
        CHECK(final_bytes(o.out) == wanted);
        CHECK_FALSE(has_temporaries(o.out));
      }
}

TEST_CASE("every default that decides a run is listed in the changelog") {
  const std::string changelog = read_file(std::string(FTLIB_TESTS_DIR) + "/../CHANGELOG.md");
  Json defaults = train_options_json(TrainOptions{});
  const LoraConfig lora;
  defaults["r"] = lora.r, defaults["lora_alpha"] = lora.lora_alpha, defaults["lora_dropout"] = lora.lora_dropout;
  defaults["max_length"] = DatasetOptions{}.max_length;
  defaults["max_tokens"] = GenerateOptions{}.max_tokens;
  for (const auto& [name, value] : defaults.as_object("defaults")) {
    const std::string entry = concat("`", name, "` ", dump_json(value));
    CAPTURE(entry);
    const std::size_t at = changelog.find(entry);
    REQUIRE(at != std::string::npos);
    CHECK(std::string(",\n").find(changelog[at + entry.size()]) != std::string::npos);
  }
}
