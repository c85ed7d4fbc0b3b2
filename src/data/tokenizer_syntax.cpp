// SPDX-License-Identifier: Apache-2.0
// Where Oniguruma and PCRE2 give one spelling two meanings (\h, \w, \v, (?m), {,n}, x{2}+, class algebra), the
// spelling is refused or rewritten; the rest passes as it stands.
#include <algorithm>
#include <iterator>
#include <vector>

#include "data/tokenizer_pattern.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

constexpr std::size_t kLongestPattern = std::size_t{16} << 10;
constexpr std::string_view kWhiteSpace = "\\t-\\r\\x{85}\\p{Z}";  // PCRE2's own \s has U+180E besides
constexpr std::string_view kCategories[] = {
    "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl",
    "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_punctuation(char c) { return c > ' ' && c < 0x7f && !is_digit(c) && !is_letter(c); }

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view what) : text_(pattern), what_(what) {}

  std::string run() {
    FT_CHECK_FILE(text_.size() <= kLongestPattern, unsupported, what_, ": a pattern of ", text_.size(),
                  " bytes; supported are up to ", kLongestPattern);
    while (at_ < text_.size()) item();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::size_t begin, std::string_view why) const {
    throw Error(Status::invalid_file, Reason::unsupported,
                concat(what_, ": pattern byte ", begin, ", \"", excerpt(text_.substr(begin, 16)), "\": ", why));
  }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void copy(std::size_t count) {
    out_.append(text_.substr(at_, count));
    at_ += count;
  }

  void item() {
    switch (peek()) {
      case '\\': escape(false); return;
      case '[': return char_class();
      case '(': return open_group();
      case ')': return close_group();
      case '*': case '+': case '?': return repeat();
      case '{': return counted_repeat();
      case '}': case ']': out_ += '\\'; return copy(1);
      case '^': return anchor("(?m:^)");  // Ruby's anchors are those of lines
      case '$': return anchor("(?m:$)");
      default: return copy(1);
    }
  }

  void anchor(std::string_view translated) {
    out_ += translated;
    ++at_;
    refuse_repeat();
    if (!empty_matches_.empty()) empty_matches_.back() = true;
  }

  void close_group() {
    copy(1);
    if (empty_matches_.empty()) return;  // PCRE2 names the error
    const bool matches_empty = empty_matches_.back();
    empty_matches_.pop_back();
    if (matches_empty) refuse_repeat();
    if (matches_empty && !empty_matches_.empty()) empty_matches_.back() = true;
  }

  /// The two leave a loop that has matched nothing in different ways.
  void refuse_repeat() const {
    const bool repeated = peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{';
    if (repeated) refuse(at_, "an anchor or lookahead cannot be repeated, nor a group with one");
  }

  void open_group() {
    const std::string_view rest = text_.substr(at_);
    empty_matches_.push_back(rest.starts_with("(?=") || rest.starts_with("(?!"));
    if (!rest.starts_with("(?")) {
      out_ += "(?:";
      ++at_;
    } else if (rest.starts_with("(?:") || rest.starts_with("(?=") || rest.starts_with("(?!") || rest.starts_with("(?>")) {
      copy(3);
    } else if (rest.starts_with("(?i:")) {
      check_caseless(rest.substr(4, rest.find(')') - 4));
      copy(4);
    } else {
      refuse(at_, "supported groups are ( (?: (?i: (?= (?! (?>");
    }
  }

  /// Oniguruma folds these pairs to one letter (ss to sharp s) and ignores case of categories; PCRE2 does neither.
  void check_caseless(std::string_view body) const {
    std::string lower(body);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (const std::string_view pair : {"ss", "ff", "fi", "fl", "st", "\\", "[", "("})
      if (lower.find(pair) != std::string::npos) refuse(at_, "(?i:..) takes plain letters without ss, ff, fi, fl, st");
    for (const char c : lower)
      if (static_cast<unsigned char>(c) >= 0x80) refuse(at_, "(?i:..) takes ASCII letters only");
  }

  void repeat() {
    copy(1);
    if (peek() == '?' || peek() == '+') copy(1);
    if (peek() == '?' || peek() == '+' || peek() == '*' || peek() == '{') refuse(at_, "a repeat of a repeat");
  }

  void counted_repeat() {
    const std::size_t begin = at_;
    std::size_t i = 1;
    while (is_digit(peek(i))) ++i;
    const bool has_minimum = i > 1;
    if (peek(i) == ',')
      for (++i; is_digit(peek(i));) ++i;
    if (!has_minimum || peek(i) != '}') refuse(begin, "supported repeats are {n}, {n,} and {n,m}");
    copy(i + 1);
    if (peek() == '?' || peek() == '+' || peek() == '*' || peek() == '{') refuse(begin, "a repeat of a counted repeat");
  }

  void char_class() {
    const std::size_t begin = at_;
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') refuse(begin, "an empty class");
    while (peek() != ']') {
      const bool set = class_item(begin);
      if (peek() != '-' || peek(1) == ']') continue;
      copy(1);
      if (set || class_item(begin)) refuse(begin, "a range between classes");
    }
    copy(1);
  }

  /// One member of a class; true when it stands for several characters.
  bool class_item(std::size_t begin) {
    if (at_ >= text_.size()) refuse(begin, "a class without its closing bracket");
    if (peek() == '[' || text_.substr(at_).starts_with("&&")) refuse(at_, "classes within classes are not supported");
    if (peek() == '\\') return escape(true);
    copy(1);
    return false;
  }

  /// What follows a backslash; true when it stands for several characters.
  bool escape(bool in_class) {
    const char kind = peek(1);
    if (kind == 's') return white_space(in_class ? "" : "[", in_class ? "" : "]");
    if (kind == 'S' && !in_class) return white_space("[^", "]");
    if (kind == 'd' || kind == 'D') return copy(2), true;
    if (kind == 'p' || kind == 'P') return property(), true;
    if (kind == 'u') return code_point(), false;
    const bool single = kind == 'r' || kind == 'n' || kind == 't' || kind == 'f' || is_punctuation(kind);
    if (!single) refuse(at_, "supported escapes are \\r \\n \\t \\f \\s \\S (outside classes) \\d \\D \\p{..} \\P{..} \\uHHHH");
    copy(2);
    return false;
  }

  bool white_space(std::string_view open, std::string_view close) {
    out_.append(open).append(kWhiteSpace).append(close);
    at_ += 2;
    return true;
  }

  /// A general category stays; any other name must be a script, which PCRE2 would else widen to its extensions.
  void property() {
    const std::size_t begin = at_, end = text_.find('}', at_);
    if (peek(2) != '{' || end == text_.npos) refuse(begin, "a property is written \\p{Name}");
    std::string_view name = text_.substr(at_ + 3, end - at_ - 3);
    const bool caret = name.starts_with('^');
    if (caret) name.remove_prefix(1);
    if (name.empty() || !std::ranges::all_of(name, is_letter)) refuse(begin, "supported properties are categories and scripts");
    const bool negated = (peek(1) == 'P') != caret;
    const bool category = std::ranges::find(kCategories, name) != std::end(kCategories);
    out_.append(negated ? "\\P{" : "\\p{").append(category ? "" : "sc:").append(name) += '}';
    at_ = end + 1;
  }

  void code_point() {
    for (std::size_t i = 2; i < 6; ++i)
      if (!is_hex(peek(i))) refuse(at_, "\\u takes four hexadecimal digits");
    out_.append("\\x{").append(text_.substr(at_ + 2, 4)) += '}';
    at_ += 6;
  }

  std::string_view text_, what_;
  std::string out_;
  std::size_t at_ = 0;
  std::vector<bool> empty_matches_;  // of the groups that are open: whether an anchor or lookahead is inside
};

}  // namespace

std::string translate_pattern(std::string_view pattern, std::string_view what) {
  return Translator(pattern, what).run();
}

}  // namespace ftlib
