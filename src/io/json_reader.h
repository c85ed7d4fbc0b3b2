// SPDX-License-Identifier: Apache-2.0
// Strict JSON (RFC 8259) as a stream of tokens: no recursion, no tree, time linear in the text. nlohmann-json parses;
// places, paths, limits and reasons of errors are ours. parse_json() builds values from it; parsers of large headers
// and of records take the tokens as they come.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI {

enum class JsonToken { begin_object, end_object, begin_array, end_array, key, string, number, boolean, null };

class JsonReader {
 public:
  /// `what` begins every error. With a `line` (from 1) the text is that line of a file, and errors say
  /// `what:line:column`, columns in code points from 1, in place of `what: byte N`; a line that ends too early is TRUNC
  /// there, not JSON. Neither text nor what is copied.
  /// Throws LIMIT on a long text, JSON on a byte order mark.
  JsonReader(std::string_view text, std::string_view what, const JsonLimits& limits = {}, std::int64_t line = 0);

  /// Reads the document once, calling `handler` at each token. Throws Error{invalid_file, JSON | UTF8 | LIMIT}, and
  /// what the handler throws.
  void read(const std::function<void(JsonToken)>& handler);

  // Of the token that the handler was called with.

  /// key and string: decoded; number: as written. Valid until the handler returns.
  std::string_view text() const noexcept { return token_; }
  bool boolean() const noexcept { return token_.front() == 't'; }
  /// Throws RANGE when the number is no whole number of 64 bits, or is beyond double.
  std::int64_t integer() const;
  double number() const;
  bool is_integer() const noexcept { return token_.find_first_of(".eE") == token_.npos; }
  std::size_t depth() const noexcept { return frames_.size(); }  ///< objects and arrays that are open after it

  /// Throws Error{invalid_file, reason}: `what: byte N: path: message`.
  [[noreturn]] void fail(Reason reason, std::string_view message) const { fail_at(begin_, reason, message); }

 private:
  enum class State { key, colon, value, after };
  struct Frame {
    bool object;
    std::string_view key;  ///< as written
    std::int64_t values;   ///< of an array, up to the present one
  };
  class Bytes;  ///< the text as the parser is fed with it
  struct Sax;   ///< what the parser calls

  char at(std::size_t offset) const noexcept { return offset < text_.size() ? text_[offset] : '\0'; }
  std::size_t skip_space(std::size_t offset) const noexcept;
  void step() {
    if (++at_ >= stop_) pause();
  }
  void pause();
  void pass_space() noexcept;
  bool emit(JsonToken token, std::string_view decoded = {});
  std::size_t length_of(JsonToken token) const noexcept;
  void nest(JsonToken token, std::string_view raw);
  [[noreturn]] void fail_syntax();
  [[noreturn]] void fail_token(std::size_t begin) const;
  [[noreturn]] void fail_string(std::size_t begin) const;
  void want(bool good, std::size_t offset, std::string_view what) const {
    if (!good) unexpected(offset, what);
  }
  [[noreturn]] void unexpected(std::size_t offset, std::string_view what, Reason reason = Reason::json) const;
  [[noreturn]] void fail_at(std::size_t offset, Reason reason, std::string_view message) const;
  std::string place(std::size_t offset) const;
  std::string path() const;

  std::string_view text_, what_, token_;
  JsonLimits limits_;
  std::int64_t line_;
  std::vector<Frame> frames_;
  State state_ = State::value;
  const std::function<void(JsonToken)>* handler_ = nullptr;
  std::size_t begin_ = 0, end_ = 0;   ///< of the last token
  std::size_t at_ = 0;                ///< the next byte that the parser gets
  std::size_t stop_ = 0, limit_ = 0;  ///< where step() has more to do; where a string has become too long
};

}  // namespace ftlib
