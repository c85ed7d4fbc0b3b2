// SPDX-License-Identifier: Apache-2.0
// adapter_config.json, as PEFT 0.20 reads and writes it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/io/json.h"
#include "ftlib/model/lora.h"

namespace ftlib::inline FTLIB_ABI {

struct PeftConfig {
  LoraConfig lora;
  std::string base_model_name_or_path;
  std::vector<std::string> exclude_modules;  ///< names, as in target_modules
  std::string exclude_regex;                 ///< full match; used when not empty
  std::vector<std::int64_t> layers_to_transform;
  std::vector<std::string> layers_pattern;
};

/// Every key is used, known to be harmless, or refused by its name. `what` begins errors.
PeftConfig peft_config_from_json(const Json& json, std::string_view what);

/// The linears that the configuration selects: one flag each. Unlike select_targets(), names that select nothing are
/// fine, as they are for PEFT.
std::vector<char> select_modules(const PeftConfig& config, const std::vector<LoraModule>& linears,
                                 std::string_view what);

/// All fields of PEFT's LoraConfig. What it selects, and every rank and alpha, is what the adapter has.
Json peft_config_to_json(const LoraAdapter& adapter, const std::string& base_model_name_or_path);

}  // namespace ftlib
