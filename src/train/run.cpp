// SPDX-License-Identifier: Apache-2.0
#include "ftlib/train/run.h"

#include <cmath>
#include <filesystem>
#include <optional>

#include "ftlib/core/digest.h"
#include "ftlib/core/resources.h"
#include "ftlib/io/atomic_file.h"
#include "ftlib/model/adapter.h"
#include "ftlib/ops/peak.h"
#include "ftlib/track/journal.h"
#include "ftlib/train/resume.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

namespace fs = std::filesystem;

/// One run between opening its folder and closing it.
class Run {
 public:
  Run(const CausalLM& model, LoraAdapter& adapter, std::span<const Example> train, std::span<const Example> valid,
      const RunOptions& options, const RunEvents& on_event, const std::atomic<bool>* stop)
      : model_(model),
        adapter_(adapter),
        options_(options),
        on_event_(on_event),
        stop_(stop),
        inputs_(options.inputs),
        lock_((make_directories(options.out), options.out)),
        validation_(valid, {options.valid_every, options.patience}),
        trainer_(model, adapter, train, options.train, options.keep, validation_.longest()) {}

  RunResult go() {
    if (open_folder()) return finished_before();
    try {
      return train();
    } catch (const Error& error) {
      if (error.status() != Status::io_error) throw;
      throw Error(error.status(), error.reason(),
                  concat(error.what(), "; what was saved before stays: once there is room, go on with --resume"));
    }
  }

 private:
  RunResult train() {
    if (validation_.due(trainer_)) validate();  // the run was stopped in it
    while (!trainer_.done() && !validation_.out_of_patience()) {
      if (stop_ && stop_->load()) return stopped();
      const StepReport report = trainer_.step();
      try {
        after_step(report);
        for (FileFingerprint& input : inputs_) input.check();
      } catch (...) {
        keep_what_is_done();
        throw;
      }
    }
    return validation_.due(trainer_) ? stopped() : finish();
  }

  std::string file(const char* name) const { return options_.out + "/" + name; }
  std::string checkpoints() const { return file("checkpoints"); }

  void emit(std::string_view event, Json fields) {
    Json record = Json::object();
    record["event"] = event;
    for (const auto& [key, value] : fields.as_object("event")) record.append(key, value);
    journal_->append(event, fields);
    if (on_event_) on_event_(record);
  }

  /// Returns whether the run there is already finished.
  bool open_folder() {
    remove_temporaries();
    const bool resuming = options_.resume && fs::exists(file("ftlib.json"));
    if (!resuming) check_is_free();
    if (resuming) compare_record();
    else write_record({}), clear_folder();
    journal_.emplace(resuming ? Journal::resume(file("journal.jsonl")) : Journal::create(file("journal.jsonl")));
    if (resuming && finished_) return true;
    if (resuming) restore();
    Json plan = Json::object();
    plan["steps"] = trainer_.total_steps();
    plan["trainable_parameters"] = adapter_.parameter_count;
    for (const auto& [key, value] :
         options_.machine.is_object() ? options_.machine.as_object("machine") : Json::Object{})
      plan.append(key, value);
    plan["options"] = options_.options;
    plan["digests"] = options_.digests;
    emit("plan", std::move(plan));
    return false;
  }

  /// Nothing that somebody may want to keep is lost without being asked for.
  void check_is_free() const {
    if (options_.overwrite) return;
    const bool has_run = fs::exists(file("ftlib.json")) || fs::exists(file("journal.jsonl"));
    FT_CHECK(!has_run || options_.resume, invalid_argument, "[train] ", options_.out,
             " holds a run; use --resume to go on or --overwrite to replace it");
    FT_CHECK(!fs::exists(file("adapter_config.json")) && !fs::exists(file("adapter_model.safetensors")), invalid_argument,
             "[train] ", options_.out, " holds an adapter that is not of a run; use --overwrite to replace it");
  }

  /// The new record stands already, so that a kill in between leaves a run to resume, not a riddle.
  void clear_folder() {
    for (const char* name : {"checkpoints", "journal.jsonl", "adapter_config.json", "adapter_model.safetensors", "adapter.gguf"})
      remove_tree(file(name));
  }

  /// What a killed run, or a disk that refused even to remove, left half-written.
  void remove_temporaries() {
    const auto remove = [](const std::string& folder, const auto& is_ours) {
      std::error_code absent;
      for (const auto& entry : fs::directory_iterator(folder, absent)) {
        const std::string name = entry.path().filename().string();
        if (name.find(".tmp-") != std::string::npos && is_ours(entry, name)) remove_tree(entry.path().string());
      }
    };
    remove(options_.out, [](const fs::directory_entry& entry, const std::string& name) {
      return entry.is_regular_file() || name.starts_with("checkpoints.");
    });
    remove(checkpoints(), [](const fs::directory_entry&, const std::string& name) { return name.starts_with("step-"); });
  }

  Json record() const {
    Json json = Json::object();
    json["format"] = kRunFormat;
    json["ftlib"] = FTLIB_VERSION;
    json["digests"] = options_.digests;
    json["options"] = options_.options;
    return json;
  }

  void write_record(const std::string& adapter_digest) {
    Json json = record();
    json["digests"]["config"] = sha256_hex(dump_json(options_.options));
    json["digests"]["adapter"] = adapter_digest.empty() ? Json() : Json(adapter_digest);
    write_file_atomic(file("ftlib.json"), dump_json(json, {2, ",", ": ", false, false}) + "\n");
  }

  void compare_record() {
    const std::string path = file("ftlib.json");
    const Json then = parse_json(read_file(path), path);
    const std::int64_t format = then.at("format", path).as_integer(path + ": format");
    FT_CHECK_FILE(format <= kRunFormat, version, path, ": format ", format, " is newer than this library's ",
                  kRunFormat);
    std::string difference = options_difference(then.at("options", path), options_.options);
    Json now_digests = options_.digests, then_digests = then.at("digests", path);
    for (const char* mine : {"config", "adapter"}) now_digests[mine] = Json(), then_digests[mine] = Json();
    const std::string files = options_difference(then_digests, now_digests);
    difference += (difference.empty() || files.empty() ? "" : "; ") + files;
    FT_CHECK(difference.empty(), mismatch, "[train] ", options_.out,
             ": --resume needs the options and files of the run: ", difference);
    const Json* adapter = then.at("digests", path).find("adapter");
    finished_ = adapter && adapter->is_string();
  }

  /// Names the options and files that decide the bits.
  std::string run_digest() const { return sha256_hex(dump_json(options_.options) + dump_json(options_.digests)); }

  void restore() {
    const CheckpointSearch search = newest_valid_checkpoint(checkpoints());
    for (const SkippedCheckpoint& skipped : search.skipped)
      warn(concat("checkpoint ", skipped.name, " skipped: ", skipped.why));
    if (search.checkpoint && search.checkpoint->meta.at("run", "checkpoint") != Json(run_digest())) {
      warn("the checkpoints here are of a run that was being replaced; starting at step 0");
      remove_tree(checkpoints());
    } else if (search.checkpoint) {
      restore_training(*search.checkpoint, adapter_, trainer_, validation_);
    }
    Json event = Json::object();
    event["step"] = trainer_.step_count();
    emit("resume", std::move(event));
  }

  void save() {
    save_training(checkpoints(), adapter_, trainer_, validation_, run_digest(), options_.keep_checkpoints);
    saved_step_ = trainer_.step_count();
    journal_->sync();
    Json event = Json::object();
    event["step"] = saved_step_;
    emit("checkpoint", std::move(event));
  }

  /// Saves, and lets training go on where the disk refuses.
  void try_save() {
    try {
      save();
    } catch (const Error& error) {
      if (error.status() != Status::io_error) throw;
      warn(concat("checkpoint of step ", trainer_.step_count(), " not saved: ", error.what()));
    }
  }

  /// On the way out with an error that the caller has to hear of, whatever happens here.
  void keep_what_is_done() noexcept {
    try {
      if (saved_step_ != trainer_.step_count()) save();
    } catch (...) {
    }
  }

  void warn(const std::string& text) {
    Json event = Json::object();
    event["step"] = trainer_.step_count();
    event["message"] = text;
    try {
      emit("warning", event);
    } catch (const Error& error) {
      if (error.status() != Status::io_error) throw;  // a full disk takes no journal line either: training goes on
    }
  }

  void after_step(const StepReport& report) {
    tokens_ += report.tokens, supervised_ += report.supervised_tokens;
    seconds_ += report.seconds, flops_ += report.flops;
    Json event = Json::object();
    event["step"] = report.step;
    event["epoch"] = report.epoch;
    event["loss"] = report.loss;
    event["grad_norm"] = report.grad_norm;
    event["lr"] = report.lr;
    event["tokens"] = report.tokens;
    event["supervised_tokens"] = report.supervised_tokens;
    event["tokens_per_s"] = static_cast<double>(report.tokens) / std::max(report.seconds, 1e-9);
    if (report.skipped) event["skipped"] = true;
    emit("step", std::move(event));
    if (validation_.due(trainer_)) validate();
    if (due_every(options_.save_every, trainer_) && !trainer_.done() && !validation_.due(trainer_)) try_save();
  }

  /// A stop in its middle, or a disk that refuses the event, leaves it due: what is saved then begins with it.
  void validate() {
    validation_.run(model_, adapter_, trainer_, stop_, [&](const LossReport& report) {
      Json event = Json::object();
      event["step"] = trainer_.step_count();
      event["loss"] = report.loss;
      event["perplexity"] = report.perplexity();
      event["supervised_tokens"] = report.supervised_tokens;
      emit("eval", std::move(event));
    });
  }

  RunResult stopped() {
    if (saved_step_ != trainer_.step_count()) save();
    return {false, false, trainer_.step_count(), {}};
  }

  RunResult finish() {
    if (saved_step_ != trainer_.step_count()) try_save();
    validation_.copy_best(adapter_);
    const std::string digest = adapter_digest(adapter_);
    save_peft_adapter(options_.out, adapter_, options_.origin);
    save_gguf_adapter(file("adapter.gguf"), adapter_, options_.origin, model_.config());
    Json done = done_fields(digest);
    emit("done", done);
    journal_->sync();
    write_record(digest);
    return {true, validation_.out_of_patience(), trainer_.step_count(), std::move(done), tokens_};
  }

  Json done_fields(const std::string& digest) const {
    const double seconds = std::max(seconds_, 1e-9);
    Json done = Json::object();
    done["steps"] = trainer_.step_count();
    done["train_loss"] = trainer_.train_loss();
    done["valid_loss"] = validation_.has_best() ? Json(validation_.best_loss()) : Json();
    if (validation_.has_best()) done["best_step"] = validation_.best_step();
    done["tokens_per_s"] = static_cast<double>(tokens_) / seconds;
    done["supervised_tokens_per_s"] = static_cast<double>(supervised_) / seconds;
    done["train_seconds"] = seconds_;
    done["peak_rss_bytes"] = resource_usage().peak_rss_bytes;
    done["peak_fraction"] = flops_ / seconds / peak_flops(model_.compute());
    done["adapter_digest"] = digest;
    return done;
  }

  /// Reads the "done" event of a finished run; trains nothing.
  RunResult finished_before() {
    RunResult result{true, false, 0, {}};
    for (const Json& event : read_journal(file("journal.jsonl")))
      if (event.at("event", "journal").as_string("event") == "done") result.done = event;
    if (on_event_) on_event_(result.done);
    return result;
  }

  const CausalLM& model_;
  LoraAdapter& adapter_;
  const RunOptions& options_;
  const RunEvents& on_event_;
  const std::atomic<bool>* stop_;
  std::vector<FileFingerprint> inputs_;
  DirectoryLock lock_;
  Validation validation_;
  Trainer trainer_;
  std::optional<Journal> journal_;
  std::int64_t saved_step_ = -1;
  std::int64_t tokens_ = 0, supervised_ = 0;
  double seconds_ = 0, flops_ = 0;
  bool finished_ = false;
};

}  // namespace

std::string options_difference(const Json& then, const Json& now) {
  std::string text;
  const auto add = [&](const std::string& key, const Json* a, const Json* b) {
    if (a && b && *a == *b) return;
    const auto show = [](const Json* value) { return value ? excerpt(dump_json(*value)) : std::string("absent"); };
    text += concat(text.empty() ? "" : "; ", key, ": ", show(a), " then, ", show(b), " now");
  };
  for (const auto& [key, value] : then.as_object("options")) add(key, &value, now.find(key));
  for (const auto& [key, value] : now.as_object("options"))
    if (then.find(key) == nullptr) add(key, nullptr, &value);
  return text;
}

RunResult run_training(const CausalLM& model, LoraAdapter& adapter, std::span<const Example> train,
                       std::span<const Example> valid, const RunOptions& options, const RunEvents& on_event,
                       const std::atomic<bool>* stop) {
  return Run(model, adapter, train, valid, options, on_event, stop).go();
}

}  // namespace ftlib::inline FTLIB_ABI
