// SPDX-License-Identifier: Apache-2.0
// What a Tokenizer is made of, and how the loaders hand it over.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tokenizer_added.h"
#include "data/tokenizer_bpe.h"
#include "data/tokenizer_normalize.h"
#include "data/tokenizer_pretokenize.h"
#include "ftlib/data/tokenizer.h"

namespace ftlib::inline FTLIB_ABI {
namespace tokenizer {

/// Everything one call of encode writes to; kept from call to call for its word cache.
struct Scratch {
  MatchScratch match;
  Merger merger;
  WordCache cache;
  Nfc nfc;
  std::string prefixed;
};

/// Scratches lent to one call each.
class ScratchPool {
 public:
  std::unique_ptr<Scratch> take();
  void give_back(std::unique_ptr<Scratch> scratch) noexcept;

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

/// A tokenizer as a file spells it out. Texts are the file's own: byte-level letters for what merging reaches, plain text
/// for added tokens. Views must live until make_tokenizer returns.
struct Parts {
  std::string source;       ///< begins every error
  std::string tokens_path;  ///< where the file keeps tokens and merges: "model.vocab", "tokenizer.ggml.tokens"
  std::string merges_path;
  std::vector<std::string_view> tokens;                           ///< [V] by id
  std::vector<std::pair<std::int32_t, AddedFlags>> added;         ///< ids into tokens
  std::vector<std::pair<std::string_view, std::string_view>> merges;  ///< by rank
  std::size_t mergeable_tokens = 0;  ///< ids below it belong to the BPE model
  PreTokenizer pre_tokenizer;
  bool nfc = false, add_prefix_space = false, ignore_merges = false;
  std::optional<std::int32_t> bos, eos, pad, unk;  ///< in range
  std::optional<std::int32_t> byte_unk;            ///< what a byte without a token gives
  bool adds_bos = false;
  std::optional<std::string> chat_template;
};

/// Checks the parts against each other. Throws Error{invalid_file}.
Tokenizer make_tokenizer(Parts parts);

/// The bytes behind byte-level letters (GPT-2's mapping of bytes to printable characters); false if one is none.
bool bytes_of_letters(std::string_view letters, std::string& bytes);

}  // namespace tokenizer

struct Tokenizer::Impl {
  tokenizer::Vocabulary vocabulary;
  tokenizer::Merges merges;
  tokenizer::PreTokenizer pre_tokenizer;
  tokenizer::AddedTokens before_normalising, after_normalising;
  std::array<std::int32_t, 256> byte_ids;
  std::vector<bool> special;
  bool nfc = false, add_prefix_space = false, ignore_merges = false, adds_bos = false;
  std::optional<std::int32_t> bos, eos, pad, unk;
  std::vector<std::pair<std::string, std::int32_t>> added;  // by content, for token_id
  std::optional<std::string> chat_template;
  std::string missing_bytes, digest;
  mutable tokenizer::ScratchPool scratches;
};

}  // namespace ftlib
