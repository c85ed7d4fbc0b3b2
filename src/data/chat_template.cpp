// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/chat_template.h"

#include <charconv>
#include <chrono>

#include "data/jinja_interpreter.h"
#include "data/jinja_lexer.h"
#include "ftlib/core/digest.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// Reads digits at `at`, exactly `width` of them.
int date_field(std::string_view date, std::size_t at, std::size_t width) {
  int value = -1;
  if (at + width > date.size()) return -1;
  const auto result = std::from_chars(date.data() + at, date.data() + at + width, value);
  return result.ec == std::errc() && result.ptr == date.data() + at + width ? value : -1;
}

std::int64_t parse_date(std::string_view date) {
  using namespace std::chrono;
  const bool timed = date.size() > 10;
  const year_month_day day{year{date_field(date, 0, 4)}, month{static_cast<unsigned>(date_field(date, 5, 2))},
                           std::chrono::day{static_cast<unsigned>(date_field(date, 8, 2))}};
  const int hour = timed ? date_field(date, 11, 2) : 0, minute = timed ? date_field(date, 14, 2) : 0;
  const int second = date.size() > 16 ? date_field(date, 17, 2) : 0;
  const bool shaped = (date.size() == 10 || date.size() == 16 || date.size() == 19) && date[4] == '-' &&
                      date[7] == '-' && (!timed || ((date[10] == 'T' || date[10] == ' ') && date[13] == ':')) &&
                      (date.size() != 19 || date[16] == ':');
  const bool valid = shaped && date_field(date, 0, 4) >= 0 && date_field(date, 5, 2) >= 0 &&
                     date_field(date, 8, 2) >= 0 && day.ok() && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 &&
                     second >= 0 && second < 60;
  FT_CHECK(valid, invalid_argument, "date \"", excerpt(date),
           "\": want YYYY-MM-DD, perhaps with THH:MM or THH:MM:SS after it");
  return sys_days(day).time_since_epoch().count() * std::int64_t{86400} + hour * 3600 + minute * 60 + second;
}

std::vector<ByteSpan> to_spans(const std::vector<jinja::Piece>& pieces) {
  std::vector<ByteSpan> spans;
  for (const jinja::Piece& piece : pieces)
    spans.push_back({static_cast<std::int64_t>(piece.begin), static_cast<std::int64_t>(piece.end)});
  return spans;
}

jinja::Limits limits_for(std::size_t bytes) {
  jinja::Limits limits;
  limits.steps += static_cast<std::int64_t>(bytes) * 8;
  limits.memory = std::max(limits.memory, static_cast<std::int64_t>(bytes) * 64);
  limits.output = std::max(limits.output, bytes * 16);
  return limits;
}

/// A role that is a plain word may be part of a control token that the template builds around it.
bool is_word(std::string_view role) {
  return role.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == role.npos;
}

jinja::Value to_value(jinja::Heap& heap, const Message& message) {
  std::vector<std::pair<jinja::Value, jinja::Value>> items;
  items.emplace_back(jinja::make_text(heap, "role"), is_word(message.role) ? jinja::make_text(heap, message.role)
                                                                           : jinja::make_marked(heap, message.role));
  items.emplace_back(jinja::make_text(heap, "content"), jinja::make_marked(heap, message.content));
  return jinja::make_dict(heap, std::move(items));
}

}  // namespace

struct ChatTemplate::Compiled {
  std::string text, name, bos_token, eos_token;
  jinja::Program program;

  jinja::Context context(jinja::Heap& heap, std::span<const Message> messages, const RenderOptions& options) const {
    std::vector<jinja::Value> list;
    for (const Message& message : messages) list.push_back(to_value(heap, message));
    jinja::Context names;
    names.emplace_back("messages", jinja::make_list(heap, std::move(list)));
    names.emplace_back("tools", jinja::Value());
    names.emplace_back("documents", jinja::Value());
    names.emplace_back("add_generation_prompt", jinja::Value(options.add_generation_prompt));
    if (!bos_token.empty()) names.emplace_back("bos_token", jinja::make_text(heap, bos_token));
    if (!eos_token.empty()) names.emplace_back("eos_token", jinja::make_text(heap, eos_token));
    return names;
  }
};

ChatTemplate::ChatTemplate(std::string_view text, std::string_view bos_token, std::string_view eos_token,
                           std::string_view name) {
  FT_CHECK_FILE(text.size() <= jinja::kMaxTemplateBytes, limit, name, ": ", text.size(), " bytes, the limit is ",
                jinja::kMaxTemplateBytes);
  for (const std::string_view part : {text, bos_token, eos_token})
    FT_CHECK_FILE(jinja::valid_utf8(part), utf8, name, ": not valid UTF-8");
  auto compiled = std::make_shared<Compiled>();
  try {
    compiled->program = jinja::compile(text);
  } catch (const jinja::SyntaxError& error) {
    throw Error(error.status, error.reason, concat(name, ": line ", error.line, ": ", error.message));
  }
  compiled->text = text;
  compiled->name = name;
  compiled->bos_token = bos_token;
  compiled->eos_token = eos_token;
  compiled_ = std::move(compiled);
}

RenderedChat ChatTemplate::render(std::span<const Message> messages, const RenderOptions& options) const {
  std::size_t bytes = 0;
  for (const Message& message : messages) {
    bytes += message.role.size() + message.content.size();
    FT_CHECK(jinja::valid_utf8(message.role) && jinja::valid_utf8(message.content), invalid_argument, compiled_->name,
             ": a message is not valid UTF-8");
  }
  std::optional<std::int64_t> now;
  if (!options.date.empty()) now = parse_date(options.date);
  jinja::Heap heap(limits_for(bytes));
  int line = 0;
  try {
    jinja::Interpreter interpreter(compiled_->program, heap, compiled_->context(heap, messages, options), now, line);
    jinja::Rendering rendering = interpreter.run();
    return {std::move(rendering.text), to_spans(rendering.marks), to_spans(rendering.generations)};
  } catch (const jinja::Raise& raised) {
    throw Error(raised.status, raised.reason,
                concat(compiled_->name, ": line ", line, ": ", excerpt(raised.message, 300)));
  }
}

bool ChatTemplate::has_generation_blocks() const noexcept { return compiled_->program.has_generation; }
const std::string& ChatTemplate::text() const noexcept { return compiled_->text; }
const std::string& ChatTemplate::name() const noexcept { return compiled_->name; }
std::string ChatTemplate::digest() const { return sha256_hex(compiled_->text); }

std::optional<ChatTemplate> chat_template_of(const Tokenizer& tokenizer) {
  if (!tokenizer.chat_template()) return {};
  return ChatTemplate(*tokenizer.chat_template(), tokenizer.bos_token(), tokenizer.eos_token());
}

}  // namespace ftlib
