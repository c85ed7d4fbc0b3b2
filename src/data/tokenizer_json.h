// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "data/tokenizer_impl.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

/// The parts of a tokenizer.json; their texts are views into `json`.
Parts read_tokenizer_json(const Json& json, std::string_view source);

}  // namespace ftlib
