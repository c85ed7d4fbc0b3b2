// SPDX-License-Identifier: Apache-2.0
// A tokenizer from one container to the other: GGUF metadata and the files of a Hugging Face folder.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ftlib/io/gguf.h"

namespace ftlib::inline FTLIB_ABI {

/// Writes tokenizer.json and tokenizer_config.json (special tokens, chat template) into an existing folder;
/// transformers loads them, and Tokenizer::from_huggingface() gives the digest of Tokenizer::from_gguf(file). Throws as
/// those do.
void write_huggingface_tokenizer(const GgufFile& file, const std::string& folder);

/// The `tokenizer.*` fields for a folder's tokenizer, filled up with unused tokens to the model's `rows` of embeddings.
/// A normaliser is dropped, since GGUF has no field for one. Throws as Tokenizer::from_huggingface(), and
/// Error{unsupported} where its pre-tokenizer or a token's flags have no name in GGUF.
std::vector<GgufField> gguf_tokenizer_fields(const std::string& folder, std::int64_t rows);

/// Copies the tokenizer's files that are there; none is fine.
void copy_huggingface_tokenizer(const std::string& from, const std::string& to);

}  // namespace ftlib
