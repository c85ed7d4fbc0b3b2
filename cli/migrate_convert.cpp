// SPDX-License-Identifier: Apache-2.0
// What a value means in options: one small function a way of meaning.
#include <algorithm>
#include <cmath>
#include <set>

#include "ftlib/model/config.h"
#include "migrate_table.h"

namespace ftlib::cli::migration {
namespace {

// Records of at most so many tokens, where the source cuts none: the most that --max-length takes.
constexpr std::int64_t kNoLimit = 1 << 24;

/// As a person writes it: 3 for 3.0, 0.0003 rather than 3e-04.
std::string number_text(const Json& value) {
  const double number = value.as_number("");
  const bool whole = number == std::floor(number) && std::abs(number) < 1e15;
  return whole ? concat(static_cast<std::int64_t>(number)) : dump_json(value);
}

/// `here` without its backticks, for a message.
std::string plain(std::string_view here) {
  std::string text;
  for (const char c : here)
    if (c != '`') text += c;
  return text;
}

bool is_true(const Json& value) { return value == Json(true); }

/// A regular expression that matches the text alone.
std::string quoted(std::string_view text) {
  std::string regex;
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    regex += word ? "" : "\\", regex += c;
  }
  return regex;
}

std::string joined(const std::vector<std::string>& texts, std::string_view separator) {
  std::string all;
  for (std::size_t i = 0; i < texts.size(); ++i) all += concat(i ? separator : "", texts[i]);
  return all;
}

/// What layers_to_transform names; nothing: all layers.
std::vector<std::string> layers(const Resolution& r) {
  std::vector<std::string> numbers;
  for (const std::string_view key : {"layers_to_transform", "peft_layers_to_transform"}) {
    const Json* value = r.given(key);
    if (value == nullptr) continue;
    if (!value->is_array())
      numbers.push_back(concat(r.whole(key, *value, 0)));
    else
      for (const Json& layer : value->as_array("")) numbers.push_back(concat(r.whole(key, layer, 0)));
  }
  return numbers;
}

void target_names(Resolution& r, std::string_view key, const std::vector<std::string>& names) {
  if (names.empty()) r.fail(key, "names no module");
  for (const std::string& name : names)
    if (name.empty() || name.find(',') != name.npos) r.fail(key, concat("want names of modules, got ", excerpt(name)));
  const std::vector<std::string> chosen = layers(r);
  if (chosen.empty()) return r.option("--target", joined(names, ","));
  std::vector<std::string> patterns;
  for (const std::string& name : names) patterns.push_back(quoted(name));
  r.option("--target-regex",
           concat("model\\.layers\\.(", joined(chosen, "|"), ")\\.(.*\\.)?(", joined(patterns, "|"), ")"));
}

/// max_length: null, which is not the same as no max_length.
bool unlimited(const Resolution& r) {
  const bool null = r.is_null("max_length") || r.is_null("max_seq_length");
  return null && r.given("max_length") == nullptr && r.given("max_seq_length") == nullptr;
}

bool packs(const Resolution& r) { return is_true(r.value(r.is_axolotl() ? "sample_packing" : "packing")); }

/// A share of all steps keeps its fraction, a number of steps becomes whole.
std::string warmup_text(const Resolution& r, std::string_view key, const Json& value) {
  const double warmup = r.number(key, value);
  if (warmup < 0) r.fail(key, concat("want 0 or more, got ", warmup));
  return number_text(warmup < 1 ? warmup : std::floor(warmup));
}

}  // namespace

bool is_unset(const Json& value) {
  const bool zero = value.is_number() && value.as_number("") == 0;
  return zero || value.is_null() || value == Json(false) || value == Json("") || value == Json::array() ||
         value == Json::object();
}

std::string option_of(const Row& row) {
  const std::size_t begin = row.here.find('`') + 1;
  return std::string(row.here.substr(begin, row.here.find('`', begin) - begin));
}

void Resolution::refuse(const Row& row, std::string_view key, const Json& value) const {
  fail(key, concat(excerpt(dump_json(value)), " is refused: ", plain(row.here)));
}

void whole(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  r.option(option_of(row), concat(r.whole(key, value)));
}

void number(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  r.number(key, value);
  r.option(option_of(row), number_text(value));
}

void flag(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (r.boolean(key, value)) r.flag(option_of(row));
}

void ignored(Resolution&, const Row&, std::string_view, const Json&) {}
void elsewhere(Resolution&, const Row&, std::string_view, const Json&) {}

void only(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (is_unset(value)) return;
  if (!row.accepts.empty()) {
    const Json accepted = parse_json(row.accepts, key);
    if (std::ranges::count(accepted.as_array(key), value) > 0) return;
  }
  r.refuse(row, key, value);
}

void named(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (is_unset(value)) return;
  const std::string said = value.is_string() ? value.as_string("") : dump_json(value);
  r.note(concat(key, " ", excerpt(said), ": ", plain(row.here)));
}

void target(Resolution& r, const Row&, std::string_view key, const Json& value) {
  if (!value.is_string()) return target_names(r, key, r.texts(key, value));
  if (!layers(r).empty()) r.fail(key, "with layers_to_transform want a list of names");
  const std::string& text = value.as_string("");
  r.option(text == "all-linear" ? "--target" : "--target-regex", text);
}

namespace {

/// "q_proj", "k_proj", ...
std::set<std::string> linear_names() {
  std::set<std::string> names;
  for (int kind = 0; kind < kLinearKinds; ++kind) {
    const std::string_view path = linear_path(static_cast<LinearKind>(kind));
    names.emplace(path.substr(path.rfind('.') + 1));
  }
  return names;
}

}  // namespace

/// axolotl's two ways to say it: all linears and names besides, or names alone.
void target_linear(Resolution& r, const Row&, std::string_view key, const Json& value) {
  constexpr std::string_view kNames = "lora_target_modules";
  const Json* names = r.given(kNames);
  if (!r.boolean(key, value)) {
    if (names == nullptr) r.fail(key, "neither lora_target_linear nor lora_target_modules names a module");
    return target(r, {}, kNames, *names);
  }
  const std::set<std::string> linears = linear_names();
  if (names != nullptr)
    for (const std::string& name : names->is_string() ? std::vector{names->as_string("")} : r.texts(kNames, *names))
      if (!linears.contains(name)) r.fail(kNames, concat(excerpt(name), " is none of the decoder's linears"));
  if (!layers(r).empty()) return target_names(r, key, {linears.begin(), linears.end()});
  r.option("--target", "all-linear");
}

void rank_pattern(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (!value.is_object()) r.fail(key, concat("want an object, got ", value.type_name()));
  for (const auto& [pattern, number] : value.as_object("")) {
    r.number(concat(key, ".", pattern), number);
    r.option(option_of(row), concat(pattern, "=", number_text(number)));
  }
}

void init_adapter(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  r.option(option_of(row), r.text(key, value));
}

void peft_config(Resolution& r, const Row&, std::string_view key, const Json& value) {
  r.nested(key, value, peft_kind());
}

void use_peft(Resolution& r, const Row&, std::string_view key, const Json& value) {
  if (!r.boolean(key, value))
    r.fail(key, "false: trl sft trains the whole model then, which is not offered; say true for an adapter");
}

void adapter_kind(Resolution& r, const Row&, std::string_view key, const Json& value) {
  const bool qlora = value == Json("qlora"), four_bits = is_true(r.value("load_in_4bit"));
  if (!qlora && value != Json("lora"))
    r.fail(key,
           concat("want lora or qlora, got ", excerpt(dump_json(value)), "; training the whole model is not offered"));
  if (qlora && !four_bits) r.fail(key, "qlora wants load_in_4bit: true");
}

void required(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (value.is_null()) r.fail(key, "is missing, and axolotl has no default");
  number(r, row, key, value);
}

namespace {

void quantized_base(Resolution& r, bool double_quant) {
  r.option("--base", "nf4"), r.option("--block-size", "64");
  if (double_quant) r.flag("--double-quant");
}

}  // namespace

void nf4(Resolution& r, const Row&, std::string_view key, const Json& value) {
  if (r.boolean(key, value)) quantized_base(r, true);
}

void nf4_of_trl(Resolution& r, const Row&, std::string_view key, const Json& value) {
  if (r.boolean(key, value)) quantized_base(r, is_true(r.value("use_bnb_nested_quant")));
}

void batch(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const std::int64_t records = r.whole(key, value, 1);
  if (!packs(r)) r.option(option_of(row), concat(records));
}

void packing(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (!r.boolean(key, value)) return;
  const std::string_view length = r.is_axolotl() ? "sequence_len" : "max_length";
  const std::string_view records = r.is_axolotl() ? "micro_batch_size" : "per_device_train_batch_size";
  if (!r.is_axolotl() && unlimited(r)) r.fail(key, "wants max_length");
  const std::int64_t tokens = std::min(r.whole(length, r.value(length), 1), kNoLimit);
  r.option(option_of(row), concat(tokens * std::min(r.whole(records, r.value(records), 1), kNoLimit)));
}

/// axolotl takes the records of a whole step in place of the micro-batches.
void accumulate(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const Json* step = r.given("batch_size");
  if (step == nullptr || r.given("gradient_accumulation_steps") != nullptr)
    return r.option(option_of(row), concat(r.whole(key, value, 1)));
  const std::int64_t records = r.whole("batch_size", *step, 1);
  const std::int64_t micro = r.whole("micro_batch_size", r.value("micro_batch_size"), 1);
  if (records % micro != 0) r.fail("batch_size", concat(records, " is no multiple of micro_batch_size ", micro));
  r.option(option_of(row), concat(records / micro));
}

void max_length(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  r.option(option_of(row), concat(unlimited(r) ? kNoLimit : r.whole(key, value, 1)));
  if (!unlimited(r)) r.flag("--truncate");
}

void sequence_len(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  r.option(option_of(row), concat(r.whole(key, value, 1)));
  const Json excess = r.value("excess_length_strategy");
  if (excess == Json("truncate"))
    r.flag("--truncate");
  else if (!is_unset(excess) && excess != Json("drop"))
    r.fail("excess_length_strategy", concat("want drop or truncate, got ", excerpt(dump_json(excess))));
}

namespace {

std::int64_t steps(const Resolution& r) {
  const Json value = r.value("max_steps");
  return value.is_null() ? 0 : r.whole("max_steps", value);
}

std::string schedule_named(const Resolution& r) {
  const Json value = r.value(r.is_axolotl() ? "lr_scheduler" : "lr_scheduler_type");
  return value.is_string() ? value.as_string("") : "";
}

}  // namespace

void epochs(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (steps(r) > 0) return;
  const double times = r.number(key, value);
  if (times != std::floor(times) || times < 1)
    r.fail(key, concat("want whole epochs here, got ", times, "; give max_steps"));
  r.option(option_of(row), number_text(times));
}

void max_steps(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (r.whole(key, value) > 0) r.option(option_of(row), concat(steps(r)));
}

/// axolotl takes a rate in quotes too.
void learning_rate(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (value.is_null()) return required(r, row, key, value);
  if (!value.is_string() || !r.is_axolotl()) return number(r, row, key, value);
  const std::string& rate = value.as_string("");
  Json number_of_text;
  try {
    number_of_text = parse_json(rate, key);
  } catch (const Error&) {
    r.fail(key, concat("want a number, got ", excerpt(rate)));
  }
  number(r, row, key, number_of_text);
}

void schedule(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const std::string& name = r.text(key, value);
  if (name != "linear" && name != "cosine" && name != "constant" && name != "constant_with_warmup")
    r.refuse(row, key, value);
  r.option(option_of(row), name == "constant_with_warmup" ? "constant" : name);
}

/// transformers' "constant" warms up no step, whatever warmup_steps says.
void warmup(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const Json* ratio = r.given("warmup_ratio");
  const Json* number_of_steps = r.given("warmup_steps");
  const bool both = ratio && number_of_steps && !is_unset(*ratio) && !is_unset(*number_of_steps);
  if (both) r.fail("warmup_ratio", "and warmup_steps both warm up; give one");
  if (schedule_named(r) == "constant") return r.option(option_of(row), "0");
  if (ratio != nullptr && (number_of_steps == nullptr || is_unset(*number_of_steps)))
    return r.option(option_of(row), warmup_text(r, "warmup_ratio", *ratio));
  r.option(option_of(row), warmup_text(r, key, value));
}

void optimizer(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  static const std::set<std::string, std::less<>> k32bits{
      "adamw_torch",      "adamw_torch_fused", "adamw_torch_xla",  "adamw_torch_npu_fused",
      "adamw_apex_fused", "paged_adamw",       "paged_adamw_32bit"};
  static const std::set<std::string, std::less<>> k8bits{"adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit"};
  const std::string& name = r.text(key, value);
  if (!k32bits.contains(name) && !k8bits.contains(name)) r.refuse(row, key, value);
  r.option(option_of(row), k8bits.contains(name) ? "adamw8bit" : "adamw");
}

void betas(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const Json second = r.value("adam_beta2");
  r.number(key, value), r.number("adam_beta2", second);
  r.option(option_of(row), concat(number_text(value), ",", number_text(second)));
}

void compute(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (value == Json("auto")) return r.option(option_of(row), "auto");
  if (!value.is_bool()) r.refuse(row, key, value);
  r.option(option_of(row), is_true(value) ? "bf16" : "f32");
}

void order(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const std::string& name = r.text(key, value);
  if (name != "random" && name != "sequential") r.refuse(row, key, value);
  r.option(option_of(row), name == "random" ? "shuffle" : "given");
}

void curriculum(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  r.option(option_of(row), r.boolean(key, value) ? "given" : "shuffle");
}

/// Shuffled once or every time, a random order is a random order; but not where each epoch keeps it.
void shuffle_dataset(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (r.boolean(key, value) && r.value("train_sampling_strategy") == Json("sequential")) r.refuse(row, key, value);
}

void seed_or_random_state(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const Json* state = r.given("seed") == nullptr ? r.given("random_state") : nullptr;
  whole(r, row, state ? "random_state" : key, state ? *state : value);
}

void chat_template(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const std::string& path = r.text(key, value);
  if (!path.ends_with(".jinja") && !path.ends_with(".jinja2") && !path.ends_with(".j2")) r.refuse(row, key, value);
  r.option(option_of(row), path);
}

void assistant_only(Resolution& r, const Row&, std::string_view key, const Json& value) {
  if (!r.boolean(key, value))
    r.note(concat(key,
                  " false: there the loss of a `messages` record counts every token, here its assistant turns; "
                  "`text` records count every token"));
}

void only_true(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (!is_true(value)) r.refuse(row, key, value);
}

void evaluation(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const std::string& when = r.text(key, value);
  if (when == "no") return;
  if (when == "epoch") return r.note(concat(key, " epoch: give the records as --valid"));
  if (when != "steps") r.refuse(row, key, value);
  const std::string_view every = is_unset(r.value("eval_steps")) ? "logging_steps" : "eval_steps";
  r.option(option_of(row), concat(r.whole(every, r.value(every), 1)));
}

/// The end of an epoch is saved anyhow, and a share of all steps is not said in steps.
void saving(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  const Json every = r.value("save_steps");
  if (r.text(key, value) == "steps" && r.number("save_steps", every) >= 1)
    r.option(option_of(row), concat(r.whole("save_steps", every)));
}

void interval(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (is_unset(value)) return;
  if (r.number(key, value) >= 1) return r.option(option_of(row), concat(r.whole(key, value)));
  r.note(concat(key, " ", number_text(value), ": a share of all steps; give ", option_of(row), " in steps"));
}

void early_stopping(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (!is_unset(value)) r.option(option_of(row), concat(r.whole(key, value, 1)));
}

/// Padding needs no token here; the others belong to the model's tokenizer.
void special_tokens(Resolution& r, const Row& row, std::string_view key, const Json& value) {
  if (!value.is_object()) r.fail(key, concat("want an object, got ", value.type_name()));
  for (const auto& [name, token] : value.as_object(""))
    if (name != "pad_token" && !is_unset(token)) r.refuse(row, concat(key, ".", name), token);
}

}  // namespace ftlib::cli::migration
