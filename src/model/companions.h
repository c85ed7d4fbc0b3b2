// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "ftlib/io/json.h"
#include "ftlib/model/weights.h"

namespace ftlib::inline FTLIB_ABI {

/// What stands beside a model's weights in a Hugging Face folder: writes the tokenizer's files into `out`, converted
/// from a GGUF or copied, and returns config.json for the caller to complete and write last.
Json write_companions(const ModelFiles& files, const std::string& out);

}  // namespace ftlib
