// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/supervision.h"

#include <algorithm>

#include "data/turn_finder.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

bool overlaps(const std::vector<ByteSpan>& sorted, ByteSpan span) {
  const auto next = std::ranges::upper_bound(sorted, span.begin, {}, &ByteSpan::end);
  return next != sorted.end() && next->begin < span.end;
}

/// Tokens of a rendering: control tokens count where the template wrote them, what a message spells stays text.
class ChatEncoder {
 public:
  ChatEncoder(const RenderedChat& chat, const Tokenizer& tokenizer) : chat_(chat), tokenizer_(tokenizer) {}

  Encoding operator()() {
    Encoding whole = tokenizer_.encode_with_spans(chat_.text, true);
    std::vector<std::size_t> controls;
    bool forged = false;
    for (std::size_t i = 0; i < whole.ids.size(); ++i) {
      if (!tokenizer_.is_special(whole.ids[i])) continue;
      if (overlaps(chat_.from_messages, whole.spans[i])) forged = true;
      else controls.push_back(i);
    }
    if (!forged) return whole;
    for (const std::size_t i : controls) {
      append_plain(whole.spans[i].begin);
      out_.ids.push_back(whole.ids[i]);
      out_.spans.push_back(whole.spans[i]);
      done_ = whole.spans[i].end;
    }
    append_plain(static_cast<std::int64_t>(chat_.text.size()));
    return std::move(out_);
  }

 private:
  void append_plain(std::int64_t end) {
    const auto piece = std::string_view(chat_.text)
                           .substr(static_cast<std::size_t>(done_), static_cast<std::size_t>(end - done_));
    const Encoding plain = tokenizer_.encode_with_spans(piece, false);
    out_.ids.insert(out_.ids.end(), plain.ids.begin(), plain.ids.end());
    for (const ByteSpan& span : plain.spans) out_.spans.push_back({span.begin + done_, span.end + done_});
  }

  const RenderedChat& chat_;
  const Tokenizer& tokenizer_;
  Encoding out_;
  std::int64_t done_ = 0;
};

/// Flags the tokens that begin inside `content`, and the token that ends the turn.
void flag_turn(const RenderedChat& chat, const Encoding& encoding, const Tokenizer& tokenizer, ByteSpan content,
               std::vector<std::uint8_t>& flags) {
  const auto& spans = encoding.spans;
  auto i =
      static_cast<std::size_t>(std::ranges::lower_bound(spans, content.begin, {}, &ByteSpan::begin) - spans.begin());
  for (; i < spans.size() && spans[i].begin < content.end; ++i) flags[i] = 1;
  const auto ends_turn = [&](std::int32_t id) { return tokenizer.is_special(id) || id == tokenizer.eos_id(); };
  while (i < spans.size() && !ends_turn(encoding.ids[i])) ++i;
  if (i < spans.size() && !overlaps(chat.from_messages, {content.end, spans[i].begin})) flags[i] = 1;
}

const ChatTemplate& need_template(const ChatTemplate* chat_template, std::string_view what) {
  FT_CHECK_FILE(chat_template != nullptr, schema, what,
                ": the record has messages, and the model has no chat template; give one with --template FILE");
  return *chat_template;
}

void append(Example& example, const std::vector<std::int32_t>& ids, bool supervised) {
  example.tokens.insert(example.tokens.end(), ids.begin(), ids.end());
  example.supervised.resize(example.tokens.size(), supervised ? 1 : 0);
}

std::vector<std::int32_t> begin_token(const Tokenizer& tokenizer) {
  if (!tokenizer.adds_bos() || !tokenizer.bos_id()) return {};
  return {*tokenizer.bos_id()};
}

Example encode_plain(const Record& record, const Tokenizer& tokenizer, std::string_view what) {
  FT_CHECK_FILE(tokenizer.eos_id().has_value(), schema, what,
                ": the tokenizer names no end token, which must follow this record; use a record with messages");
  Example example;
  append(example, begin_token(tokenizer), false);
  if (record.kind == Record::Kind::completion) append(example, tokenizer.encode(record.prompt), false);
  append(example, tokenizer.encode(record.kind == Record::Kind::completion ? record.completion : record.text), true);
  append(example, {*tokenizer.eos_id()}, true);
  example.supervised[0] = 0;
  return example;
}

}  // namespace

AnnotatedChat annotate_messages(std::span<const Message> messages, std::size_t prompt_messages,
                                const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                                const EncodeOptions& options, std::string_view what) {
  const TurnFinder finder(messages, chat_template, options.date, what);
  const RenderedChat& rendered = finder.rendered();
  AnnotatedChat chat{rendered.text, ChatEncoder(rendered, tokenizer)(), {}};
  chat.supervised.resize(chat.encoding.ids.size());
  std::vector<std::size_t> turns;
  for (std::size_t i = prompt_messages; i < messages.size(); ++i)
    if (messages[i].role == "assistant") turns.push_back(i);
  if (options.supervise == Supervise::last && !turns.empty()) turns = {turns.back()};
  for (const std::size_t turn : turns)
    flag_turn(rendered, chat.encoding, tokenizer, finder.find(turn), chat.supervised);
  if (!chat.supervised.empty()) chat.supervised[0] = 0;
  return chat;
}

Example encode_record(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                      const EncodeOptions& options, std::string_view what) {
  Example example;
  if (record.kind == Record::Kind::messages) {
    AnnotatedChat chat = annotate_messages(record.messages, record.prompt_messages, tokenizer,
                                           need_template(chat_template, what), options, what);
    example.tokens = std::move(chat.encoding.ids);
    example.supervised = std::move(chat.supervised);
  } else {
    example = encode_plain(record, tokenizer, what);
  }
  FT_CHECK_FILE(example.supervised_tokens() > 0, schema, what,
                ": nothing of this record is supervised; it needs an assistant turn, a completion or a text");
  example.id = record.id;
  example.weight = static_cast<float>(record.weight);
  return example;
}

std::vector<std::int32_t> encode_messages(std::span<const Message> messages, const Tokenizer& tokenizer,
                                          const ChatTemplate& chat_template, const EncodeOptions& options) {
  return ChatEncoder(chat_template.render(messages, {true, options.date}), tokenizer)().ids;
}

std::optional<Prompt> encode_prompt(const Record& record, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                                    const EncodeOptions& options, std::string_view what) {
  if (record.kind == Record::Kind::text) return std::nullopt;
  if (record.kind == Record::Kind::completion) {
    Prompt prompt{begin_token(tokenizer), record.completion};
    const std::vector<std::int32_t> ids = tokenizer.encode(record.prompt);
    prompt.tokens.insert(prompt.tokens.end(), ids.begin(), ids.end());
    return prompt;
  }
  if (record.messages.empty() || record.messages.back().role != "assistant") return std::nullopt;
  const std::span<const Message> before = std::span(record.messages).first(record.messages.size() - 1);
  const RenderedChat chat = render_for(before, need_template(chat_template, what), {true, options.date}, what);
  return Prompt{ChatEncoder(chat, tokenizer)().ids, record.messages.back().content};
}

}  // namespace ftlib
