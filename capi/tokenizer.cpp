// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/supervision.h"
#include "objects.h"

namespace ftlib::capi {
namespace {

std::optional<ChatTemplate> make_template(const Tokenizer& tokenizer, const char* text) {
  if (text == nullptr) return chat_template_of(tokenizer);
  return ChatTemplate(text, tokenizer.bos_token(), tokenizer.eos_token());
}

}  // namespace

Text::Text(Tokenizer tokens, const ft_tokenizer_options& options)
    : tokenizer(std::move(tokens)),
      chat_template(make_template(tokenizer, options.chat_template)),
      date(text_or_empty(options.date)) {}

const ChatTemplate& Text::need_template() const {
  FT_CHECK(chat_template.has_value(), unsupported,
           "the model has no chat template; give one as chat_template of the options");
  return *chat_template;
}

std::vector<Message> messages_of(const char* const* roles, const char* const* contents, std::size_t count) {
  const auto who = array(roles, count, "roles");
  const auto what = array(contents, count, "contents");
  FT_CHECK(count > 0, invalid_argument, "there are no messages");
  std::vector<Message> messages;
  for (std::size_t i = 0; i < count; ++i)
    messages.push_back({need(who[i], concat("roles[", i, "]")), need(what[i], concat("contents[", i, "]"))});
  return messages;
}

}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_tokenizer_options_init(ft_tokenizer_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, ft_tokenizer_options{}); });
}

ft_status ft_tokenizer_open(const char* model, const ft_tokenizer_options* options, ft_tokenizer** out) {
  return create(out, [&] {
    const auto o = read_options(options, ft_tokenizer_options{});
    return std::make_shared<Text>(Tokenizer::load(need(model, "model")), o);
  });
}

ft_status ft_tokenizer_free(ft_tokenizer* tokenizer) { return destroy(tokenizer); }

ft_status ft_tokenizer_get_info(const ft_tokenizer* tokenizer, ft_tokenizer_info* info) {
  return guard([&] {
    const auto text = get(tokenizer);
    const Tokenizer& t = text->tokenizer;
    ft_tokenizer_info value{};
    value.vocab_size = t.vocab_size();
    value.bos_id = t.bos_id().value_or(-1), value.eos_id = t.eos_id().value_or(-1);
    value.pad_id = t.pad_id().value_or(-1);
    value.adds_bos = t.adds_bos();
    value.chat_template = text->chat_template ? text->chat_template->text().c_str() : nullptr;
    value.digest = t.digest().c_str();
    fill_struct(info, value, "info");
  });
}

ft_status ft_tokenizer_encode(const ft_tokenizer* tokenizer, const char* text, size_t text_bytes, uint32_t flags,
                              int32_t* tokens, size_t capacity, size_t* token_count) {
  return guard([&] {
    *need(token_count, "token_count") = 0;
    check_flags(flags, FT_ENCODE_SPECIAL);
    const auto bytes = array(text, text_bytes, "text");
    const auto ids = get(tokenizer)->tokenizer.encode({bytes.data(), bytes.size()}, (flags & FT_ENCODE_SPECIAL) != 0);
    copy_out(std::span<const std::int32_t>(ids), tokens, capacity, token_count);
  });
}

ft_status ft_tokenizer_decode(const ft_tokenizer* tokenizer, const int32_t* tokens, size_t token_count, uint32_t flags,
                              char* text, size_t capacity, size_t* text_bytes) {
  return guard([&] {
    *need(text_bytes, "text_bytes") = 0;
    check_flags(flags, FT_DECODE_SKIP_SPECIAL);
    const auto ids = array(tokens, token_count, "tokens");
    copy_out(get(tokenizer)->tokenizer.decode(ids, (flags & FT_DECODE_SKIP_SPECIAL) != 0), text, capacity, text_bytes);
  });
}

ft_status ft_tokenizer_render(const ft_tokenizer* tokenizer, const char* const* roles, const char* const* contents,
                              size_t message_count, uint32_t flags, char* text, size_t capacity, size_t* text_bytes) {
  return guard([&] {
    *need(text_bytes, "text_bytes") = 0;
    check_flags(flags, FT_CHAT_GENERATION_PROMPT);
    const auto with = get(tokenizer);
    const RenderOptions options{(flags & FT_CHAT_GENERATION_PROMPT) != 0, with->date};
    const auto chat = with->need_template().render(messages_of(roles, contents, message_count), options);
    copy_out(chat.text, text, capacity, text_bytes);
  });
}

ft_status ft_tokenizer_encode_messages(const ft_tokenizer* tokenizer, const char* const* roles,
                                       const char* const* contents, size_t message_count, uint32_t flags,
                                       int32_t* tokens, uint8_t* supervised, size_t capacity, size_t* token_count) {
  return guard([&] {
    *need(token_count, "token_count") = 0;
    check_flags(flags, FT_CHAT_GENERATION_PROMPT | FT_CHAT_SUPERVISE_LAST);
    const auto with = get(tokenizer);
    const auto messages = messages_of(roles, contents, message_count);
    const EncodeOptions options{(flags & FT_CHAT_SUPERVISE_LAST) ? Supervise::last : Supervise::all, with->date};
    AnnotatedChat chat;
    if (flags & FT_CHAT_GENERATION_PROMPT) {
      chat.encoding.ids = encode_messages(messages, with->tokenizer, with->need_template(), options);
      chat.supervised.resize(chat.encoding.ids.size());
    } else {
      chat = annotate_messages(messages, 0, with->tokenizer, with->need_template(), options, "messages");
    }
    copy_out(std::span<const std::int32_t>(chat.encoding.ids), tokens, capacity, token_count);
    if (tokens && supervised) std::copy(chat.supervised.begin(), chat.supervised.end(), supervised);
  });
}
