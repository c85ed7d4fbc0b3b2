// SPDX-License-Identifier: Apache-2.0
#include "data/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "data/jinja_text.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string normalize_newlines(std::string_view source) {
  std::string out;
  for (std::size_t at = 0; at < source.size(); ++at) {
    if (source[at] == '\r') {
      out += '\n';
      if (source.substr(at, 2) == "\r\n") ++at;
    } else {
      out += source[at];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

/// A string literal's escapes, as Python's unicode-escape codec reads them.
class Unescape {
 public:
  Unescape(std::string_view text, int line) : text_(text), line_(line) {}
  std::string operator()() {
    while (at_ < text_.size()) {
      if (text_[at_] != '\\') out_ += text_[at_++];
      else escape();
    }
    return std::move(out_);
  }

 private:
  void escape() {
    constexpr std::string_view kLetters = "abfnrtv\\'\"", kImages = "\a\b\f\n\r\t\v\\'\"";
    const char letter = text_[++at_];  // the lexer never ends a string after a backslash
    ++at_;
    if (const std::size_t i = kLetters.find(letter); i != kLetters.npos) out_ += kImages[i];
    else if (letter == '\n') return;
    else if (letter == 'x') code(2);
    else if (letter == 'u') code(4);
    else if (letter == 'U') code(8);
    else if (letter >= '0' && letter <= '7') octal();
    else if (letter == 'N')
      throw SyntaxError{line_, "\\N{...} escapes are not supported; write \\u or the letter itself",
                        Status::unsupported, Reason::unsupported};
    else out_.append({'\\', letter});
  }
  void code(std::size_t digits) {
    std::uint32_t point = 0;
    const char* begin = text_.data() + at_;
    const char* end = begin + std::min(digits, text_.size() - at_);
    const auto result = std::from_chars(begin, end, point, 16);
    put(point, result.ec == std::errc() && result.ptr == begin + digits);
    at_ += digits;
  }
  void octal() {
    std::uint32_t point = 0;
    --at_;
    for (int i = 0; i < 3 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i)
      point = point * 8 + static_cast<std::uint32_t>(text_[at_++] - '0');
    put(point, true);
  }
  void put(std::uint32_t point, bool good) {
    if (!good || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
      throw SyntaxError{line_, "a string has an escape that is no Unicode scalar value"};
    append_point(point, out_);
  }

  std::string_view text_;
  int line_;
  std::size_t at_ = 0;
  std::string out_;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(normalize_newlines(source)) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) root();
    add(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  bool looking_at(std::string_view word) const { return std::string_view(text_).substr(at_).starts_with(word); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  [[noreturn]] void fail(std::string message) const { throw SyntaxError{line_, std::move(message)}; }

  void advance(std::size_t to) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }
  void add(Token::Kind kind, std::string_view text) {
    tokens_.push_back({});
    tokens_.back().kind = kind;
    tokens_.back().line = line_;
    tokens_.back().text = text;
  }
  std::size_t skip_space(std::size_t at) const {
    while (at < text_.size() && is_space(point_at(text_, at))) at += point_bytes(static_cast<unsigned char>(text_[at]));
    return at;
  }

  std::size_t next_tag(std::size_t from) const {
    for (std::size_t at = text_.find('{', from); at != text_.npos; at = text_.find('{', at + 1))
      if (at + 1 < text_.size() && (text_[at + 1] == '%' || text_[at + 1] == '{' || text_[at + 1] == '#')) return at;
    return text_.npos;
  }

  /// Template data up to a tag, white space before the tag removed as its sign asks.
  void data(std::size_t end, char sign, bool variable) {
    const std::string_view text = std::string_view(text_).substr(at_, end - at_);
    std::string_view kept = text;
    if (sign == '-') {
      kept = text.substr(0, strip(text, nullptr, false, true).end);
    } else if (sign != '+' && !variable) {
      const std::size_t line = text.rfind('\n') + 1;  // npos + 1 is 0
      const bool starts_line = line > 0 || at_ == 0 || text_[at_ - 1] == '\n';
      if (starts_line && skip_space(at_ + line) >= end) kept = text.substr(0, line);
    }
    if (!kept.empty()) add(Token::Kind::data, kept);
    advance(end);
  }

  char sign_at(std::size_t at) const {
    return at < text_.size() && (text_[at] == '-' || text_[at] == '+') ? text_[at] : ' ';
  }

  void root() {
    const std::size_t tag = next_tag(at_);
    if (tag == text_.npos) {
      add(Token::Kind::data, std::string_view(text_).substr(at_));
      return advance(text_.size());
    }
    const char kind = text_[tag + 1], sign = sign_at(tag + 2);
    data(tag, sign, kind == '{');
    if (kind == '%' && raw(sign)) return;
    const int line = line_;
    advance(tag + (sign == ' ' ? 2 : 3));
    if (kind == '#') return comment(line);
    add(kind == '%' ? Token::Kind::block_begin : Token::Kind::print_begin, "");
    inside(kind == '%');
  }

  /// The end of a tag that begins at `at` with `close` (such as "%}"), or npos. `+` and `-` before it are signs.
  std::size_t tag_end(std::size_t at, std::string_view close, bool plus, bool trim) const {
    const std::string_view rest = std::string_view(text_).substr(at);
    if (rest.starts_with('-') && rest.substr(1).starts_with(close)) return skip_space(at + 1 + close.size());
    if (plus && rest.starts_with('+') && rest.substr(1).starts_with(close)) return at + 1 + close.size();
    if (!rest.starts_with(close)) return text_.npos;
    at += close.size();
    return trim && at < text_.size() && text_[at] == '\n' ? at + 1 : at;
  }

  void comment(int line) {
    for (std::size_t at = at_; at < text_.size(); ++at) {
      const std::size_t end = tag_end(at, "#}", true, true);
      if (end != text_.npos) return advance(end);
    }
    line_ = line;
    fail("a comment is not closed: {# without #}");
  }

  bool raw(char sign) {
    const std::size_t word = skip_space(at_ + (sign == ' ' ? 2 : 3));
    if (text_.compare(word, 3, "raw") != 0) return false;
    const std::size_t body = tag_end(skip_space(word + 3), "%}", false, false);
    if (body == text_.npos) return false;
    advance(body);
    for (std::size_t at = text_.find("{%", at_); at != text_.npos; at = text_.find("{%", at + 1)) {
      const char end_sign = sign_at(at + 2);
      const std::size_t name = skip_space(at + (end_sign == ' ' ? 2 : 3));
      if (text_.compare(name, 6, "endraw") != 0) continue;
      const std::size_t end = tag_end(skip_space(name + 6), "%}", true, true);
      if (end == text_.npos) continue;
      data(at, end_sign, false);
      advance(end);
      return true;
    }
    fail("a raw block is not closed: {% raw %} without {% endraw %}");
  }

  void inside(bool block) {
    open_.clear();
    while (at_ < text_.size()) {
      if (open_.empty()) {
        const std::size_t end = tag_end(at_, block ? "%}" : "}}", block, block);
        if (end != text_.npos) {
          add(block ? Token::Kind::block_end : Token::Kind::print_end, "");
          return advance(end);
        }
      }
      const std::size_t next = skip_space(at_);
      next == at_ ? token() : advance(next);
    }
  }

  void token() {
    const char letter = peek();
    if (is_digit(letter)) return number();
    if (letter == '\'' || letter == '"') return string(letter);
    if (!is_name(letter)) return symbol();
    std::size_t end = at_;
    while (end < text_.size() && is_name(text_[end])) ++end;
    add(Token::Kind::name, std::string_view(text_).substr(at_, end - at_));
    advance(end);
  }

  void string(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) fail(concat("a string is not closed: ", quote));
    add(Token::Kind::string, Unescape(std::string_view(text_).substr(at_ + 1, end - at_ - 1), line_)());
    advance(end + 1);
  }

  std::size_t digits(std::size_t at, int base) const {
    const auto is_part = [&](std::size_t i) {
      if (i >= text_.size()) return false;
      const char c = text_[i];
      if (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) return true;
      return is_digit(c) && c - '0' < base;
    };
    while (is_part(at) || (at < text_.size() && text_[at] == '_' && is_part(at + 1))) ++at;
    return at;
  }

  std::size_t fraction_end(std::size_t integer_end) const {
    std::size_t at = integer_end;
    if (at + 1 < text_.size() && text_[at] == '.' && is_digit(text_[at + 1])) at = digits(at + 1, 10);
    if (at < text_.size() && (text_[at] == 'e' || text_[at] == 'E')) {
      const std::size_t power = at + (at + 1 < text_.size() && (text_[at + 1] == '+' || text_[at + 1] == '-') ? 2 : 1);
      if (power < text_.size() && is_digit(text_[power])) return digits(power, 10);
    }
    return at;
  }

  void number() {
    const std::size_t whole = digits(at_, 10);
    const std::size_t end = at_ > 0 && text_[at_ - 1] == '.' ? whole : fraction_end(whole);
    if (end == whole) return integer();
    std::string literal = text_.substr(at_, end - at_);
    std::erase(literal, '_');
    add(Token::Kind::real, literal);
    const auto result = std::from_chars(literal.data(), literal.data() + literal.size(), tokens_.back().real);
    if (result.ec != std::errc()) fail(concat("the number ", literal.substr(0, 40), " is out of range"));
    advance(end);
  }

  void integer() {
    const char mark = static_cast<char>(peek(1) | 0x20);
    const int base = peek() != '0' ? 10 : mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    // After a zero only zeros belong to it, as in Python.
    const std::size_t begin = at_ + (base == 10 || base == 0 ? 0 : 2);
    const std::size_t end = base == 0 ? digits(at_, 1) : digits(begin, base);
    std::string literal = text_.substr(begin, end - begin);
    std::erase(literal, '_');
    add(Token::Kind::integer, literal);
    const auto result = std::from_chars(literal.data(), literal.data() + literal.size(), tokens_.back().integer,
                                        base == 0 ? 10 : base);
    if (result.ec != std::errc()) fail(concat("the integer ", literal, " does not fit 64 bits"));
    advance(end);
  }

  void symbol() {
    constexpr std::array<std::string_view, 26> kSymbols = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const auto found = std::ranges::find_if(kSymbols, [&](std::string_view symbol) { return looking_at(symbol); });
    if (found == kSymbols.end()) fail(concat("unexpected character ", repr_letter()));
    balance((*found)[0]);
    add(Token::Kind::symbol, *found);
    advance(at_ + found->size());
  }
  std::string repr_letter() const { return concat("'", static_cast<unsigned char>(peek()) < 0x20 ? '?' : peek(), "'"); }

  void balance(char symbol) {
    if (symbol == '(') open_ += ')';
    if (symbol == '[') open_ += ']';
    if (symbol == '{') open_ += '}';
    if (symbol != ')' && symbol != ']' && symbol != '}') return;
    if (open_.empty()) fail(concat("unexpected '", symbol, "'"));
    if (open_.back() != symbol) fail(concat("unexpected '", symbol, "', expected '", open_.back(), "'"));
    open_.pop_back();
  }

  std::string text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::string open_;  // the closing brackets still owed
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace ftlib::jinja
