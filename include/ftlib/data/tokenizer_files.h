// SPDX-License-Identifier: Apache-2.0
// A GGUF's tokenizer as the files of a Hugging Face folder, and the reverse.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ftlib/io/gguf.h"

namespace ftlib::inline FTLIB_ABI {

struct TokenizerFiles {
  std::string tokenizer;         ///< tokenizer.json: the ids are those of Tokenizer::from_gguf, save what it documents
  std::string tokenizer_config;  ///< tokenizer_config.json: begin, end, unknown and padding token, chat template
};

/// Throws as Tokenizer::from_gguf. GGUF does not say whether text is normalised to NFC: like llama.cpp, it is not.
TokenizerFiles tokenizer_files_from_gguf(const GgufFile& file);

/// The `tokenizer.*` fields for a folder's tokenizer, filled up with unused tokens to the model's `rows` of embeddings.
/// A normaliser is dropped, since GGUF has no field for one. Throws as Tokenizer::from_huggingface, and
/// Error{unsupported} where its pre-tokenizer or a token's flags have no name in GGUF.
std::vector<GgufField> gguf_tokenizer_fields(const std::string& folder, std::int64_t rows);

}  // namespace ftlib
