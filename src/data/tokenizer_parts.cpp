// SPDX-License-Identifier: Apache-2.0
// From a file's spelling to a tokenizer: letters to bytes, merges to ids, and the checks that need the whole.
#include <algorithm>
#include <unordered_map>

#include "data/tokenizer_impl.h"
#include "data/tokenizer_utf8.h"
#include "ftlib/core/digest.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

constexpr std::size_t kMostTokens = std::size_t{1} << 22, kMostMerges = std::size_t{1} << 22;

/// GPT-2 writes bytes that print as themselves and the other 68, in order, as the letters from U+0100.
constexpr bool prints(int byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173); }

constexpr auto kByteOfLetter = [] {
  std::array<std::int16_t, 0x144> bytes{};
  bytes.fill(-1);
  for (int byte = 0, next = 0x100; byte < 256; ++byte)
    bytes[static_cast<std::size_t>(prints(byte) ? byte : next++)] = static_cast<std::int16_t>(byte);
  return bytes;
}();

using IdsByText = std::unordered_map<std::string_view, std::int32_t>;

class Builder {
 public:
  explicit Builder(Parts parts) : parts_(std::move(parts)), impl_(std::make_shared<Tokenizer::Impl>()) {}

  Tokenizer run() {
    check_sizes();
    index_tokens();
    add_tokens();
    add_merges();
    add_added_tokens();
    find_byte_tokens();
    move_settings();
    impl_->digest = digest();
    return Tokenizer(impl_);
  }

 private:
  template <class... More>
  std::string where(const More&... more) const {
    return concat(parts_.source, ": ", more...);
  }

  void check_sizes() const {
    FT_CHECK_FILE(!parts_.tokens.empty(), mismatch, where(parts_.tokens_path, " is empty"));
    FT_CHECK_FILE(parts_.tokens.size() <= kMostTokens, limit, where(parts_.tokens_path, ": ", parts_.tokens.size()),
                  " tokens, the limit is ", kMostTokens);
    FT_CHECK_FILE(parts_.merges.size() <= kMostMerges, limit, where(parts_.merges_path, ": ", parts_.merges.size()),
                  " merges, the limit is ", kMostMerges);
  }

  void index_tokens() {
    ids_.reserve(parts_.tokens.size());
    for (std::size_t id = 0; id < parts_.tokens.size(); ++id) {
      const std::string_view text = parts_.tokens[id];
      const auto [entry, fresh] = ids_.emplace(text, static_cast<std::int32_t>(id));
      FT_CHECK_FILE(fresh, dup, where(parts_.tokens_path, ": \"", excerpt(text), "\" is token ", entry->second),
                    " and token ", id);
    }
  }

  void add_tokens() {
    std::vector<bool> added(parts_.tokens.size());
    for (const auto& [id, flags] : parts_.added) added[static_cast<std::size_t>(id)] = true;
    std::size_t total = 0;
    for (const std::string_view text : parts_.tokens) total += text.size();
    impl_->vocabulary.reserve(parts_.tokens.size(), total);
    std::string bytes;
    for (std::size_t id = 0; id < parts_.tokens.size(); ++id) {
      const bool letters = bytes_of_letters(parts_.tokens[id], bytes);
      const bool literal = added[id] || !letters;  // added tokens stand for their own text, whatever its letters
      const std::string_view stands_for = literal ? parts_.tokens[id] : bytes;
      const bool one_meaning = letters && bytes == stands_for && !bytes.empty();
      if (letters && !one_meaning && id < parts_.mergeable_tokens) check_shadowed(id, bytes);
      impl_->vocabulary.add(stands_for, one_meaning && id < parts_.mergeable_tokens);
    }
  }

  /// An added token may be spelled like a byte's letter, as some files do for bytes that never occur in UTF-8.
  void check_shadowed(std::size_t id, std::string_view bytes) const {
    const auto byte = bytes.empty() ? 0xff : static_cast<unsigned char>(bytes.front());
    const bool in_utf8 = byte < 0xf5 && byte != 0xc0 && byte != 0xc1;
    FT_CHECK_FILE(bytes.size() > 1 || !in_utf8, unsupported, where(parts_.tokens_path, ": added token ", id, " \""),
                  excerpt(parts_.tokens[id]), "\" is also the token of byte ", static_cast<int>(byte));
  }

  void add_merges() {
    impl_->merges.reserve(parts_.merges.size());
    std::string joined;
    for (std::size_t rank = 0; rank < parts_.merges.size(); ++rank) {
      const auto& [left, right] = parts_.merges[rank];
      joined.assign(left).append(right);
      const std::int32_t ids[] = {mergeable(left, rank), mergeable(right, rank), mergeable(joined, rank)};
      FT_CHECK_FILE(impl_->merges.add(ids[0], ids[1], ids[2]), dup, where(parts_.merges_path, "[", rank, "]: \""),
                    excerpt(left), " ", excerpt(right), "\" appears twice");
    }
  }

  std::int32_t mergeable(std::string_view text, std::size_t rank) const {
    const auto found = ids_.find(text);
    const bool good = found != ids_.end() && static_cast<std::size_t>(found->second) < parts_.mergeable_tokens;
    FT_CHECK_FILE(good && !text.empty(), mismatch, where(parts_.merges_path, "[", rank, "]: \"", excerpt(text)),
                  "\" is no token of ", parts_.tokens_path);
    std::string bytes;
    const bool joins = bytes_of_letters(text, bytes) && impl_->vocabulary.bytes(found->second) == bytes;
    FT_CHECK_FILE(joins, mismatch, where(parts_.merges_path, "[", rank, "]: \"", excerpt(text)),
                  "\" is not spelled in byte-level letters, or is an added token's text");
    return found->second;
  }

  void add_added_tokens() {
    impl_->special.resize(parts_.tokens.size());
    Nfc nfc;
    for (const auto& [id, flags] : parts_.added) {
      const std::string content(parts_.tokens[static_cast<std::size_t>(id)]);
      impl_->special[static_cast<std::size_t>(id)] = flags.special;
      impl_->added.emplace_back(content, id);
      const bool after = flags.normalized && parts_.nfc;
      (flags.normalized ? impl_->after_normalising : impl_->before_normalising)
          .add(after ? std::string(nfc.apply(content)) : content, id, flags);
    }
    impl_->before_normalising.finish();
    impl_->after_normalising.finish();
    std::ranges::sort(impl_->added);
  }

  void find_byte_tokens() {
    for (int byte = 0; byte < 256; ++byte) {
      const char letter = static_cast<char>(byte);
      std::int32_t& id = impl_->byte_ids[static_cast<std::size_t>(byte)];
      id = impl_->vocabulary.find({&letter, 1});
      if (id < 0) impl_->missing_bytes += letter;
      if (id < 0) id = parts_.byte_unk.value_or(-1);
    }
    FT_CHECK_FILE(impl_->missing_bytes.size() < 256, mismatch, where(parts_.tokens_path),
                  ": no token stands for a single byte; supported are byte-level vocabularies");
  }

  void move_settings() {
    impl_->pre_tokenizer = std::move(parts_.pre_tokenizer);
    impl_->nfc = parts_.nfc;
    impl_->add_prefix_space = parts_.add_prefix_space;
    impl_->ignore_merges = parts_.ignore_merges;
    impl_->bos = parts_.bos;
    impl_->eos = parts_.eos;
    impl_->pad = parts_.pad;
    impl_->unk = parts_.unk;
    impl_->adds_bos = parts_.adds_bos;
    impl_->chat_template = std::move(parts_.chat_template);
  }

  /// Every field by length or in fixed width, so that no two tokenizers share a spelling.
  std::string digest() const {
    Sha256 hash;
    const auto number = [&](std::int64_t value) {
      char bytes[8];
      for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> 8 * i);
      hash.update(bytes, sizeof bytes);
    };
    const auto text = [&](std::string_view value) {
      number(static_cast<std::int64_t>(value.size()));
      hash.update(value.data(), value.size());
    };
    text("ftlib tokenizer 1");
    for (const bool flag : {impl_->nfc, impl_->add_prefix_space, impl_->ignore_merges, impl_->adds_bos})
      number(flag);
    for (const auto id : {impl_->bos, impl_->eos, parts_.byte_unk}) number(id.value_or(-1));
    number(static_cast<std::int64_t>(impl_->pre_tokenizer.patterns().size()));
    for (const Pattern& pattern : impl_->pre_tokenizer.patterns()) text(pattern.source());
    number(static_cast<std::int64_t>(parts_.mergeable_tokens));
    number(static_cast<std::int64_t>(parts_.tokens.size()));
    for (const std::string_view token : parts_.tokens) text(token);
    number(static_cast<std::int64_t>(parts_.added.size()));
    for (const auto& [id, flags] : parts_.added) {
      number(id);
      for (const bool flag : {flags.special, flags.lstrip, flags.rstrip, flags.normalized}) number(flag);
    }
    number(static_cast<std::int64_t>(parts_.merges.size()));
    for (const auto& [left, right] : parts_.merges) text(left), text(right);
    return hash.hex();
  }

  Parts parts_;
  std::shared_ptr<Tokenizer::Impl> impl_;
  IdsByText ids_;
};

}  // namespace

bool bytes_of_letters(std::string_view letters, std::string& bytes) {
  bytes.clear();
  char32_t code = 0;
  for (std::size_t length; !letters.empty(); letters.remove_prefix(length)) {
    length = decode_utf8(letters, code);
    if (length == 0 || code >= kByteOfLetter.size() || kByteOfLetter[code] < 0) return false;
    bytes += static_cast<char>(kByteOfLetter[code]);
  }
  return true;
}

Tokenizer make_tokenizer(Parts parts) { return Builder(std::move(parts)).run(); }

}  // namespace ftlib
