// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE: text to token ids and back, read from a Hugging Face folder or from a GGUF file.
//
// Ids equal those of Hugging Face's `tokenizers` for the same file. What a file asks for and this class does not know is
// an error that names the field, at load. The way of a text:
//
//   1. added tokens    <|im_end|> and the like are cut out first, leftmost and longest; special ones only on request
//   2. normaliser      none or NFC (UAX #15), per piece between added tokens
//   3. pre-tokeniser   a chain of patterns that cut pieces into words; merges never cross a word
//   4. merges          within a word the pair of lowest rank, leftmost first, until none is left
//                      (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016, over bytes
//                      as in Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.2)
//
// Time is O(n log n) in the length of a word and O(n) in the length of the text, without recursion. Patterns that a file
// brings along, other than the well-known ones, run on a budget: 10 million steps and 256 more for each byte of a text.
//
// Any bytes may be encoded. Text that is not UTF-8 (RFC 3629: no surrogates, no overlong forms) is cut where it stops
// being valid: a maximal run of invalid bytes is one word, and the pre-tokeniser sees the valid runs around it as texts of
// their own. Without a normaliser `decode(encode(x)) == x` for every x, as long as the vocabulary has all 256 bytes; some do
// not (SmolLM2 lacks 21, most of them never valid). A byte without a token gives the unknown token where the file names
// one for it and nothing otherwise, as in the reference; `missing_bytes()` tells.
//
// Unicode properties are those of the PCRE2 in use, Unicode 14 on Debian 12: 9,405 letters and digits that Unicode 15 to 17
// added (all but 8 beyond U+FFFF) count as symbols where tokenizers 0.23 knows them; every older code point splits alike.
// NFC is utf8proc's, likewise Unicode 14: it orders 98 rare marks that the older tables of tokenizers 0.23 leave in place.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/core/error.h"
#include "ftlib/data/byte_span.h"

namespace ftlib::inline FTLIB_ABI {

class GgufFile;

/// ids    [n]  token ids
/// spans  [n]  the bytes each token stands for; they ascend and cover the text, except bytes that give no token. A token
///             that begins inside a character has its exact bytes; one that NFC changed has all bytes of the changed
///             sequence; a blank that the file's add_prefix_space puts before a piece has none.
struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<ByteSpan> spans;
};

/// Immutable after loading; copies share one vocabulary. All members are thread-safe, and none changes a later result.
class Tokenizer {
 public:
  /// Of a model as the command line names it: a .gguf file or a Hugging Face folder. Throws as the two below.
  static Tokenizer load(const std::string& model);

  /// Reads a folder's `tokenizer.json`; begin, end and unknown tokens come from `tokenizer_config.json`, else
  /// `special_tokens_map.json`; the chat template from `chat_template.jinja`, else from the config (of several, the one
  /// named "default"). Only `tokenizer.json` must exist. Throws Error{not_found | io_error | invalid_file} with path and
  /// JSON path.
  static Tokenizer from_huggingface(const std::string& folder);

  /// The same from the text of a `tokenizer.json` alone, which names no begin or end token; `source` begins every error.
  static Tokenizer from_tokenizer_json(std::string_view text, std::string_view source);

  /// Reads `tokenizer.ggml.*` of a GGUF file: model "gpt2" with a `pre` that `gguf_pre_tokenizers()` lists. GGUF has no
  /// field for a normaliser, so there is none, as in llama.cpp. Throws Error{invalid_file} with path and key.
  static Tokenizer from_gguf(const GgufFile& file);

  /// Token ids of `text`. Never adds a begin or end token. `special` = true cuts out all added tokens; false leaves the
  /// special (control) ones as plain text, so that data cannot forge a turn. Added tokens that are not special are part of
  /// the vocabulary and count in both. Up to 2^31 - 1 bytes. Throws Error{invalid_argument} on longer text and
  /// Error{unsupported, LIMIT} where a pattern of the file needs more steps than its budget.
  std::vector<std::int32_t> encode(std::string_view text, bool special = false) const;
  Encoding encode_with_spans(std::string_view text, bool special = false) const;

  /// The bytes of all tokens, joined; not always valid UTF-8, since a token may end inside a character.
  /// Throws Error{invalid_argument} for an id outside [0, vocab_size()).
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  /// The bytes of one token, for streaming: `decode` is their concatenation. Valid as long as this object or a copy lives.
  std::string_view token_bytes(std::int32_t id) const;

  std::int32_t vocab_size() const noexcept;  ///< ids run from 0 to vocab_size() - 1; models may have more rows
  std::optional<std::int32_t> token_id(std::string_view bytes) const;  ///< of a whole token; added tokens first
  bool is_special(std::int32_t id) const;  ///< a control token: its text never comes out of plain text

  std::optional<std::int32_t> bos_id() const noexcept;
  std::optional<std::int32_t> eos_id() const noexcept;
  std::optional<std::int32_t> pad_id() const noexcept;
  std::optional<std::int32_t> unk_id() const noexcept;
  bool adds_bos() const noexcept;              ///< the file asks for the begin token before a text; a bos_id() then exists
  std::string_view bos_token() const noexcept;  ///< text as chat templates print it; empty when there is none
  std::string_view eos_token() const noexcept;

  /// The chat template (Jinja) the file carries, as text; never run here.
  const std::optional<std::string>& chat_template() const noexcept;

  const std::string& missing_bytes() const noexcept;  ///< bytes without a token, ascending; mostly empty

  /// SHA-256 of everything that decides ids: vocabulary, flags of added tokens, merges, patterns, normaliser, begin and end
  /// token. Two files with equal digests encode every text equally.
  const std::string& digest() const noexcept;

  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// The values of `tokenizer.ggml.pre` that from_gguf reads, aliases included, for messages and `info --supported`.
std::span<const std::string_view> gguf_pre_tokenizers() noexcept;

}  // namespace ftlib
