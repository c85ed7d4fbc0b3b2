// SPDX-License-Identifier: Apache-2.0
// Chat templates: a conversation to the text that the model was trained to read, by a sandboxed Jinja interpreter.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/data/byte_span.h"
#include "ftlib/data/record.h"
#include "ftlib/data/tokenizer.h"

namespace ftlib::inline FTLIB_ABI {

struct RenderOptions {
  bool add_generation_prompt = false;  ///< ends with what the assistant's answer follows
  /// What `strftime_now` formats: YYYY-MM-DD, or with THH:MM or THH:MM:SS after it. Empty: `strftime_now` is undefined,
  /// and a template that asks `strftime_now is defined` takes its other branch.
  std::string date{};
};

struct RenderedChat {
  std::string text;  ///< UTF-8
  /// Sorted, disjoint: the bytes that came from the conversation. The template wrote the rest, so only there may
  /// control tokens be meant. Text computed from a message (upper-cased, JSON) counts as the conversation's as a whole.
  std::vector<ByteSpan> from_messages;
  /// What the blocks {% generation %} ... {% endgeneration %} printed, in order.
  std::vector<ByteSpan> generations;
};

/// A template, parsed once; immutable, safe to share between threads. Copies share the parsed form.
///
/// Renders as transformers' apply_chat_template does: jinja2 3.1 in its immutable sandbox, trim_blocks, lstrip_blocks,
/// loop controls, {% generation %}, and the names messages, tools (none), documents (none), add_generation_prompt,
/// bos_token, eos_token, raise_exception, strftime_now, range, dict, namespace. No attribute of the host is reachable.
/// Integers are 64-bit; rendering needs at most 512 KiB of stack. Refused by name: include, import, extends, block,
/// autoescape, recursive loops, the filters filesizeformat, pprint, random, striptags, urlencode, urlize, wordcount,
/// wordwrap and xmlattr. Iterators that jinja2 makes lazily (map, select, reject) are made at once: an element that
/// raises does so even if nobody asks for it.
class ChatTemplate {
 public:
  /// `name` (a path, "tokenizer.chat_template") begins every error. An empty token is one that the tokenizer lacks: its
  /// name is undefined in the template. Throws Error{invalid_file, SCHEMA} on a syntax error, with its line, LIMIT for
  /// more than 256 KiB or blocks and brackets nested deeper than 100, UTF8; Error{unsupported} naming what is not
  /// offered.
  ChatTemplate(std::string_view text, std::string_view bos_token, std::string_view eos_token,
               std::string_view name = "chat template");

  /// Throws Error{invalid_argument} with the template's line where it raises (an unknown role, say) or where jinja2
  /// would, and Error{invalid_file, LIMIT} beyond 800 nested evaluations, 20 million steps and 8 for each byte of the
  /// conversation, 64 MiB of output (or 16 times the conversation) or 256 MiB of strings and lists (or 64 times).
  RenderedChat render(std::span<const Message> messages, const RenderOptions& options = {}) const;

  bool has_generation_blocks() const noexcept;
  const std::string& text() const noexcept;
  const std::string& name() const noexcept;
  std::string digest() const;  ///< SHA-256 of the text, 64 hex digits

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// The template that a tokenizer's files carry; nothing where they carry none. Throws as ChatTemplate does.
std::optional<ChatTemplate> chat_template_of(const Tokenizer& tokenizer);

}  // namespace ftlib
