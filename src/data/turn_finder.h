// SPDX-License-Identifier: Apache-2.0
// Where the content of an assistant turn stands in the rendering of its conversation.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "ftlib/data/chat_template.h"

namespace ftlib::inline FTLIB_ABI {

class TurnFinder {
 public:
  /// `what` ("file:line") begins errors. Renders the conversation; throws as encode_record of data/supervision.h.
  TurnFinder(std::span<const Message> messages, const ChatTemplate& chat_template, std::string date,
             std::string_view what);
  const RenderedChat& rendered() const noexcept { return rendered_; }

  /// The bytes of message `turn` in the rendering. Throws Error{invalid_file, SCHEMA} where they are not found.
  ByteSpan find(std::size_t turn) const;

 private:
  std::optional<ByteSpan> after_generation_prompt(std::size_t turn) const;
  std::optional<ByteSpan> in_generation_block(std::size_t turn) const;
  std::optional<ByteSpan> by_sentinel(std::size_t turn) const;
  std::string_view part(ByteSpan span) const;
  bool from_messages(ByteSpan span) const;
  /// A rendering that may raise although the whole conversation does not: nothing then.
  std::optional<std::string> try_render(std::span<const Message> messages, bool generation_prompt) const;

  std::span<const Message> messages_;
  const ChatTemplate& template_;
  std::string date_;
  std::string_view what_;
  RenderedChat rendered_;
};

/// Renders, an error beginning with `what` and counted as the file's.
RenderedChat render_for(std::span<const Message> messages, const ChatTemplate& chat_template,
                        const RenderOptions& options, std::string_view what);

}  // namespace ftlib
