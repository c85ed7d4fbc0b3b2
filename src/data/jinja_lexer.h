// SPDX-License-Identifier: Apache-2.0
// Template text to tokens, with white space controlled as transformers sets it: trim_blocks and lstrip_blocks.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "data/jinja_heap.h"

namespace ftlib::inline FTLIB_ABI::jinja {

struct Token {
  enum class Kind { data, print_begin, print_end, block_begin, block_end, name, string, integer, real, symbol, end };
  Kind kind = Kind::end;
  int line = 1;
  std::string text;  ///< the data, name, symbol or decoded string
  std::int64_t integer = 0;
  double real = 0;
};

/// Thrown for a template that cannot be read; made an Error with the template's name by compile().
struct SyntaxError {
  int line;
  std::string message;
  Status status = Status::invalid_file;
  Reason reason = Reason::schema;
};

/// All tokens, the last one of kind `end`. Throws SyntaxError. `source` is valid UTF-8.
std::vector<Token> tokenize(std::string_view source);

}  // namespace ftlib::jinja
