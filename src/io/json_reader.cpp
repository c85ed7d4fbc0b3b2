// SPDX-License-Identifier: Apache-2.0
#include "io/json_reader.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "io/utf8.h"

#define JSON_ASSERT(condition) static_cast<void>(0)  // a library never aborts its host
#define JSON_NO_IO
#include <nlohmann/json.hpp>

namespace ftlib::inline FTLIB_ABI {
namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

// One blank follows the text, so that a number always ends before the text does: the parser looks one byte ahead.
class JsonReader::Bytes {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  explicit Bytes(JsonReader& in) : in_(&in) {}
  char operator*() const noexcept { return in_->at_ < in_->text_.size() ? in_->text_[in_->at_] : ' '; }
  Bytes& operator++() {
    in_->step();
    return *this;
  }
  bool operator==(const Bytes&) const noexcept { return in_->at_ > in_->text_.size(); }

 private:
  JsonReader* in_;
};

struct JsonReader::Sax {
  JsonReader& in;

  bool null() { return in.emit(JsonToken::null); }
  bool boolean(bool) { return in.emit(JsonToken::boolean); }
  bool number_integer(std::int64_t) { return in.emit(JsonToken::number); }
  bool number_unsigned(std::uint64_t) { return in.emit(JsonToken::number); }
  bool number_float(double, const std::string&) { return in.emit(JsonToken::number); }
  bool string(const std::string& text) { return in.emit(JsonToken::string, text); }
  bool key(const std::string& text) { return in.emit(JsonToken::key, text); }
  bool start_object(std::size_t) { return in.emit(JsonToken::begin_object); }
  bool end_object() { return in.emit(JsonToken::end_object); }
  bool start_array(std::size_t) { return in.emit(JsonToken::begin_array); }
  bool end_array() { return in.emit(JsonToken::end_array); }
  bool binary(const nlohmann::json::binary_t&) { return false; }  // of other formats

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) {
    constexpr int kNumberOverflow = 406;
    if (error.id != kNumberOverflow) in.fail_syntax();
    in.emit(JsonToken::number);  // the handler may have a better word for it
    in.fail(Reason::range, concat("number ", excerpt(in.token_), " does not fit a double"));
  }
};

JsonReader::JsonReader(std::string_view text, std::string_view what, const JsonLimits& limits, std::int64_t line)
    : text_(text), what_(what), limits_(limits), line_(line) {
  if (text.size() > limits.bytes) fail(Reason::limit, concat(text.size(), " bytes, the limit is ", limits.bytes));
  if (text.starts_with("\xEF\xBB\xBF")) fail(Reason::json, "begins with a byte order mark; save it without");
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) fail(Reason::utf8, "is UTF-16; save it as UTF-8");
}

void JsonReader::read(const std::function<void(JsonToken)>& handler) {
  handler_ = &handler;
  limit_ = limits_.token + 1;
  stop_ = is_space(at(0)) ? 1 : limit_;
  Sax sax{*this};
  nlohmann::json::sax_parse(Bytes(*this), Bytes(*this), &sax);
  const std::size_t rest = skip_space(end_);
  want(rest == text_.size(), rest, "nothing after the document");  // to the parser a NUL ends the text
}

std::size_t JsonReader::skip_space(std::size_t offset) const noexcept {
  while (is_space(at(offset))) ++offset;
  return offset;
}

// The parser keeps for its messages, several times over, whatever it got since the last string or number began. So of
// white space, which may be without end, it gets next to nothing, and of everything else no more than limits.token.
void JsonReader::pause() {
  if (at_ >= limit_)
    fail_at(at_, Reason::limit,
            concat("more than ", limits_.token, " bytes in one string, or in a row without string and number"));
  pass_space();
  stop_ = limit_;
}

void JsonReader::pass_space() noexcept {
  const std::size_t next = skip_space(at_);
  limit_ += next - at_;
  at_ = next;
}

bool JsonReader::emit(JsonToken token, std::string_view decoded) {
  begin_ = skip_space(end_);
  if (at(begin_) == ',' || at(begin_) == ':') begin_ = skip_space(begin_ + 1);
  const std::string_view raw = text_.substr(begin_, length_of(token));
  const bool quoted = token == JsonToken::key || token == JsonToken::string;
  token_ = quoted ? decoded : raw;
  nest(token, raw);
  end_ = begin_ + raw.size();
  if (quoted || token == JsonToken::number) limit_ = end_ + limits_.token + 1;
  pass_space();
  stop_ = at(at_) == ',' || at(at_) == ':' ? std::min(at_ + 1, limit_) : limit_;
  (*handler_)(token);
  return true;
}

std::size_t JsonReader::length_of(JsonToken token) const noexcept {
  switch (token) {
    case JsonToken::key:
    case JsonToken::string:
      return at_ - begin_;
    case JsonToken::number:
      return at_ - 1 - begin_;
    case JsonToken::boolean:
      return at(begin_) == 't' ? 4 : 5;
    case JsonToken::null:
      return 4;
    default:
      return 1;
  }
}

void JsonReader::nest(JsonToken token, std::string_view raw) {
  state_ = State::after;
  if (token == JsonToken::end_object || token == JsonToken::end_array) return frames_.pop_back();
  if (token == JsonToken::key) {
    frames_.back().key = raw.substr(1, raw.size() - 2);
    state_ = State::colon;
    return;
  }
  if (!frames_.empty()) ++frames_.back().values;
  if (token != JsonToken::begin_object && token != JsonToken::begin_array) return;
  if (static_cast<int>(frames_.size()) >= limits_.depth)
    fail(Reason::limit, concat("nested deeper than ", limits_.depth, " levels"));
  frames_.push_back({token == JsonToken::begin_object, {}, 0});
  state_ = frames_.back().object ? State::key : State::value;
}

std::int64_t JsonReader::integer() const {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(token_.data(), token_.data() + token_.size(), value);
  if (error != std::errc() || end != token_.data() + token_.size())
    fail(Reason::range, concat("want a whole number of 64 bits, got ", excerpt(token_)));
  return value;
}

double JsonReader::number() const {
  double value = 0;
  const auto [end, error] = std::from_chars(token_.data(), token_.data() + token_.size(), value);
  if (error != std::errc() || end != token_.data() + token_.size())
    fail(Reason::range, concat("number ", excerpt(token_), " does not fit a double"));
  return value;
}

// The parser's messages change with its version and have no path: what it wanted is told from the last good token on.
void JsonReader::fail_syntax() {
  std::size_t next = skip_space(end_);
  const bool object = !frames_.empty() && frames_.back().object;
  if (state_ == State::key) want(at(next) == '"', next, "a key in quotes");
  if (state_ == State::colon) {
    want(at(next) == ':', next, "a colon");
    next = skip_space(next + 1);
  }
  if (state_ == State::after) {
    want(!frames_.empty(), next, "nothing after the document");
    want(at(next) == ',', next, object ? "a comma or }" : "a comma or ]");
    next = skip_space(next + 1);
    if (object) want(at(next) == '"', next, "a key in quotes");
    ++frames_.back().values;
  }
  fail_token(next);
}

void JsonReader::fail_token(std::size_t begin) const {
  const char first = at(begin);
  if (first == '"') fail_string(begin);
  if (first == '-' || is_digit(first)) unexpected(at_ - 1, "a digit");
  unexpected(begin, "a value");
}

void JsonReader::fail_string(std::size_t begin) const {
  const std::size_t last = at_ - 1;  // the byte at which the parser gave up
  std::size_t bad = begin;
  for (std::size_t length = 1; length > 0 && bad <= last; bad += length) length = utf8_length(text_, bad);
  if (bad <= last && bad < text_.size()) unexpected(bad, "UTF-8", Reason::utf8);
  want(last < text_.size(), last, "a closing quote");
  want(static_cast<unsigned char>(at(last)) >= 0x20, last, "no control character in a string");
  const std::size_t escape = text_.rfind('\\', last - 1);
  const bool unicode = at(escape + 1) == 'u' && last > escape + 1;
  want(!unicode || last >= escape + 6 || is_hex(at(last)), escape, "four hex digits after \\u");
  want(unicode || std::string_view("\"\\/bfnrtu").find(at(last)) != text_.npos, escape,
       "one of \"\\/bfnrtu after a backslash");
  unexpected(escape, "both halves of a surrogate pair", Reason::utf8);
}

void JsonReader::unexpected(std::size_t offset, std::string_view what, Reason reason) const {
  const std::string got =
      offset < text_.size() ? concat("got \"", excerpt(text_.substr(offset, 32), 32), "\"") : "the text ends";
  const bool cut = line_ > 0 && offset >= text_.size();
  fail_at(offset, cut ? Reason::trunc : reason, concat("want ", what, ", ", got));
}

void JsonReader::fail_at(std::size_t offset, Reason reason, std::string_view message) const {
  throw Error(Status::invalid_file, reason, concat(what_, place(offset), path(), ": ", message));
}

std::string JsonReader::place(std::size_t offset) const {
  if (line_ == 0) return concat(": byte ", offset);
  std::int64_t column = 1;
  for (const char byte : text_.substr(0, offset)) column += (static_cast<unsigned char>(byte) & 0xc0) != 0x80 ? 1 : 0;
  return concat(":", line_, ":", column);
}

std::string JsonReader::path() const {
  std::string text;
  for (std::size_t i = 0; i < frames_.size() && i < 16; ++i) {
    if (!frames_[i].object)
      text += concat(text.empty() ? ": [" : "[", std::max<std::int64_t>(frames_[i].values, 1) - 1, "]");
    else if (frames_[i].key.data() != nullptr)
      text += concat(text.empty() ? ": " : ".", excerpt(frames_[i].key, 48));
  }
  return text;
}

}  // namespace ftlib
