// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/record.h"

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
    want(in_.next(), JsonToken::begin_object, "a record");
    while (in_.next() == JsonToken::key) field(std::string(in_.text()));
    check_shape();
    in_.next();  // refuses whatever follows
    if (!has(kId)) record_.id = concat(record_.line);
    return std::move(record_);
  }

  std::vector<Message> message_list() {
    std::vector<Message> list = messages(in_.next(), "a list of messages");
    in_.next();
    return list;
  }

 private:
  enum Field : unsigned { kId = 1, kGroup = 2, kWeight = 4, kMessages = 8, kPrompt = 16, kCompletion = 32, kText = 64 };

  bool has(unsigned fields) const { return (seen_ & fields) == fields; }
  void want(JsonToken got, JsonToken wanted, std::string_view what) const {
    if (got != wanted) in_.fail(Reason::schema, concat("want ", what, " as ", name_of(wanted), ", got ", name_of(got)));
  }
  void once(unsigned& seen, unsigned field, std::string_view name) const {
    if ((seen & field) != 0) in_.fail(Reason::dup, concat("key \"", name, "\" appears twice"));
    seen |= field;
  }
  std::string string(std::string_view what) {
    want(in_.next(), JsonToken::string, what);
    return std::string(in_.text());
  }

  void field(const std::string& name) {
    constexpr std::pair<std::string_view, Field> kFields[] = {
        {"id", kId}, {"group", kGroup}, {"weight", kWeight}, {"messages", kMessages},
        {"prompt", kPrompt}, {"completion", kCompletion}, {"text", kText}};
    for (const auto& [known, field] : kFields) {
      if (name != known) continue;
      once(seen_, field, known);
      return value(field);
    }
    in_.fail(Reason::schema,
             concat("unknown key \"", excerpt(name),
                    "\"; a record has messages, or prompt and completion, or text, and perhaps id, group, weight"));
  }

  void value(Field field) {
    switch (field) {
      case kId: return id();
      case kGroup: record_.group = string("group"); return;
      case kWeight: return weight();
      case kMessages: record_.messages = messages(in_.next(), "messages"); return;
      case kPrompt: return side(record_.prompt, prompt_, "prompt");
      case kCompletion: return side(record_.completion, completion_, "completion");
      case kText: record_.text = string("text"); return;
    }
  }

  void id() {
    const JsonToken token = in_.next();
    if (token == JsonToken::number && in_.is_integer()) record_.id = concat(in_.integer());
    else {
      want(token, JsonToken::string, "id");
      record_.id = in_.text();
    }
  }

  void weight() {
    want(in_.next(), JsonToken::number, "weight");
    record_.weight = in_.number();
    if (record_.weight < 0 || record_.weight > std::numeric_limits<float>::max())
      in_.fail(Reason::range, concat("want a weight from 0 to the largest float, got ", excerpt(in_.text())));
    if (record_.weight == 0) record_.weight = 0;  // no negative zero
  }

  void side(std::string& text, std::optional<std::vector<Message>>& list, std::string_view name) {
    const JsonToken token = in_.next();
    if (token == JsonToken::begin_array) {
      list = messages(token, name);
      return;
    }
    if (token != JsonToken::string)
      in_.fail(Reason::schema, concat("want ", name, " as a string or a list of messages, got ", name_of(token)));
    text = in_.text();
  }

  std::vector<Message> messages(JsonToken token, std::string_view name) {
    want(token, JsonToken::begin_array, name);
    std::vector<Message> list;
    for (JsonToken next = in_.next(); next != JsonToken::end_array; next = in_.next()) {
      want(next, JsonToken::begin_object, "a message");
      list.push_back(message());
    }
    if (list.empty()) in_.fail(Reason::schema, concat(name, " is empty: want at least one message"));
    return list;
  }

  Message message() {
    Message message;
    unsigned seen = 0;
    while (in_.next() == JsonToken::key) {
      const std::string name(in_.text());
      if (name != "role" && name != "content")
        in_.fail(Reason::schema,
                 concat("unknown key \"", excerpt(name), "\"; a message has role and content, two strings"));
      once(seen, name == "role" ? 1u : 2u, name);
      (name == "role" ? message.role : message.content) = string(name);
    }
    if (seen != 3)
      in_.fail(Reason::schema, concat("the message that ends here has no ", seen == 1 ? "content" : "role"));
    return message;
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
  unsigned seen_ = 0;
  std::optional<std::vector<Message>> prompt_, completion_;
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
