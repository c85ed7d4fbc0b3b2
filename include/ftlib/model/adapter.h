// SPDX-License-Identifier: Apache-2.0
// Adapters as files: PEFT's folder and llama.cpp's GGUF, in and out. Both hold the same numbers; what GGUF cannot say
// (a scale of its own per module) is folded into B on the way out.
#pragma once
#include <string>

#include "ftlib/model/lora.h"
#include "ftlib/model/weights.h"

namespace ftlib::inline FTLIB_ABI {

/// Where an adapter comes from, as its file states it. Other tools' files state nothing of it but the name.
struct AdapterOrigin {
  std::string base_digest;  ///< ModelFiles::digest() of the base it was trained on; empty: not stated
  BaseFormat base_format;   ///< what the base's linears were in memory: the codes it was trained on
  std::string base_model_name_or_path;  ///< PEFT's field; shown, never opened nor fetched
};

struct AdapterFile {
  LoraAdapter adapter;
  AdapterOrigin origin;
};

/// The adapter's identity, 64 hex digits: SHA-256 of "ftlib adapter 1\n" and then, module by module in the order of the
/// computation, of the line "NAME R OUT IN SCALE\n" (SCALE the shortest decimal of the f32) and of A's and B's f32
/// values, little-endian, row-major. Dropout, initialisation and how modules were named do not count.
std::string adapter_digest(const LoraAdapter& adapter);

/// Reads `path`: a PEFT folder (adapter_config.json, adapter_model.safetensors) or a GGUF LoRA file.
///
/// The file's tensors decide which modules are adapted; the configuration must select the same ones. Tensors may be
/// F32, F16 or BF16. A stated digest must be that of what was read. Throws Error{not_found}; Error{invalid_file} with
/// path and field or tensor and the reason SCHEMA, RANGE, DTYPE, MISMATCH (wrong base, A without B, ranks that differ,
/// files that do not belong together), VERSION, or UNSUPPORTED for a field of PEFT that changes the computation and is
/// not supported, by its name; Error{non_finite} for NaN or infinity in the weights.
AdapterFile load_adapter(const std::string& path, const ModelConfig& model);

/// Writes adapter_config.json and adapter_model.safetensors (f32) as PEFT 0.20 writes them, creating `folder`; each
/// file atomically, the weights first. What rank_pattern and alpha_pattern mean does not change by PEFT's sorting of
/// keys: where it would, and where a pattern uses syntax that Python may read differently, every module gets a key of
/// its own.
void save_peft_adapter(const std::string& folder, const LoraAdapter& adapter, const AdapterOrigin& origin);

/// Writes the adapter for llama.cpp, f32, atomically: one alpha, so that alpha / r is the scale; rows of B of q and k
/// in GGUF's order. The file also holds the base's `llama.*` fields, so that load_gguf_adapter() needs no model.
void save_gguf_adapter(const std::string& path, const LoraAdapter& adapter, const AdapterOrigin& origin,
                       const ModelConfig& model);

/// A GGUF adapter by itself: the base's shape from the file's own `llama.*` fields. Throws as load_adapter(), and
/// Error{invalid_file, SCHEMA} where the file has none (other tools write none): then name the model.
AdapterFile load_gguf_adapter(const std::string& path);

/// Throws Error{mismatch} unless the adapter was trained on this very base in a form with the same values (native and
/// f32 have them); an adapter that does not state its base passes. An adapter may be of use on other bases, but only
/// this one gives what its training saw.
void check_base(const AdapterOrigin& origin, const ModelFiles& files, const BaseFormat& base);
/// The same where the files are gone; `name` and `digest` are those that they had.
void check_base(const AdapterOrigin& origin, const std::string& name, const std::string& digest, const BaseFormat& base);

}  // namespace ftlib
