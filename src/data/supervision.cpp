// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/supervision.h"

#include <algorithm>

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::string_view kBlank = " \t\n\r\f\v";

std::string_view strip_left(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  return begin == text.npos ? std::string_view{} : text.substr(begin);
}
std::string_view strip_right(std::string_view text) { return text.substr(0, text.find_last_not_of(kBlank) + 1); }

/// A content as templates may print it: whole, or trimmed on either side; the longest first.
std::vector<std::string_view> printed_forms(std::string_view content) {
  std::vector<std::string_view> forms{content, strip_right(content), strip_left(content),
                                      strip_right(strip_left(content))};
  forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
  return forms;
}

std::int64_t to_int(std::size_t n) { return static_cast<std::int64_t>(n); }

/// Finds the contents of assistant turns in the rendering of a conversation.
class TurnFinder {
 public:
  TurnFinder(std::span<const Message> messages, const ChatTemplate& chat_template, const EncodeOptions& options,
             std::string_view what)
      : messages_(messages), template_(chat_template), what_(what) {
    render_options_.date = options.date;
    rendered_ = template_.render(messages, render_options_);
  }

  const RenderedChat& rendered() const noexcept { return rendered_; }

  ByteSpan find(std::size_t turn) {
    if (const auto span = after_generation_prompt(turn)) return *span;
    if (const auto span = in_generation_block(turn)) return *span;
    if (const auto span = by_sentinel(turn)) return *span;
    throw Error(
        Status::invalid_file, Reason::schema,
        concat(what_, ": the content of message ", turn, " is not found exactly once in the template's rendering; ",
               "use --supervise last to train the last turn only"));
  }

 private:
  std::optional<ByteSpan> after_generation_prompt(std::size_t turn) const {
    RenderOptions options = render_options_;
    options.add_generation_prompt = true;
    std::string prompt;
    try {
      prompt = template_.render(messages_.first(turn), options).text;
    } catch (const Error&) {
      return {};  // some templates raise on a conversation that ends there; the other ways may still find it
    }
    if (!rendered_.text.starts_with(prompt)) return {};
    const std::string_view rest = std::string_view(rendered_.text).substr(prompt.size());
    for (const std::string_view form : printed_forms(messages_[turn].content))
      if (rest.starts_with(form)) return ByteSpan{to_int(prompt.size()), to_int(prompt.size() + form.size())};
    return {};
  }

  std::optional<ByteSpan> in_generation_block(std::size_t turn) const {
    const auto assistant = [](const Message& m) { return m.role == "assistant"; };
    const auto turns = static_cast<std::size_t>(std::ranges::count_if(messages_, assistant));
    if (rendered_.generations.size() != turns) return {};
    const auto number = static_cast<std::size_t>(std::ranges::count_if(messages_.first(turn), assistant));
    const ByteSpan block = rendered_.generations[number];
    const std::string_view text =
        std::string_view(rendered_.text)
            .substr(static_cast<std::size_t>(block.begin), static_cast<std::size_t>(block.end - block.begin));
    for (const std::string_view form : printed_forms(messages_[turn].content)) {
      const std::size_t at = text.find(form);
      if (form.empty() || at == text.npos) continue;
      if (text.find(form, at + 1) != text.npos) return {};
      return ByteSpan{block.begin + to_int(at), block.begin + to_int(at + form.size())};
    }
    return {};
  }

  /// The rendering with a sentinel in place of the content: what stands around it must stand around the content too.
  std::optional<ByteSpan> by_sentinel(std::size_t turn) const {
    std::vector<Message> messages(messages_.begin(), messages_.end());
    std::string sentinel = "sentinel-of-turn";
    while (rendered_.text.find(sentinel) != std::string::npos) sentinel += "-x";
    messages[turn].content = sentinel;
    const std::string other = template_.render(messages, render_options_).text;
    const std::size_t at = other.find(sentinel);
    if (at == other.npos || other.find(sentinel, at + 1) != other.npos) return {};
    const std::string_view before = std::string_view(other).substr(0, at),
                           after = std::string_view(other).substr(at + sentinel.size());
    const std::string_view text = rendered_.text;
    if (text.size() < before.size() + after.size() || !text.starts_with(before) || !text.ends_with(after)) return {};
    const std::string_view found = text.substr(at, text.size() - before.size() - after.size());
    for (const std::string_view form : printed_forms(messages_[turn].content))
      if (found == form) return ByteSpan{to_int(at), to_int(at + found.size())};
    return {};
  }

  std::span<const Message> messages_;
  const ChatTemplate& template_;
  std::string_view what_;
  RenderOptions render_options_;
  RenderedChat rendered_;
};

bool intersects(const std::vector<ByteSpan>& spans, const ByteSpan& span) {
  const auto next = std::ranges::upper_bound(spans, span.begin, {}, &ByteSpan::end);
  return next != spans.end() && next->begin < span.end;
}

void append(Encoding& to, const Encoding& from, std::int64_t offset) {
  to.ids.insert(to.ids.end(), from.ids.begin(), from.ids.end());
  for (const ByteSpan& span : from.spans) to.spans.push_back({span.begin + offset, span.end + offset});
}

/// Control tokens count where the template wrote them; what a message spells stays text.
Encoding encode_rendering(const RenderedChat& chat, const Tokenizer& tokenizer) {
  Encoding whole = tokenizer.encode_with_spans(chat.text, true);
  const auto forged = [&](std::size_t i) {
    return tokenizer.is_special(whole.ids[i]) && intersects(chat.from_messages, whole.spans[i]);
  };
  std::size_t i = 0;
  while (i < whole.ids.size() && !forged(i)) ++i;
  if (i == whole.ids.size()) return whole;
  Encoding pieces;
  std::int64_t begin = 0;
  const auto plain_until = [&](std::int64_t end) {
    const std::string_view piece =
        std::string_view(chat.text).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    append(pieces, tokenizer.encode_with_spans(piece, false), begin);
    begin = end;
  };
  for (i = 0; i < whole.ids.size(); ++i) {
    if (!tokenizer.is_special(whole.ids[i]) || forged(i)) continue;
    plain_until(whole.spans[i].begin);
    pieces.ids.push_back(whole.ids[i]);
    pieces.spans.push_back(whole.spans[i]);
    begin = whole.spans[i].end;
  }
  plain_until(to_int(chat.text.size()));
  return pieces;
}

/// Flags the tokens that begin inside the span, and the special token that ends the turn.
void supervise(const AnnotatedChat& chat, const Tokenizer& tokenizer, const ByteSpan& span,
               std::vector<std::uint8_t>& flags) {
  const auto& spans = chat.encoding.spans;
  std::size_t i = 0;
  while (i < spans.size() && spans[i].begin < span.begin) ++i;
  for (; i < spans.size() && spans[i].begin < span.end; ++i) flags[i] = 1;
  while (i < spans.size() && !tokenizer.is_special(chat.encoding.ids[i])) ++i;
  if (i == spans.size()) return;
  const std::string_view gap = std::string_view(chat.text).substr(static_cast<std::size_t>(span.end),
                                                                  static_cast<std::size_t>(spans[i].begin - span.end));
  if (gap.find_first_not_of(kBlank) == gap.npos) flags[i] = 1;
}

const ChatTemplate& need_template(const ChatTemplate* chat_template, std::string_view what) {
  FT_CHECK_FILE(chat_template != nullptr, schema, what,
                ": the model has no chat template, and the record has messages; give --template FILE");
  return *chat_template;
}

std::int32_t need_eos(const Tokenizer& tokenizer, std::string_view what) {
  FT_CHECK_FILE(tokenizer.eos_id().has_value(), schema, what,
                ": the tokenizer names no end token, which must follow the text; use a record with messages");
  return *tokenizer.eos_id();
}

void append_plain(Example& example, const std::vector<std::int32_t>& ids, bool supervised) {
  example.tokens.insert(example.tokens.end(), ids.begin(), ids.end());
  example.supervised.resize(example.tokens.size(), supervised ? 1 : 0);
}

std::vector<std::int32_t> begin_token(const Tokenizer& tokenizer) {
  return tokenizer.adds_bos() && tokenizer.bos_id() ? std::vector<std::int32_t>{*tokenizer.bos_id()}
                                                    : std::vector<std::int32_t>{};
}

Example encode_plain(const Record& record, const Tokenizer& tokenizer, std::string_view what) {
  Example example;
  append_plain(example, begin_token(tokenizer), false);
  if (record.kind == RecordKind::prompt) {
    append_plain(example, tokenizer.encode(record.prompt), false);
    append_plain(example, tokenizer.encode(record.completion), true);
  } else {
    append_plain(example, tokenizer.encode(record.text), true);
  }
  append_plain(example, {need_eos(tokenizer, what)}, true);
  return example;
}

}  // namespace

AnnotatedChat annotate_messages(std::span<const Message> messages, std::size_t prompt_messages,
                                const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                const EncodeOptions& options, std::string_view what) {
  TurnFinder finder(messages, chat_template, options, what);
  AnnotatedChat chat{finder.rendered().text, encode_rendering(finder.rendered(), tokenizer), {}};
  chat.supervised.resize(chat.encoding.ids.size());
  std::vector<std::size_t> turns;
  for (std::size_t i = prompt_messages; i < messages.size(); ++i)
    if (messages[i].role == "assistant") turns.push_back(i);
  if (options.supervise == Supervise::last && !turns.empty()) turns = {turns.back()};
  for (const std::size_t turn : turns) supervise(chat, tokenizer, finder.find(turn), chat.supervised);
  if (!chat.supervised.empty()) chat.supervised[0] = 0;
  return chat;
}

Example encode_record(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                      const EncodeOptions& options, std::string_view what) {
  Example example;
  if (record.kind == RecordKind::messages || record.kind == RecordKind::prompt_messages) {
    const std::size_t completion = static_cast<std::size_t>(record.completion_messages);
    const std::size_t prompt = record.kind == RecordKind::messages ? 0 : record.messages.size() - completion;
    AnnotatedChat chat =
        annotate_messages(record.messages, prompt, tokenizer, need_template(chat_template, what), options, what);
    example.tokens = std::move(chat.encoding.ids);
    example.supervised = std::move(chat.supervised);
  } else {
    example = encode_plain(record, tokenizer, what);
    example.supervised[0] = 0;
  }
  FT_CHECK_FILE(example.supervised_tokens() > 0, schema, what,
                ": nothing in this record is supervised: it needs an assistant turn, a completion or a text");
  example.id = record.id;
  example.weight = static_cast<float>(record.weight);
  return example;
}

std::vector<std::int32_t> encode_messages(std::span<const Message> messages, const Tokenizer& tokenizer,
                                          const ChatTemplate& chat_template, const EncodeOptions& options) {
  return encode_rendering(chat_template.render(messages, {true, options.date}), tokenizer).ids;
}

std::optional<Prompt> encode_prompt(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                                    const EncodeOptions& options, std::string_view what) {
  if (record.kind == RecordKind::text) return {};
  if (record.kind == RecordKind::prompt) {
    Prompt prompt{begin_token(tokenizer), record.completion};
    const std::vector<std::int32_t> ids = tokenizer.encode(record.prompt);
    prompt.tokens.insert(prompt.tokens.end(), ids.begin(), ids.end());
    return prompt;
  }
  if (record.messages.back().role != "assistant") return {};
  const std::span<const Message> before = std::span(record.messages).first(record.messages.size() - 1);
  return Prompt{encode_messages(before, tokenizer, need_template(chat_template, what), options),
                record.messages.back().content};
}

}  // namespace ftlib::inline FTLIB_ABI
