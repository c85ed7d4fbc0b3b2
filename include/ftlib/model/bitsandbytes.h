// SPDX-License-Identifier: Apache-2.0
// 4-bit weights in the safetensors layout of bitsandbytes 0.50 (functional.py, QuantState), both ways. For a weight P:
//
//   P                                 U8 [(numel + 1) / 2, 1]   codes; or the same bytes as BF16, F16 or F32
//   P.absmax                          F32 [blocks], or U8 [blocks] when double quantised
//   P.quant_map                       F32 [16]                  the codebook
//   P.nested_absmax                   F32 [ceil(blocks / 256)]  double quantised only
//   P.nested_quant_map                F32 [256]                 double quantised only
//   P.quant_state.bitsandbytes__nf4   U8 [length]               JSON: type, block size, dtype, shape, nested offset
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/core/buffer.h"
#include "ftlib/core/weight.h"
#include "ftlib/io/safetensors.h"

namespace ftlib::inline FTLIB_ABI {

/// One 4-bit weight of a file: what its quant_state says and where its parts lie. Valid while the SafetensorsModel is.
struct BitsAndBytesWeight {
  std::string name;   ///< P
  WeightView layout;  ///< nf4: block size, shape, dtype, nested offset; no memory
  bool double_quant = false;
  SafetensorsModel::Tensor codes{}, absmax{}, nested_absmax{}, nested_quant_map{};  ///< the last two: double_quant only
};

/// All 4-bit weights of the model, sorted by name; every part is checked against quant_state, nothing else is read.
/// Throws Error{invalid_file} naming file, tensor and field: UNSUPPORTED (fp4, LLM.int8, another nested block size),
/// SCHEMA, DTYPE, SHAPE, RANGE, LIMIT, JSON, or MISMATCH (a part is missing, left over or of another size; a codebook
/// that is not NF4's).
std::vector<BitsAndBytesWeight> bitsandbytes_weights(const SafetensorsModel& model);

/// Whether a tensor's name is that of a part beside P: "P.absmax", "P.quant_state.bitsandbytes__nf4", ...
bool is_bitsandbytes_part(std::string_view tensor_name) noexcept;

/// Copies the codes, weight_data_bytes(nf4, numel), to `out`. Throws as SafetensorsFile::read.
void read_bitsandbytes_codes(const BitsAndBytesWeight& weight, void* out);

/// Reads absmax and, where double quantised, its scales and map into `statistics`; `view` becomes the layout with
/// pointers into it, keeping view.data. Throws as SafetensorsFile::read, and RANGE where a map holds NaN or infinity.
void read_bitsandbytes_statistics(const BitsAndBytesWeight& weight, WeightView& view, Buffer& statistics);

/// A 4-bit weight that owns its memory. Move-only.
struct Nf4Weight {
  Buffer codes, statistics;
  WeightView view;
};
Nf4Weight read_bitsandbytes(const BitsAndBytesWeight& weight);

/// Checks the `quantization_config` of a config.json, where it has one: bitsandbytes, 4 bits, nf4. What else it says is
/// for whoever quantises while loading; the files say it themselves. Throws Error{invalid_file, UNSUPPORTED | SCHEMA}.
/// Returns whether there is one.
bool check_bitsandbytes_config(const Json& config, std::string_view what);

/// The `quantization_config` that transformers reads: its own defaults, with these choices.
Json bitsandbytes_config(bool double_quant, DType compute_dtype);

/// The text of quant_state, as Python's json.dumps writes it.
std::string bitsandbytes_quant_state(const WeightView& weight);

/// The parts of one nf4 weight, ready for write_safetensors: codes, absmax, then quant_map, quant_state and, where
/// weight.nested_code is not null, nested_absmax and nested_quant_map. They point into the weight's memory.
std::vector<SafetensorsSource> bitsandbytes_sources(const std::string& name, const WeightView& weight);

}  // namespace ftlib::inline FTLIB_ABI
