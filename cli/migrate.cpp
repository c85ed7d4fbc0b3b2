// SPDX-License-Identifier: Apache-2.0
#include "migrate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/edit_distance.h"
#include "migrate_table.h"

namespace ftlib::cli {
namespace migration {
namespace {

bool has_key(std::string_view keys, std::string_view key) {
  for (std::size_t at = keys.find(key); at != keys.npos && !key.empty(); at = keys.find(key, at + 1)) {
    const bool begins = at == 0 || keys[at - 1] == ' ',
               ends = at + key.size() == keys.size() || keys[at + key.size()] == ' ';
    if (begins && ends) return true;
  }
  return false;
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"PEFT LoraConfig", {peft_table()}},
      {"transformers TrainingArguments", {transformers_table()}},
      {"TRL SFTConfig", {trl_table(), transformers_table()}},
      {"trl sft", {trl_program_table(), trl_table(), transformers_table()}},
      {"Unsloth", {unsloth_table(), trl_table(), transformers_table()}},
      {"axolotl", {axolotl_table()}},
  };
  return all;
}

/// The kind that knows most of the file's keys; of equals the first.
const Kind& kind_of(const ConfigFile& file) {
  const Kind* best = nullptr;
  std::ptrdiff_t most = 0;
  for (const Kind& kind : kinds()) {
    const auto known = std::ranges::count_if(file.value.as_object(file.path),
                                             [&](const Json::Member& member) { return kind.find(member.first); });
    if (known > most) best = &kind, most = known;
  }
  FT_CHECK(best != nullptr, invalid_argument, file.path,
           ": holds no key of PEFT's LoraConfig, TRL's SFTConfig, TrainingArguments, Unsloth or axolotl");
  return *best;
}

/// "; nearest: KEY" where one is near.
std::string nearest(std::string_view key, const Kind& kind) {
  std::string_view best;
  std::size_t least = 2 + key.size() / 4;
  for (const Table& table : kind.tables)
    for (const Row& row : table.rows)
      for (const std::string_view candidate : keys_of(row))
        if (const std::size_t distance = edit_distance(key.substr(0, 64), candidate); distance < least)
          best = candidate, least = distance;
  return best.empty() ? "" : concat("; the nearest is ", best);
}

/// Spellings of one setting, as against a row of settings that have the same answer.
bool means_one_thing(const Row& row) {
  constexpr std::array<Convert, 4> kMany{ignored, only, named, elsewhere};
  return std::ranges::find(kMany, row.convert) == kMany.end();
}

void refuse_trainer_state(const ConfigFile& file) {
  const bool state = file.value.find("global_step") != nullptr && file.value.find("log_history") != nullptr;
  FT_CHECK(!state, invalid_argument, file.path, " is the state of a trainer. ", what_moves_over());
}

}  // namespace

std::vector<std::string_view> keys_of(const Row& row) {
  std::vector<std::string_view> keys;
  for (std::string_view rest = row.keys; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    keys.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return keys;
}

const Row* Kind::find(std::string_view key) const {
  for (const Table& table : tables)
    for (const Row& row : table.rows)
      if (has_key(row.keys, key)) return &row;
  return nullptr;
}

const Kind& peft_kind() { return kinds().front(); }

bool Resolution::looks_inside(std::string_view key) const {
  const std::string items = concat(key, "[].");
  for (const Table& table : kind_.tables)
    for (const Row& row : table.rows)
      if (row.keys.starts_with(items)) return true;
  return false;
}

void Resolution::add_items(std::vector<Field>& fields, const std::string& list, const Json& items) const {
  std::size_t i = 0;
  for (const Json& item : items.as_array(list)) {
    const std::string at = concat(list, "[", i++, "]");
    if (!item.is_object()) fail(at, concat("want keys with values, got ", excerpt(dump_json(item))));
    for (const auto& [key, value] : item.as_object(at))
      fields.push_back({concat(at, ".", key), concat(list, "[].", key), &value});
  }
}

std::vector<Resolution::Field> Resolution::fields() const {
  std::vector<Field> fields;
  for (const auto& [key, value] : object_.as_object(file_.path)) {
    fields.push_back({key, key, &value});
    if (value.is_array() && looks_inside(key)) add_items(fields, key, value);
  }
  return fields;
}

const Row* Resolution::known(const Field& field) const {
  const Row* row = kind_.find(field.pattern);
  if (row == nullptr) fail(field.path, concat("is no key that ", kind_.name, " has", nearest(field.pattern, kind_)));
  return row;
}

void Resolution::convert(const Row& row, const std::vector<Field>& fields) {
  const Field* before = nullptr;
  for (const Field& field : fields) {
    if (field.value->is_null() || field.row != &row) continue;
    if (before != nullptr && means_one_thing(row)) fail(field.path, concat("says the same as ", before->path));
    row.convert(*this, row, field.path, *field.value);
    before = &field;
  }
  const std::string_view key = keys_of(row).front();
  if (before == nullptr && !row.absent.empty() && kind_.find(key) == &row)
    row.convert(*this, row, key, parse_json(row.absent, key));
}

void Resolution::run() {
  std::vector<Field> all = fields();
  for (Field& field : all) field.row = known(field);
  for (const Table& table : kind_.tables)
    for (const Row& row : table.rows) convert(row, all);
}

void Resolution::nested(std::string_view key, const Json& object, const Kind& kind) {
  if (!object.is_object()) fail(key, concat("want an object, got ", object.type_name()));
  Resolution(file_, object, kind, concat(prefix_, key, "."), out_).run();
}

const Json* Resolution::given(std::string_view key) const {
  const Json* value = object_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Resolution::is_null(std::string_view key) const {
  const Json* value = object_.find(key);
  return value != nullptr && value->is_null();
}

Json Resolution::value(std::string_view key) const {
  const Row* row = kind_.find(key);
  if (row == nullptr) return {};
  for (const std::string_view spelling : keys_of(*row))
    if (const Json* value = given(spelling)) return *value;
  return row->absent.empty() ? Json() : parse_json(row->absent, key);
}

std::int64_t Resolution::whole(std::string_view key, const Json& value, std::int64_t low) const {
  const bool fits = value.is_number() && std::abs(value.as_number(key)) < 9e15;
  const auto number = fits ? static_cast<std::int64_t>(value.as_number(key)) : 0;
  if (!fits || static_cast<double>(number) != value.as_number(key) || number < low)
    fail(key, concat("want a whole number", low == INT64_MIN ? "" : concat(" from ", low), ", got ",
                     excerpt(dump_json(value))));
  return number;
}

double Resolution::number(std::string_view key, const Json& value) const {
  if (!value.is_number()) fail(key, concat("want a number, got ", excerpt(dump_json(value))));
  return value.as_number(key);
}

bool Resolution::boolean(std::string_view key, const Json& value) const {
  if (!value.is_bool()) fail(key, concat("want true or false, got ", excerpt(dump_json(value))));
  return value.as_bool(key);
}

const std::string& Resolution::text(std::string_view key, const Json& value) const {
  if (!value.is_string()) fail(key, concat("want a text, got ", excerpt(dump_json(value))));
  return value.as_string(key);
}

std::vector<std::string> Resolution::texts(std::string_view key, const Json& value) const {
  if (!value.is_array()) fail(key, concat("want a list, got ", excerpt(dump_json(value))));
  std::vector<std::string> result;
  for (const Json& item : value.as_array(key)) result.push_back(text(key, item));
  return result;
}

void Resolution::fail(std::string_view key, std::string_view text) const {
  const std::string path = concat(prefix_, key);
  throw Error(Status::invalid_argument, concat(file_.where(path), ": ", excerpt(path, 128), ": ", text));
}

}  // namespace migration

using namespace migration;

std::string_view verdict_name(Verdict verdict) noexcept {
  constexpr std::string_view kNames[] = {"same", "renamed", "different", "refused"};
  return kNames[static_cast<int>(verdict)];
}

std::vector<MigratedKeys> migrated_keys() {
  std::vector<MigratedKeys> all;
  for (const Table& table :
       {peft_table(), trl_table(), trl_program_table(), transformers_table(), unsloth_table(), axolotl_table()})
    for (const Row& row : table.rows) all.push_back({table.name, keys_of(row), row.verdict, row.here, row.absent});
  return all;
}

Migration migrate(const std::string& path) {
  const ConfigFile file = read_config_file(path);
  refuse_trainer_state(file);
  const Kind& kind = kind_of(file);
  Migration result;
  result.source = kind.name;
  Resolution(file, file.value, kind, "", result).run();
  return result;
}

std::string command_line(const std::vector<MigratedOption>& options) {
  constexpr std::string_view kPlain = "-_./,=:+@%";
  std::string text;
  for (const MigratedOption& option : options) {
    text += concat(text.empty() ? "" : " ", option.name);
    if (option.flag) continue;
    const bool plain = !option.value.empty() && std::ranges::all_of(option.value, [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             kPlain.find(c) != kPlain.npos;
    });
    text += plain ? concat(" ", option.value) : concat(" '", excerpt(option.value, 256), "'");
  }
  return text;
}

}  // namespace ftlib::cli
