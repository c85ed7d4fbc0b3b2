// SPDX-License-Identifier: Apache-2.0
// Strict JSON (RFC 8259) as a stream of tokens: no recursion, no allocation per token, time linear in the text.
// parse_json() builds values from it; parsers of large headers read it directly.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {

enum class JsonToken { begin_object, end_object, begin_array, end_array, key, string, number, boolean, null, end };

class JsonReader {
 public:
  /// `what` begins every error. With a `line` (from 1) the text is that line of a file, and errors say
  /// `what:line:column`, columns in code points from 1, in place of `what: byte N`; a line that ends too early is TRUNC
  /// there, not JSON.
  /// Throws LIMIT on a long text, JSON on a byte order mark.
  JsonReader(std::string_view text, std::string_view what, const JsonLimits& limits = {}, std::int64_t line = 0);

  /// The next token; `end` once the document is over. Throws Error{invalid_file, JSON | UTF8 | LIMIT}.
  JsonToken next();

  /// key and string: decoded; number: as written. Valid until the next call of next().
  std::string_view text() const noexcept { return token_; }
  bool boolean() const noexcept { return token_.front() == 't'; }

  /// Of a number token. Throws RANGE when it is no whole number of 64 bits, or is beyond double.
  std::int64_t integer() const;
  double number() const;
  bool is_integer() const noexcept { return token_.find_first_of(".eE") == token_.npos; }

  void skip_value();  ///< reads one whole value, checking its syntax only

  /// Throws Error{invalid_file, reason}: `what: byte N: path: message`.
  [[noreturn]] void fail(Reason reason, std::string_view message) const { fail_at(token_begin_, reason, message); }

 private:
  enum class State { value, first_value, first_key, after };
  struct Frame {
    bool object;
    std::string_view key;  ///< as written
    std::int64_t index;
  };

  void skip_space() noexcept;
  JsonToken value();
  JsonToken open(bool object);
  JsonToken close(bool object);
  JsonToken key();
  JsonToken after();
  JsonToken literal(std::string_view word, JsonToken token);
  JsonToken number_token();
  void string_token();
  void escape();
  std::uint32_t hex4();
  std::size_t digits();
  char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[noreturn]] void fail_at(std::size_t offset, Reason reason, std::string_view message) const;
  void want(bool good, std::string_view what, Reason reason = Reason::json) const {
    if (!good) unexpected(what, reason);
  }
  [[noreturn]] void unexpected(std::string_view what, Reason reason) const;
  std::string place(std::size_t offset) const;
  std::string path() const;

  std::string_view text_, what_, token_;
  std::string scratch_;
  std::vector<Frame> frames_;
  std::size_t at_ = 0, token_begin_ = 0;
  State state_ = State::value;
  int depth_;
  std::int64_t line_;
};

/// The length of the valid UTF-8 sequence at text[at]; 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) noexcept;

}  // namespace ftlib
