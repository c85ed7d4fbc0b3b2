// SPDX-License-Identifier: Apache-2.0
// A record as tokens with a flag for each: is it a target of training?
//
//   messages    the template's rendering. Of each supervised assistant turn two things are targets: its content as the
//               template printed it (trimmed where the template trims), and the first end-of-turn token after it. Of a
//               pair of message lists only the turns of the completion are.
//   completion  prompt and completion tokenised apart and joined, the end token after them; no template. Completion and
//               end token are targets.
//   text        the end token after it; everything is a target.
//
// A begin token comes before completion and text records where the tokenizer adds one, and never before a rendering,
// which prints its own: there are never two. A token is a target when its first byte lies in a supervised span; the
// first token of a record never is.
//
// Where a content stands in the rendering is decided in three ways, in this order, and each must lead to bytes that the
// template took from a message:
//   1. directly after the rendering of what comes before it, with the generation prompt
//   2. once in the turn's own {% generation %} block, when there is a block for each assistant turn
//   3. in place of a unique sentinel, when the rendering with the sentinel is the same all around it
// A content that the template changed (reasoning stripped from an earlier turn, say) is found in none of them: training
// on it would teach something else than the record says, so the record is refused.
//
// End of turn: the first special token (or the tokenizer's end token) after the content, with nothing of the
// conversation between the two. A template that prints none has none to train.
//
// Text of messages never becomes a control token, whatever it spells, though a role may be part of one that the
// template builds around it. Otherwise ids equal those of transformers' apply_chat_template, which does parse such
// text.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/data/batch.h"
#include "ftlib/data/chat_template.h"
#include "ftlib/data/record.h"
#include "ftlib/data/tokenizer.h"

namespace ftlib::inline FTLIB_ABI {

enum class Supervise : std::int32_t { all = 0, last };  ///< every assistant turn, or the last one only

struct EncodeOptions {
  Supervise supervise = Supervise::all;
  std::string date{};  ///< of strftime_now in the template; empty: undefined
};

/// `chat_template` may be null for records without messages. Throws Error{invalid_file} beginning with `what`
/// ("file:line"): SCHEMA where nothing is supervised, where a turn's content is not found (naming --supervise last),
/// where there is no template (naming --template) or no end token, and where the template raises; the reasons of
/// ChatTemplate::render and Tokenizer::encode otherwise. Example::index is left 0. Thread-safe.
Example encode_record(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                      const EncodeOptions& options, std::string_view what);

/// What generation starts from and should lead to.
struct Prompt {
  std::vector<std::int32_t> tokens;
  std::string reference;
};

/// Everything before the last assistant turn, with the generation prompt, and that turn's content; or prompt and
/// completion. Nothing for text records and for messages that do not end with an assistant turn. Throws as
/// encode_record.
std::optional<Prompt> encode_prompt(const Record& record, const Tokenizer& tokenizer,
                                    const ChatTemplate* chat_template, const EncodeOptions& options,
                                    std::string_view what);

/// Tokens of a conversation with the generation prompt after it. Throws as ChatTemplate::render.
std::vector<std::int32_t> encode_messages(std::span<const Message> messages, const Tokenizer& tokenizer,
                                          const ChatTemplate& chat_template, const EncodeOptions& options = {});

/// A rendering with its tokens and flags, for showing what is trained.
struct AnnotatedChat {
  std::string text;
  Encoding encoding;
  std::vector<std::uint8_t> supervised;  ///< [n] one a token
};

/// `prompt_messages`: so many at the begin are never supervised. Throws as encode_record, but not where nothing is
/// supervised.
AnnotatedChat annotate_messages(std::span<const Message> messages, std::size_t prompt_messages,
                                const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                const EncodeOptions& options, std::string_view what);

}  // namespace ftlib
