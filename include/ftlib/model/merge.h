// SPDX-License-Identifier: Apache-2.0
// An adapter made part of its base: a model of its own, for programs that take no adapters.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ftlib/model/adapter.h"

namespace ftlib::inline FTLIB_ABI {

/// Told before each tensor is written; bytes are those of the output.
struct MergeProgress {
  std::string_view tensor;
  std::int64_t done_bytes, total_bytes;
};
using MergeProgressFunction = std::function<void(const MergeProgress&)>;

/// Writes base + adapter to `out`: a GGUF file where the name ends in ".gguf", else a Hugging Face folder with
/// config.json, model.safetensors and the tokenizer. Both come from either container.
///
/// Each adapted weight is w + scale * (B A): w decoded exactly to f32 from the form that the adapter was trained on
/// (`adapter.origin.base_format`: merging into other codes would undo part of the training), the sum in f32, one
/// rounding to `format`. Matrices get `format`, vectors f32. Reads and writes one tensor at a time: needs memory for
/// about the largest tensor in both forms. The base's files do not change. The same inputs give the same bytes, for any
/// number of threads.
///
/// format   f32, bf16, f16 or, in GGUF, q8_0
/// Throws Error{mismatch} as check_base(), or where the adapter's modules are not the base's; Error{invalid_argument}
/// for another format, for an `out` that is the base or a folder with something in it; Error{non_finite} naming the
/// tensor where NaN or infinity is in the base or beyond the format's range; Error{unsupported} where the output's
/// container cannot say what the base's does; Error{io_error}. On any error nothing new is left at `out`; a GGUF file
/// that is already there is replaced as a whole once all is written.
void merge_adapter(const ModelFiles& base, const AdapterFile& adapter, const std::string& out, WeightFormat format,
                   const MergeProgressFunction& progress = {});

}  // namespace ftlib
