// SPDX-License-Identifier: Apache-2.0
// What the two containers of adapters share.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ftlib/core/tensor.h"
#include "ftlib/model/adapter.h"

namespace ftlib::inline FTLIB_ABI {

inline constexpr std::string_view kFormatKey = "ftlib.format", kFormat = "1";
inline constexpr std::string_view kDigestKey = "ftlib.adapter_digest";
inline constexpr std::string_view kBaseDigestKey = "ftlib.base_digest", kBaseFormatKey = "ftlib.base_format";

/// What both containers state as text, in this order; empty values are left out.
std::vector<std::pair<std::string, std::string>> adapter_statements(const LoraAdapter& adapter,
                                                                    const AdapterOrigin& origin);
/// The reverse. `find` gives the value of a key or nothing; `what` begins errors.
AdapterOrigin read_statements(const std::function<std::optional<std::string>(std::string_view)>& find,
                              std::string_view what);

/// "native", "f32", "bf16", "nf4/64" or "nf4/64/double_quant".
std::string base_format_name(const BaseFormat& format);
BaseFormat base_format_by_name(std::string_view name, std::string_view what);

/// Runs `body`; what is wrong with an argument that came from a file becomes Error{invalid_file, UNSUPPORTED}.
template <class Body>
auto as_file_error(std::string_view what, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (error.status() == Status::invalid_file) throw;
    throw Error(Status::invalid_file, Reason::unsupported, concat(what, ": ", error.what()));
  }
}

/// all_linears() by name.
class LinearIndex {
 public:
  explicit LinearIndex(const std::vector<LoraModule>& linears);
  std::optional<std::size_t> find(std::string_view module) const;

 private:
  std::map<std::string_view, std::size_t> index_;
};

/// One tensor of an adapter's file.
struct LoraTensor {
  std::string name;                 ///< in the file
  std::size_t linear = 0;           ///< index into all_linears()
  bool is_a = false;
  std::vector<std::int64_t> shape;  ///< row-major
  std::function<void(float*)> read;  ///< [r, in] or [out, r], rows in Hugging Face's order
};

/// The modules that have tensors, in the order of the computation, r from the shapes. Throws Error{invalid_file,
/// MISMATCH} where A or B is missing, ranks differ or the base's shape does.
std::vector<LoraModule> paired_modules(std::string_view path, const std::vector<LoraModule>& linears,
                                       const std::vector<LoraTensor>& tensors);

/// Fills the adapter's allocated parameters. Throws Error{non_finite} naming tensor and index.
void read_parameters(std::string_view path, LoraAdapter& adapter, const std::vector<LoraModule>& linears,
                     const std::vector<LoraTensor>& tensors);

/// `count` values of a dense dtype at `data` to f32.
void values_to_f32(const void* data, DType dtype, std::int64_t count, float* out);

/// The shortest target_modules that select exactly these modules: names such as "q_proj" where every layer has them,
/// else whole names. Sorted.
std::vector<std::string> target_names(const std::vector<LoraModule>& modules, const std::vector<LoraModule>& linears);

AdapterFile load_peft_adapter(const std::string& folder, const ModelConfig& model);
AdapterFile load_gguf_adapter(const std::string& path, const ModelConfig& model);

}  // namespace ftlib
