// SPDX-License-Identifier: Apache-2.0
#include "io/json_reader.h"

#include <charconv>

namespace ftlib::inline FTLIB_ABI {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_plain(unsigned char c) noexcept { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

void append_utf8(std::uint32_t code, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80)
    out += static_cast<char>(code);
  else if (code < 0x800)
    out += static_cast<char>(0xc0 | (code >> 6)), tail(0);
  else if (code < 0x10000)
    out += static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0);
  else
    out += static_cast<char>(0xf0 | (code >> 18)), tail(12), tail(6), tail(0);
}

}  // namespace

// The first byte fixes the length and the range of the second one, which rules out overlong forms, surrogates and
// everything beyond U+10FFFF (Unicode, table 3-7).
std::size_t utf8_length(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(at);
  if (first < 0x80) return at < text.size() ? 1 : 0;
  const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length == 0) return 0;
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(at + 1) < low || byte(at + 1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  return length;
}

JsonReader::JsonReader(std::string_view text, std::string_view what, const JsonLimits& limits, std::int64_t line)
    : text_(text), what_(what), depth_(limits.depth), line_(line) {
  if (text.size() > limits.bytes) fail(Reason::limit, concat(text.size(), " bytes, the limit is ", limits.bytes));
  if (text.starts_with("\xEF\xBB\xBF")) fail(Reason::json, "begins with a byte order mark; save it without");
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) fail(Reason::utf8, "is UTF-16; save it as UTF-8");
}

JsonToken JsonReader::next() {
  skip_space();
  token_begin_ = at_;
  switch (state_) {
    case State::first_key:
      return peek() == '}' ? close(true) : key();
    case State::first_value:
      return peek() == ']' ? close(false) : value();
    case State::value:
      return value();
    case State::after:
      break;
  }
  return after();
}

JsonToken JsonReader::after() {
  if (frames_.empty()) {
    want(at_ == text_.size(), "nothing after the document");
    return JsonToken::end;
  }
  Frame& frame = frames_.back();
  if (peek() == (frame.object ? '}' : ']')) return close(frame.object);
  want(peek() == ',', frame.object ? "a comma or }" : "a comma or ]");
  ++at_;
  ++frame.index;
  skip_space();
  token_begin_ = at_;
  return frame.object ? key() : value();
}

void JsonReader::skip_space() noexcept {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
    ++at_;
}

JsonToken JsonReader::value() {
  const char first = peek();
  if (first == '{') return open(true);
  if (first == '[') return open(false);
  state_ = State::after;
  if (first == '"') {
    string_token();
    return JsonToken::string;
  }
  if (first == '-' || is_digit(first)) return number_token();
  if (first == 't') return literal("true", JsonToken::boolean);
  if (first == 'f') return literal("false", JsonToken::boolean);
  return literal("null", JsonToken::null);
}

JsonToken JsonReader::open(bool object) {
  if (static_cast<int>(frames_.size()) >= depth_) fail(Reason::limit, concat("nested deeper than ", depth_, " levels"));
  frames_.push_back({object, {}, 0});
  state_ = object ? State::first_key : State::first_value;
  ++at_;
  return object ? JsonToken::begin_object : JsonToken::begin_array;
}

JsonToken JsonReader::close(bool object) {
  frames_.pop_back();
  state_ = State::after;
  ++at_;
  return object ? JsonToken::end_object : JsonToken::end_array;
}

JsonToken JsonReader::key() {
  want(peek() == '"', "a key in quotes");
  const std::size_t begin = at_ + 1;
  string_token();
  frames_.back().key = text_.substr(begin, at_ - 1 - begin);
  skip_space();
  want(peek() == ':', "a colon");
  ++at_;
  state_ = State::value;
  return JsonToken::key;
}

JsonToken JsonReader::literal(std::string_view word, JsonToken token) {
  token_ = text_.substr(at_, word.size());
  want(token_ == word, "a value");
  at_ += word.size();
  return token;
}

std::size_t JsonReader::digits() {
  const std::size_t begin = at_;
  while (is_digit(peek())) ++at_;
  want(at_ > begin, "a digit");
  return at_ - begin;
}

JsonToken JsonReader::number_token() {
  if (peek() == '-') ++at_;
  const bool zero = peek() == '0';
  const std::size_t whole = digits();
  if (zero && whole > 1) fail(Reason::json, "a number with a leading 0");
  if (peek() == '.') ++at_, digits();
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    digits();
  }
  token_ = text_.substr(token_begin_, at_ - token_begin_);
  return JsonToken::number;
}

void JsonReader::string_token() {
  const std::size_t begin = ++at_;
  bool copied = false;
  for (;;) {
    const std::size_t run = at_;
    while (at_ < text_.size() && is_plain(static_cast<unsigned char>(text_[at_]))) ++at_;
    if (copied) scratch_.append(text_, run, at_ - run);
    want(at_ < text_.size(), "a closing quote");
    const char stop = text_[at_];
    if (stop == '"') break;
    if (stop == '\\') {
      if (!copied) scratch_.assign(text_, begin, at_ - begin), copied = true;
      escape();
      continue;
    }
    want(static_cast<unsigned char>(stop) >= 0x80, "no control character in a string");
    const std::size_t length = utf8_length(text_, at_);
    want(length > 0, "UTF-8", Reason::utf8);
    if (copied) scratch_.append(text_, at_, length);
    at_ += length;
  }
  token_ = copied ? std::string_view(scratch_) : text_.substr(begin, at_ - begin);
  ++at_;
}

std::uint32_t JsonReader::hex4() {
  std::uint32_t code = 0;
  const std::string_view four = text_.substr(at_, 4);
  const auto [end, error] = std::from_chars(four.data(), four.data() + four.size(), code, 16);
  want(error == std::errc() && end == four.data() + 4, "four hex digits");
  at_ += 4;
  return code;
}

void JsonReader::escape() {
  ++at_;
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  const std::size_t which = at_ < text_.size() ? kLetters.find(text_[at_]) : kLetters.npos;
  if (which != kLetters.npos) {
    scratch_ += kMeanings[which];
    ++at_;
    return;
  }
  want(peek() == 'u', "one of \"\\/bfnrtu after a backslash");
  ++at_;
  std::uint32_t code = hex4();
  if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
    at_ += 2;
    const std::uint32_t low = hex4();
    want(low >= 0xdc00 && low < 0xe000, "the second half of a surrogate pair", Reason::utf8);
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  want(code < 0xd800 || code >= 0xe000, "no lone surrogate", Reason::utf8);
  append_utf8(code, scratch_);
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

void JsonReader::skip_value() {
  const std::size_t level = frames_.size();
  do next();
  while (frames_.size() > level);
}

void JsonReader::unexpected(std::string_view what, Reason reason) const {
  const std::string got =
      at_ < text_.size() ? concat("got \"", excerpt(text_.substr(at_, 32), 32), "\"") : "the text ends";
  const bool cut = line_ > 0 && at_ == text_.size();
  fail_at(at_, cut ? Reason::trunc : reason, concat("want ", what, ", ", got));
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
      text += concat(text.empty() ? ": [" : "[", frames_[i].index, "]");
    else if (frames_[i].key.data() != nullptr)
      text += concat(text.empty() ? ": " : ".", excerpt(frames_[i].key, 48));
  }
  return text;
}

}  // namespace ftlib
