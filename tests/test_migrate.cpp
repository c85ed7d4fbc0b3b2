// SPDX-License-Identifier: Apache-2.0
// --from: files of other trainers against tests/golden/migrate.json (by tools/golden/migrate.py: what the classes of PEFT,
// TRL and transformers make of them, the documented defaults of Unsloth and axolotl), the table of keys against
// docs/migrate.md, and one job of TRL's run here.
#include "migrate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "error_of.h"
#include "ftlib/io/file.h"
#include "golden.h"
#include "hostile.h"
#include "program.h"
#include "temporary_folder.h"
#include "test_models.h"

using namespace ftlib;
using cli::migrate;
using cli::Migration;
using Options = std::map<std::string, std::vector<std::string>>;

namespace {

const std::string kFolder = std::string(FTLIB_TESTS_DIR) + "/migrate/";

/// The order of modules in a list says nothing.
std::string sorted_list(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> items;
  for (std::string item; std::getline(stream, item, ',');) items.insert(item);
  std::string all;
  for (const std::string& item : items) all += (all.empty() ? "" : ",") + item;
  return all;
}

Options by_name(const Migration& migration) {
  Options options;
  for (const auto& option : migration.options)
    options[option.name].push_back(option.name == "--target" ? sorted_list(option.value) : option.value);
  return options;
}

Options golden_options(const Json& json) {
  Options options;
  for (const auto& [name, values] : json.as_object("options"))
    for (const Json& value : values.as_array("values"))
      options[name].push_back(name == "--target" ? sorted_list(value.as_string("")) : value.as_string(""));
  return options;
}

std::string said(const Options& options) {
  std::string text;
  for (const auto& [name, values] : options)
    for (const std::string& value : values) text += name + " " + value + "\n";
  return text;
}

/// A file with this content, read.
Migration migrated(const std::string& text, const std::string& name = "config.json") {
  const TemporaryFolder folder;
  write_raw(folder / name, text);
  return migrate(folder / name);
}

std::string refusal(const std::string& text, const std::string& name = "config.json") {
  CAPTURE(text);
  const Error error = error_of([&] { migrated(text, name); });
  CHECK(error.status() == Status::invalid_argument);
  return error.what();
}

void check_says(const std::string& message, const std::string& part) {
  CAPTURE(message);
  CHECK(message.find(part) != message.npos);
}

bool same_value(const Json& a, const Json& b) {
  return a.is_number() && b.is_number() ? a.as_number("") == b.as_number("") : a == b;
}

/// Enough of axolotl that one more key can be tried.
std::string axolotl(const std::string& more) {
  return "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\nlearning_rate: 1e-4\n" +
         more;
}

std::string joined_keys(const std::vector<std::string_view>& keys) {
  std::string text;
  for (const std::string_view key : keys) text += concat(text.empty() ? "`" : ", `", key, "`");
  return text;
}

/// The rows of each heading's table, as the page should have them.
std::map<std::string, std::vector<std::string>> table_rows() {
  std::map<std::string, std::vector<std::string>> tables;
  for (const auto& row : cli::migrated_keys()) {
    const std::string absent = row.absent.empty()     ? ""
                               : row.absent == "null" ? "an error"
                                                      : concat("`", row.absent, "`");
    tables[std::string(row.table)].push_back(concat("| ", joined_keys(row.keys), " | ", cli::verdict_name(row.verdict),
                                                    " | ", row.here, " | ", absent, " |"));
  }
  return tables;
}

std::map<std::string, std::vector<std::string>> page_rows() {
  std::istringstream page(read_file(std::string(FTLIB_TESTS_DIR) + "/../docs/migrate.md"));
  std::map<std::string, std::vector<std::string>> tables;
  std::string heading;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ") || line.starts_with("### ")) heading = line.substr(line.find(' ') + 1);
    if (line.starts_with("| `")) tables[heading].push_back(line);
  }
  return tables;
}

}  // namespace

TEST_CASE("migrate: twelve files come to what the classes of PEFT, TRL and transformers make of them, those of Unsloth "
          "and axolotl to the defaults that were read in their source") {
  const Json golden = golden_json("migrate.json");
  int files = 0;
  for (const Json::Member& member : golden.as_object("golden")) {
    const std::string& name = member.first;
    if (name == "fields") continue;
    CAPTURE(name);
    CHECK(said(by_name(migrate(kFolder + name))) == said(golden_options(member.second)));
    ++files;
  }
  CHECK(files == 12);
}

TEST_CASE("migrate: every field of the real classes is in the table, with the default that it has there") {
  const Json golden = golden_json("migrate.json");
  std::map<std::string, std::map<std::string, Json>> absent;
  for (const auto& row : cli::migrated_keys())
    for (const std::string_view key : row.keys)
      absent[std::string(row.table)].emplace(key, row.absent.empty() ? Json("-") : parse_json(row.absent, "absent"));
  int compared = 0;
  for (const Json::Member& fields : golden.at("fields", "golden").as_object("fields"))
    for (const Json::Member& field : fields.second.as_object("fields")) {
      const std::string &table = fields.first, &key = field.first;
      CAPTURE(table);
      CAPTURE(key);
      const bool inherited = table == "TRL" && !absent[table].contains(key);
      const auto& known = absent[inherited ? "TrainingArguments" : table];
      REQUIRE(known.contains(key));
      if (known.at(key) == Json("-")) continue;
      CAPTURE(dump_json(field.second));
      CHECK(same_value(known.at(key), field.second));
      ++compared;
    }
  CHECK(compared > 40);
}

TEST_CASE("migrate: docs/migrate.md has the table's rows, and no others") {
  const auto table = table_rows(), page = page_rows();
  for (const auto& [heading, rows] : table) {
    REQUIRE(page.contains(heading));
    REQUIRE(page.at(heading).size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(page.at(heading)[i] == rows[i]);
  }
  CHECK(page.size() == table.size());
}

TEST_CASE("write the tables of docs/migrate.md" * doctest::test_suite("write") * doctest::skip()) {
  for (const auto& [heading, rows] : table_rows()) {
    std::cout << "### " << heading << "\n\n| key | verdict | here | absent there |\n|---|---|---|---|\n";
    for (const std::string& row : rows) std::cout << row << "\n";
    std::cout << "\n";
  }
}

TEST_CASE("migrate: what is not offered is refused by key and value, with the line") {
  const std::pair<const char*, const char*> peft[] = {
      {R"("use_dora": true)", "config.json:2: use_dora: true is refused: adapters are plain LoRA"},
      {R"("bias": "all")", "bias: \"all\" is refused: biases are not trained"},
      {R"("modules_to_save": ["lm_head"])", "modules_to_save: [\"lm_head\"] is refused"},
      {R"("init_lora_weights": "pissa")", "init_lora_weights: \"pissa\" is refused"},
      {R"("init_lora_weights": false)", "init_lora_weights: false is refused"},
      {R"("task_type": "SEQ_CLS")", "task_type: \"SEQ_CLS\" is refused"},
      {R"("peft_type": "LOHA")", "peft_type: \"LOHA\" is refused"},
      {R"("target_modules": [])", "target_modules: names no module"},
      {R"("target_modules": ["a,b"])", "want names of modules, got a,b"},
      {R"("target_modules": ".*", "layers_to_transform": [1])", "with layers_to_transform want a list of names"},
      {R"("r": 4.5)", "r: want a whole number, got 4.5"},
      {R"("r": "8")", "r: want a whole number, got \"8\""},
      {R"("use_rslora": 1)", "use_rslora: want true or false, got 1"},
      {R"("rank_pattern": [1])", "rank_pattern: want an object, got array"},
  };
  for (const auto& [line, part] : peft) {
    check_says(refusal(concat("{\n", line, ",\n\"lora_alpha\": 8, \"lora_dropout\": 0.0}")), part);
  }
  const std::pair<const char*, const char*> sft[] = {
      {R"("optim": "lion_8bit")", "optim: \"lion_8bit\" is refused"},
      {R"("lr_scheduler_type": "polynomial")", "lr_scheduler_type: \"polynomial\" is refused"},
      {R"("label_smoothing_factor": 0.1)", "label_smoothing_factor: 0.1 is refused"},
      {R"("neftune_noise_alpha": 5)", "neftune_noise_alpha: 5 is refused"},
      {R"("fp16": true)", "fp16: true is refused"},
      {R"("deepspeed": "zero3.json")", "deepspeed: \"zero3.json\" is refused: one process"},
      {R"("fsdp": ["full_shard"])", "fsdp: [\"full_shard\"] is refused"},
      {R"("packing": true, "packing_strategy": "wrapped")", "packing_strategy: \"wrapped\" is refused"},
      {R"("num_train_epochs": 1.5)", "num_train_epochs: want whole epochs here, got 1.5; give max_steps"},
      {R"("completion_only_loss": false)", "completion_only_loss: false is refused"},
      {R"("loss_type": "dft")", "loss_type: \"dft\" is refused"},
      {R"("resume_from_checkpoint": "out/checkpoint-9")", "states of other trainers are not read"},
      {R"("push_to_hub": true)", "push_to_hub: true is refused: nothing is uploaded"},
      {R"("train_sampling_strategy": "group_by_length")", "train_sampling_strategy: \"group_by_length\" is refused"},
      {R"("train_sampling_strategy": "sequential", "shuffle_dataset": true)", "shuffle_dataset: true is refused"},
      {R"("warmup_steps": 5, "warmup_ratio": 0.1)", "warmup_ratio: and warmup_steps both warm up"},
      {R"("max_seq_length": 9)", "max_seq_length: says the same as max_length"},
      {R"("chat_template_path": "some/model")", "chat_template_path: \"some/model\" is refused"},
      {R"("peft_config": {"use_dora": true})", "peft_config.use_dora: true is refused"},
      {R"("peft_config": {"rank": 8})", "peft_config.rank: is no key that PEFT LoraConfig has"},
      {R"("learning_rate": "fast")", "learning_rate: want a number, got \"fast\""},
      {R"("save_steps": [1])", "save_steps: want a number"},
      {R"("eval_strategy": "steps", "eval_steps": 0.1)", "eval_steps: want a whole number from 1, got 0.1"},
  };
  for (const auto& [line, part] : sft) {
    check_says(refusal(concat("{\n\"max_length\": 64, \"assistant_only_loss\": true,\n", line, "}")), part);
  }
  const std::pair<const char*, const char*> yaml[] = {
      {"adapter: llama-adapter\nlora_r: 8\nbase_model: x\n", "1: adapter: want lora or qlora, got \"llama-adapter\""},
      {"base_model: x\nlearning_rate: 1\nadapter: lora\n", "lora_r: is missing, and axolotl has no default"},
      {"base_model: x\nadapter: qlora\nlora_r: 1\n", "adapter: qlora wants load_in_4bit: true"},
  };
  for (const auto& [text, part] : yaml) check_says(refusal(text, "a.yml"), part);
  const std::pair<const char*, const char*> more[] = {
      {"train_on_inputs: true", "7: train_on_inputs: true is refused"},
      {"datasets:\n  - path: a\n    type: alpaca", "9: datasets[0].type: \"alpaca\" is refused"},
      {"datasets:\n  - path: a\n  - roles_to_train: [user]", "9: datasets[1].roles_to_train: [\"user\"] is refused"},
      {"special_tokens:\n  pad_token: x\n  eos_token: y", "9: special_tokens.eos_token: \"y\" is refused"},
      {"batch_size: 9\nmicro_batch_size: 2", "batch_size: 9 is no multiple of micro_batch_size 2"},
      {"excess_length_strategy: raise", "excess_length_strategy: want drop or truncate, got \"raise\""},
      {"lora_target_modules: [embed_tokens]", "lora_target_modules: embed_tokens is none of the decoder's linears"},
      {"plugins: [my.Plugin]", "plugins: [\"my.Plugin\"] is refused"},
      {"num_epochs: 010", "num_epochs: want a number, got \"010\""},
  };
  for (const auto& [text, part] : more) {
    check_says(refusal(axolotl(text), "a.yml"), part);
  }
}

TEST_CASE("migrate: an unknown key is an error that names the nearest, at its line, inside lists too") {
  check_says(refusal("{\n \"max_length\": 9,\n \"learning_rat\": 1\n}"),
             "config.json:3: learning_rat: is no key that TRL SFTConfig has; the nearest is learning_rate");
  check_says(refusal(axolotl("sample_pakcing: true"), "a.yml"),
             "a.yml:7: sample_pakcing: is no key that axolotl has; the nearest is sample_packing");
  check_says(refusal(axolotl("datasets:\n  - pth: x"), "a.yml"),
             "a.yml:8: datasets[0].pth: is no key that axolotl has; the nearest is datasets[].path");
  check_says(refusal("{\"r\": 8, \"lora_alpha\": 8, \"zzz\": 1}"), "zzz: is no key that PEFT LoraConfig has");
  check_says(refusal("{\"zzz\": 1}"), "holds no key of PEFT's LoraConfig, TRL's SFTConfig");
  check_says(refusal("{\"\\u001b[31m\": 1, \"r\": 1}"), "\\x1b[31m: is no key");
  check_says(refusal("{}"), "holds no key");
}

TEST_CASE("migrate: which trainer a file is of, its keys tell") {
  CHECK(migrated(R"({"r": 8, "target_modules": "all-linear"})").source == "PEFT LoraConfig");
  CHECK(migrated(R"({"learning_rate": 1e-4, "bf16": true})").source == "transformers TrainingArguments");
  CHECK(migrated(R"({"learning_rate": 1e-4, "packing": false})").source == "TRL SFTConfig");
  CHECK(migrated(R"({"learning_rate": 1e-4, "use_peft": true})").source == "trl sft");
  CHECK(migrated(R"({"r": 8, "random_state": 1, "max_steps": 5})").source == "Unsloth");
  CHECK(migrated(axolotl(""), "a.yml").source == "axolotl");
}

TEST_CASE("migrate: null is as absent, but for a length; a share and a number of steps both warm up") {
  const auto one = [](const std::string& text, const char* option) {
    const Options options = by_name(migrated("{\"assistant_only_loss\": true, " + text + "}"));
    return options.contains(option) ? options.at(option).front() : "-";
  };
  CHECK(one(R"("learning_rate": null)", "--lr") == "2e-05");
  CHECK(one(R"("max_length": null)", "--max-length") == "16777216");
  CHECK(one(R"("max_length": null)", "--truncate") == "-");
  CHECK(one(R"("max_seq_length": 77)", "--max-length") == "77");
  CHECK(one(R"("warmup_ratio": 0.25, "warmup_steps": 0)", "--warmup") == "0.25");
  CHECK(one(R"("warmup_ratio": 0.0, "warmup_steps": 30)", "--warmup") == "30");
  CHECK(one(R"("warmup_steps": 30, "lr_scheduler_type": "constant")", "--warmup") == "0");
  CHECK(one(R"("save_strategy": "epoch")", "--save-every") == "-");
  CHECK(one(R"("eval_strategy": "steps")", "--valid-every") == "10");
  CHECK(one(R"("peft_config": {"r": 2})", "--rank") == "2");
  CHECK(one(R"("peft_config": {"r": 2})", "--target") == "q_proj,v_proj");
}

TEST_CASE("migrate: what the user has to give otherwise, and what differs, is said") {
  const Migration lora = migrate(kFolder + "axolotl_lora.yml");
  const auto notes = [](const Migration& migration) {
    std::string text;
    for (const std::string& note : migration.notes) text += note + "\n";
    return text;
  };
  check_says(notes(lora), "base_model HuggingFaceTB/SmolLM2-135M-Instruct: give the model as --model");
  check_says(notes(lora), "datasets[0].path ./conversations.jsonl: give the records as --train");
  check_says(notes(lora), "val_set_size 0.05: split the records");
  check_says(notes(migrate(kFolder + "trl_sft.yaml")), "dataset_name some/conversations: give the records as --train");
  check_says(notes(migrated(R"({"max_length": 8})")), "assistant_only_loss false: there the loss");
  CHECK(notes(migrate(kFolder + "sft_sparse.json")).empty());
}

TEST_CASE("migrate: pickles, archives, checkpoints and weights are refused, saying what moves over and what does not") {
  const TemporaryFolder folder;
  const std::string checkpoint = folder / "checkpoint-9";
  std::filesystem::create_directory(checkpoint);
  write_raw(checkpoint + "/optimizer.pt", std::string("PK\3\4", 4) + std::string(60, 'x'));
  write_raw(checkpoint + "/training_args.bin", std::string("\x80\2}q\0.", 6));
  write_raw(checkpoint + "/scheduler.pt", "\x80\5more");
  write_raw(checkpoint + "/adapter_model.safetensors", "12345678{}");
  write_raw(checkpoint + "/model.gguf", "GGUF....");
  write_raw(checkpoint + "/trainer_state.json", R"({"global_step": 9, "log_history": []})");
  for (const char* name : {"", "/optimizer.pt", "/training_args.bin", "/scheduler.pt", "/adapter_model.safetensors",
                           "/model.gguf", "/trainer_state.json"}) {
    const ProgramResult result = run_program(
        {"tune", "--model", "/nowhere", "--train", "/nowhere", "--out", folder / "out", "--from", checkpoint + name});
    CAPTURE(result.err);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    check_says(result.err, checkpoint + name);
    check_says(result.err, "What moves over: the adapter by --init-adapter DIR");
    check_says(result.err, "What does not: the optimizer's moments");
  }
}

TEST_CASE("migrate: files that are made to do harm are refused with their place") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.yml";
  std::string deep, bomb = "a: &a [x,x]\n";
  for (int i = 0; i < 300; ++i) deep += "[";
  for (char c = 'b'; c < 'k'; ++c) bomb += concat(c, ": &", c, " [*", static_cast<char>(c - 1), "]\n");
  std::string many = "x: [";
  for (int i = 0; i < 30'000; ++i) many += "1,";
  const std::string nested = "x: " + std::string(60'000, '['), flow = std::string(500'000, '{');
  const HostileCase cases[] = {
      {"deep", "x: " + deep + std::string(300, ']'), {Reason::limit}, "a.yml:1: more than 32 levels"},
      {"deeper", nested, {Reason::limit, Reason::schema}, "a.yml:1: "},
      {"deep blocks", std::string(4000, '-') + " a", {Reason::schema}},
      {"deep sequences",
       [] {
         std::string s;
         for (int i = 0; i < 3000; ++i) s += "- ";
         return s;
       }(),
       {Reason::limit}},
      {"deep JSON", flow, {Reason::json, Reason::limit}},
      {"aliases", bomb, {Reason::unsupported}, "a.yml:2: an alias"},
      {"many", many + "]", {Reason::limit}, "more than 20000 values"},
      {"large YAML", std::string(70'000, '#'), {Reason::limit}, "70000 bytes of YAML"},
      {"large", std::string(2 << 20, ' '), {Reason::limit}},
      {"twice", "seed: 1\nlora_r: 2\nseed: 3\n", {Reason::dup}, "a.yml:3: key seed appears twice"},
      {"twice in JSON", "{\"seed\": 1, \"seed\": 2}", {Reason::dup}, "\"seed\" appears twice"},
      {"tag", "seed: !!python/object/apply:os.system [x]\n", {Reason::unsupported}, "a.yml:1: a tag"},
      {"tagged text", "seed: !!str 1\n", {Reason::unsupported}, "a.yml:1: a tag"},
      {"two documents", "seed: 1\n---\nseed: 2\n", {Reason::schema}, "a second document"},
      {"no YAML", "seed: [1\n", {Reason::schema}, "no YAML: "},
      {"a tab", "seed:\n\t- 1\n", {Reason::schema}},
      {"a complex key", "? [a, b]\n: 1\n", {Reason::schema}, "a key that is no scalar"},
      {"a scalar", "just text", {Reason::schema}, "want keys with values, got string"},
      {"a list", "[1, 2]", {Reason::schema}, "want keys with values, got array"},
      {"nothing", "", {Reason::schema}, "got null"},
      {"an odd tag", "!2", {Reason::schema, Reason::unsupported}},
      {"half a tag", "!<", {Reason::schema, Reason::unsupported}},
      {"a NUL", std::string("seed: \0\0", 8), {Reason::schema}},
      {"broken JSON", "{\"seed\": }", {Reason::json}, "byte 9"},
  };
  for (const HostileCase& c : cases) {
    write_raw(path, c.bytes);
    check_refused(path, c, static_cast<std::int64_t>(c.bytes.size()), [&] { migrate(path); });
  }
  CHECK(error_of([&] { migrate(folder / "none.json"); }).status() == Status::not_found);
}

TEST_CASE("migrate: every prefix and many bit flips of a file are read or refused") {
  const TemporaryFolder folder;
  for (const char* name : {"axolotl_lora.yml", "trl_sft.yaml", "peft_patterns.json"}) {
    const std::string good = read_file(kFolder + name);
    int read = 0;
    const auto try_one = [&](const std::string& text) {
      write_raw(folder / name, text);
      try {
        read += migrate(folder / name).options.size() > 3;
      } catch (const Error&) {
      }
    };
    for (std::size_t bytes = 0; bytes < good.size(); bytes += 3) try_one(good.substr(0, bytes));
    for (std::size_t bit = 0; bit < good.size() * 8; bit += 5) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      try_one(bad);
    }
    CHECK(read > 10);
  }
}

TEST_CASE("migrate: the command line wins over a file, and what came of the file is one line") {
  const TemporaryFolder folder;
  const auto tune = [&](std::vector<std::string> more) {
    std::vector<std::string> args{"tune", "--model", "/nowhere", "--train", "/nowhere", "--out", folder / "out"};
    args.insert(args.end(), more.begin(), more.end());
    return run_program(args);
  };
  const std::string sft = kFolder + "sft_packing.json", peft = kFolder + "peft_layers.json";
  const ProgramResult alone = tune({"--from", sft});
  CHECK(alone.code == 1);  // there is no model
  check_says(alone.err, "from " + sft + " (TRL SFTConfig): --max-length 1536 --truncate --batch-tokens 3072 ");
  check_says(alone.err, " --lr 0.0003 --compute bf16 --accumulate 4 --steps 300 --schedule constant --warmup 20 ");
  check_says(alone.err, "; without --valid left out: --valid-every 50\n");
  const ProgramResult overruled = tune({"--lr", "1e-3", "--from", sft, "--epochs", "2", "--batch-examples", "3"});
  check_says(overruled.err, "; the command line decides instead of --batch-tokens 3072 --lr 0.0003 --steps 300");
  const ProgramResult both = tune({"--from", sft, "--from", peft});
  check_says(both.err, "from " + peft + " (PEFT LoraConfig): --rank 4 --alpha 8 --dropout 0 --target-regex '");
  const ProgramResult twice = tune({"--from", peft, "--from", kFolder + "peft_minimal.json"});
  CHECK(twice.code == 2);
  check_says(twice.err, "peft_minimal.json says --rank, and so does " + peft);
  write_raw(folder / "zero.json", R"({"r": 0, "peft_type": "LORA"})");
  const ProgramResult zero = tune({"--from", folder / "zero.json"});
  CHECK(zero.code == 2);
  check_says(zero.err, "zero.json: --rank: Value 0 not in range");
  write_raw(folder / "odd.json", R"({"peft_type": "LORA", "alpah": 3})");
  const ProgramResult odd = tune({"--from", folder / "odd.json"});
  CHECK(odd.code == 2);
  check_says(odd.err, "odd.json:1: alpah: is no key");
  CHECK(std::filesystem::exists(folder / "out") == false);
}

TEST_CASE("migrate: a job of TRL, from its own files, has TRL's ten losses within 1e-4") {
  const Json golden = golden_json("trl_job.json");
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(kFolder);  // where its chat_template_path begins, as in TRL
  const ProgramResult result = run_program({"tune", "--model", test_model("SmolLM2-135M-Instruct.Q4_1.gguf"), "--from",
                                            "trl_job.json", "--init-adapter", golden_path("smollm2_adapter"), "--train",
                                            "trl_job.jsonl", "--out", folder / "run", "--json"});
  std::filesystem::current_path(before);
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  std::istringstream lines(result.out);
  std::size_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json event = parse_json(line, "line");
    if (event.at("event", "line").as_string("event") != "step") continue;
    REQUIRE(step < 10);
    const auto expected = [&](const char* key) { return golden.at(key, "golden").as_array(key)[step].as_number(key); };
    CAPTURE(step);
    CHECK(std::abs(event.at("loss", "step").as_number("loss") - expected("losses")) < 1e-4);
    CHECK(event.at("lr", "step").as_number("lr") == doctest::Approx(expected("lrs")).epsilon(1e-5));
    CHECK(event.at("grad_norm", "step").as_number("grad_norm") ==
          doctest::Approx(expected("grad_norms")).epsilon(1e-3));
    ++step;
  }
  CHECK(step == 10);
}
