// SPDX-License-Identifier: Apache-2.0
// A GGUF's tokenizer as the files of a Hugging Face folder.
#pragma once
#include <string>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

class GgufFile;

struct TokenizerFiles {
  std::string tokenizer;         ///< tokenizer.json: the ids are those of Tokenizer::from_gguf, save what it documents
  std::string tokenizer_config;  ///< tokenizer_config.json: begin, end, unknown and padding token, chat template
};

/// Throws as Tokenizer::from_gguf. GGUF does not say whether text is normalised to NFC: like llama.cpp, it is not.
TokenizerFiles tokenizer_files_from_gguf(const GgufFile& file);

}  // namespace ftlib
