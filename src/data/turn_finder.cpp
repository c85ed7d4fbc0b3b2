// SPDX-License-Identifier: Apache-2.0
#include "data/turn_finder.h"

#include <algorithm>

#include "data/jinja_text.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

/// A content as templates print it: whole, or trimmed on either side or both; the longest first.
std::vector<std::string_view> printed_forms(std::string_view content) {
  std::vector<std::string_view> forms;
  for (const auto& [left, right] : {std::pair{false, false}, {false, true}, {true, false}, {true, true}}) {
    const jinja::Piece piece = jinja::strip(content, nullptr, left, right);
    forms.push_back(content.substr(piece.begin, piece.end - piece.begin));
  }
  std::ranges::stable_sort(forms, std::greater<>(), &std::string_view::size);
  return forms;
}

ByteSpan make_span(std::size_t begin, std::size_t bytes) {
  return {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(begin + bytes)};
}

bool is_assistant(const Message& message) { return message.role == "assistant"; }

}  // namespace

RenderedChat render_for(std::span<const Message> messages, const ChatTemplate& chat_template,
                        const RenderOptions& options, std::string_view what) {
  try {
    return chat_template.render(messages, options);
  } catch (const Error& error) {
    const bool raised = error.status() == Status::invalid_argument;
    throw Error(raised ? Status::invalid_file : error.status(), raised ? Reason::schema : error.reason(),
                concat(what, ": ", error.what()));
  }
}

TurnFinder::TurnFinder(std::span<const Message> messages, const ChatTemplate& chat_template, std::string date,
                       std::string_view what)
    : messages_(messages), template_(chat_template), date_(std::move(date)), what_(what) {
  rendered_ = render_for(messages_, template_, {false, date_}, what_);
}

std::optional<std::string> TurnFinder::try_render(std::span<const Message> messages, bool generation_prompt) const {
  try {
    return template_.render(messages, {generation_prompt, date_}).text;
  } catch (const Error& error) {
    if (error.status() != Status::invalid_argument) throw;
    return std::nullopt;
  }
}

std::string_view TurnFinder::part(ByteSpan span) const {
  return std::string_view(rendered_.text)
      .substr(static_cast<std::size_t>(span.begin), static_cast<std::size_t>(span.end - span.begin));
}

bool TurnFinder::from_messages(ByteSpan span) const {
  if (span.begin == span.end) return true;
  const auto next = std::ranges::upper_bound(rendered_.from_messages, span.begin, {}, &ByteSpan::end);
  return next != rendered_.from_messages.end() && next->begin <= span.begin && next->end >= span.end;
}

ByteSpan TurnFinder::find(std::size_t turn) const {
  if (const auto span = after_generation_prompt(turn)) return *span;
  if (const auto span = in_generation_block(turn)) return *span;
  if (const auto span = by_sentinel(turn)) return *span;
  throw Error(Status::invalid_file, Reason::schema,
              concat(what_, ": the content of message ", turn + 1,
                     " is not found exactly once in what the template prints (does it change earlier turns?); "
                     "--supervise last trains the last turn only"));
}

std::optional<ByteSpan> TurnFinder::after_generation_prompt(std::size_t turn) const {
  const auto prompt = try_render(messages_.first(turn), true);
  if (!prompt || !rendered_.text.starts_with(*prompt)) return std::nullopt;
  const std::string_view rest = std::string_view(rendered_.text).substr(prompt->size());
  for (const std::string_view form : printed_forms(messages_[turn].content)) {
    const ByteSpan span = make_span(prompt->size(), form.size());
    if (rest.starts_with(form) && from_messages(span)) return span;
  }
  return std::nullopt;
}

std::optional<ByteSpan> TurnFinder::in_generation_block(std::size_t turn) const {
  if (static_cast<std::ptrdiff_t>(rendered_.generations.size()) != std::ranges::count_if(messages_, is_assistant))
    return std::nullopt;
  const auto number = static_cast<std::size_t>(std::ranges::count_if(messages_.first(turn), is_assistant));
  const ByteSpan block = rendered_.generations[number];
  const std::string_view text = part(block);
  for (const std::string_view form : printed_forms(messages_[turn].content)) {
    const std::size_t at = text.find(form);
    if (form.empty() || at == text.npos) continue;
    if (text.find(form, at + 1) != text.npos) return std::nullopt;
    const ByteSpan span = make_span(static_cast<std::size_t>(block.begin) + at, form.size());
    if (from_messages(span)) return span;
  }
  return std::nullopt;
}

std::optional<ByteSpan> TurnFinder::by_sentinel(std::size_t turn) const {
  std::string sentinel = "Sentinel";
  const auto taken = [&](const Message& message) { return message.content.find(sentinel) != std::string::npos; };
  while (rendered_.text.find(sentinel) != std::string::npos || std::ranges::any_of(messages_, taken)) sentinel += "x";
  std::vector<Message> messages(messages_.begin(), messages_.end());
  messages[turn].content = sentinel;
  const auto other = try_render(messages, false);
  const std::size_t at = other ? other->find(sentinel) : std::string::npos;
  if (at == std::string::npos || other->find(sentinel, at + 1) != std::string::npos) return std::nullopt;
  const std::string_view before = std::string_view(*other).substr(0, at);
  const std::string_view after = std::string_view(*other).substr(at + sentinel.size());
  const std::string_view text = rendered_.text;
  if (text.size() < before.size() + after.size() || !text.starts_with(before) || !text.ends_with(after))
    return std::nullopt;
  const ByteSpan span = make_span(at, text.size() - before.size() - after.size());
  const auto forms = printed_forms(messages_[turn].content);
  const bool same = std::ranges::find(forms, part(span)) != forms.end();
  return same && from_messages(span) ? std::optional(span) : std::nullopt;
}

}  // namespace ftlib
