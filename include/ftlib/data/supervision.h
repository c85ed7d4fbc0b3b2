// SPDX-License-Identifier: Apache-2.0
// A record as tokens with a flag for each: is it a target of training? The binding rules stand in docs/data.md.
#pragma once
#include <optional>
#include <string>

#include "ftlib/data/batch.h"
#include "ftlib/data/chat_template.h"
#include "ftlib/data/record.h"
#include "ftlib/data/tokenizer.h"

namespace ftlib::inline FTLIB_ABI {

enum class Supervise : std::int32_t { all = 0, last };  ///< every assistant turn, or the last one only

struct EncodeOptions {
  Supervise supervise = Supervise::all;
  std::string date;  ///< of strftime_now in the template; empty: undefined
};

/// messages: the template's rendering; of each supervised assistant turn its content as printed, and the special token
/// that ends the turn, are targets. completion: prompt and completion tokenised apart and joined, the end token
/// appended; completion and end token are targets. text: everything after the first token. A begin token is put before
/// completion and text records where the tokenizer adds one, never before a rendering, which prints its own.
///
/// A token is a target when its first byte lies in a supervised span; the first token of a record never is. Text of
/// messages never becomes a control token, whatever it spells. Otherwise ids equal transformers' apply_chat_template.
///
/// `chat_template` may be null for records without messages. Throws Error{invalid_file, SCHEMA} beginning with `what`
/// ("file:line") where nothing is supervised, a turn's content is not found exactly once in the rendering (naming
/// --supervise last), there is no template (naming --template), or the tokenizer has no end token; and as render does.
/// Example::index is left 0. Thread-safe.
Example encode_record(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                      const EncodeOptions& options, std::string_view what);

/// What generation needs: everything before the last assistant turn (or the prompt), and the answer that it should
/// give.
struct Prompt {
  std::vector<std::int32_t> tokens;
  std::string reference;
};

/// Empty for text records, which have no prompt, and for message lists that do not end with an assistant turn.
std::optional<Prompt> encode_prompt(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                                    const EncodeOptions& options, std::string_view what);

/// Tokens of messages with the generation prompt after them, under the same rule for control tokens.
std::vector<std::int32_t> encode_messages(std::span<const Message> messages, const Tokenizer& tokenizer,
                                          const ChatTemplate& chat_template, const EncodeOptions& options);

/// The rendering with its tokens and flags, for showing what is trained.
struct AnnotatedChat {
  std::string text;
  Encoding encoding;
  std::vector<std::uint8_t> supervised;
};
AnnotatedChat annotate_messages(std::span<const Message> messages, std::size_t prompt_messages,
                                const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                const EncodeOptions& options, std::string_view what);

}  // namespace ftlib::inline FTLIB_ABI
