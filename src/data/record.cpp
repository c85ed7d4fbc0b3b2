// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/record.h"

#include <algorithm>
#include <limits>

#include "io/json_reader.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr JsonLimits kLineLimits{std::size_t{16} << 20, 16};

std::string_view name_of(JsonToken token) {
  switch (token) {
    case JsonToken::begin_object: return "an object";
    case JsonToken::begin_array: return "a list";
    case JsonToken::string: return "a string";
    case JsonToken::number: return "a number";
    case JsonToken::boolean: return "true or false";
    default: return "null";
  }
}

/// One line, token by token: every error has the place of the token that is wrong.
class Parser {
 public:
  Parser(std::string_view json, std::string_view name, std::int64_t line) : in_(json, name, kLineLimits, line) {
    record_.line = line;
  }

  Record record() {
    in_.read([this](JsonToken token) { take(token); });
    if (!has(kId)) record_.id = concat(record_.line);
    return std::move(record_);
  }

  std::vector<Message> message_list() {
    state_ = State::messages;
    in_.read([this](JsonToken token) { take(token); });
    return std::move(record_.messages);
  }

 private:
  enum Field : unsigned { kId = 1, kGroup = 2, kWeight = 4, kMessages = 8, kPrompt = 16, kCompletion = 32, kText = 64 };
  enum MessageField : unsigned { kRole = 1, kContent = 2 };
  enum class State { record, fields, value, messages, list, message, content };

  bool has(unsigned fields) const { return (seen_ & fields) == fields; }
  void want(JsonToken got, JsonToken wanted, std::string_view what) const {
    if (got != wanted) in_.fail(Reason::schema, concat("want ", what, " as ", name_of(wanted), ", got ", name_of(got)));
  }
  void once(unsigned& seen, unsigned field, std::string_view name) const {
    if ((seen & field) != 0) in_.fail(Reason::dup, concat("key \"", name, "\" appears twice"));
    seen |= field;
  }
  void string(JsonToken token, std::string& text, std::string_view what) const {
    want(token, JsonToken::string, what);
    text = in_.text();
  }

  void take(JsonToken token) {
    switch (state_) {
      case State::record: return begin_record(token);
      case State::fields: return token == JsonToken::key ? field() : check_shape();
      case State::value: return value(token);
      case State::messages: return begin_list(token, record_.messages, "a list of messages");
      case State::list: return token == JsonToken::end_array ? end_list() : begin_message(token);
      case State::message: return token == JsonToken::key ? message_field() : end_message();
      case State::content: return content(token);
    }
  }

  void begin_record(JsonToken token) {
    want(token, JsonToken::begin_object, "a record");
    state_ = State::fields;
  }

  void field() {
    constexpr std::pair<std::string_view, Field> kFields[] = {
        {"id", kId}, {"group", kGroup}, {"weight", kWeight}, {"messages", kMessages},
        {"prompt", kPrompt}, {"completion", kCompletion}, {"text", kText}};
    const auto* known = std::ranges::find(kFields, in_.text(), &std::pair<std::string_view, Field>::first);
    if (known == std::end(kFields))
      in_.fail(Reason::schema,
               concat("unknown key \"", excerpt(in_.text()),
                      "\"; a record has messages, or prompt and completion, or text, and perhaps id, group, weight"));
    field_ = known->second;
    once(seen_, field_, known->first);
    state_ = State::value;
  }

  void value(JsonToken token) {
    state_ = State::fields;
    switch (field_) {
      case kId: return id(token);
      case kGroup: return string(token, record_.group, "group");
      case kWeight: return weight(token);
      case kMessages: return begin_list(token, record_.messages, "messages");
      case kPrompt: return side(token, record_.prompt, prompt_, "prompt");
      case kCompletion: return side(token, record_.completion, completion_, "completion");
      case kText: return string(token, record_.text, "text");
    }
  }

  void id(JsonToken token) {
    if (token == JsonToken::number && in_.is_integer())
      record_.id = concat(in_.integer());
    else
      string(token, record_.id, "id");
  }

  void weight(JsonToken token) {
    want(token, JsonToken::number, "weight");
    record_.weight = in_.number();
    if (record_.weight < 0 || record_.weight > std::numeric_limits<float>::max())
      in_.fail(Reason::range, concat("want a weight from 0 to the largest float, got ", excerpt(in_.text())));
    if (record_.weight == 0) record_.weight = 0;  // no negative zero
  }

  void side(JsonToken token, std::string& text, std::optional<std::vector<Message>>& list, std::string_view name) {
    if (token == JsonToken::begin_array) return begin_list(token, list.emplace(), name);
    if (token != JsonToken::string)
      in_.fail(Reason::schema, concat("want ", name, " as a string or a list of messages, got ", name_of(token)));
    text = in_.text();
  }

  void begin_list(JsonToken token, std::vector<Message>& list, std::string_view name) {
    want(token, JsonToken::begin_array, name);
    list_ = &list;
    list_name_ = name;
    state_ = State::list;
  }

  void end_list() {
    if (list_->empty()) in_.fail(Reason::schema, concat(list_name_, " is empty: want at least one message"));
    state_ = State::fields;
  }

  void begin_message(JsonToken token) {
    want(token, JsonToken::begin_object, "a message");
    list_->emplace_back();
    message_seen_ = 0;
    state_ = State::message;
  }

  void message_field() {
    const bool role = in_.text() == "role";
    if (!role && in_.text() != "content")
      in_.fail(Reason::schema,
               concat("unknown key \"", excerpt(in_.text()), "\"; a message has role and content, two strings"));
    once(message_seen_, role ? kRole : kContent, in_.text());
    content_ = role ? &list_->back().role : &list_->back().content;
    state_ = State::content;
  }

  void content(JsonToken token) {
    string(token, *content_, content_ == &list_->back().role ? "role" : "content");
    state_ = State::message;
  }

  void end_message() {
    if (message_seen_ != (kRole | kContent))
      in_.fail(Reason::schema,
               concat("the message that ends here has no ", message_seen_ == kRole ? "content" : "role"));
    state_ = State::list;
  }

  void check_shape() {
    const bool pair = (seen_ & (kPrompt | kCompletion)) != 0;
    if ((has(kMessages) ? 1 : 0) + (pair ? 1 : 0) + (has(kText) ? 1 : 0) != 1)
      in_.fail(Reason::schema, "want either messages, or prompt and completion, or text");
    if (pair && !has(kPrompt | kCompletion))
      in_.fail(Reason::schema, has(kPrompt) ? "a prompt without a completion" : "a completion without a prompt");
    if (pair && prompt_.has_value() != completion_.has_value())
      in_.fail(Reason::schema, "want prompt and completion both as strings or both as lists of messages");
    record_.kind = has(kText)         ? Record::Kind::text
                   : pair && !prompt_ ? Record::Kind::completion
                                      : Record::Kind::messages;
    if (!prompt_) return;
    record_.prompt_messages = prompt_->size();
    record_.messages = std::move(*prompt_);
    for (Message& message : *completion_) record_.messages.push_back(std::move(message));
  }

  JsonReader in_;
  Record record_;
  State state_ = State::record;
  Field field_{};
  unsigned seen_ = 0, message_seen_ = 0;
  std::optional<std::vector<Message>> prompt_, completion_;
  std::vector<Message>* list_ = nullptr;  // the one that is open, and what it is called
  std::string_view list_name_;
  std::string* content_ = nullptr;  // of the message that is open
};

void refuse_nul(std::string_view json, std::string_view name, std::int64_t line) {
  const std::size_t at = json.find('\0');
  if (at == json.npos) return;
  throw Error(Status::invalid_file, Reason::utf8,
              concat(name, ":", line, ":", at + 1, ": a NUL byte; if this is UTF-16, save it as UTF-8"));
}

}  // namespace

Record parse_record(std::string_view json, std::string_view name, std::int64_t line) {
  refuse_nul(json, name, line);
  return Parser(json, name, line).record();
}

std::vector<Message> parse_messages(std::string_view json, std::string_view name, std::int64_t line) {
  refuse_nul(json, name, line);
  return Parser(json, name, line).message_list();
}

}  // namespace ftlib
