// SPDX-License-Identifier: Apache-2.0
#include "ftlib/model/adapter.h"

#include <filesystem>

#include "ftlib/core/digest.h"
#include "model/adapter_io.h"

namespace ftlib::inline FTLIB_ABI {

std::string adapter_digest(const LoraAdapter& adapter) {
  Sha256 hash;
  const auto add = [&](const std::string& text) { hash.update(text.data(), text.size()); };
  add("ftlib adapter 1\n");
  for (const LoraModule& module : adapter.modules) {
    add(concat(module.name, " ", module.r, " ", module.out, " ", module.in, " ", module.scale, "\n"));
    hash.update(module.a, static_cast<std::size_t>(module.r * module.in) * 4);
    hash.update(module.b, static_cast<std::size_t>(module.out * module.r) * 4);
  }
  return hash.hex();
}

AdapterFile load_adapter(const std::string& path, const ModelConfig& model) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  FT_CHECK(std::filesystem::exists(status), not_found, "[adapter] ", path,
           ": there is nothing; an adapter is a PEFT folder or a GGUF file");
  return std::filesystem::is_directory(status) ? load_peft_adapter(path, model) : load_gguf_adapter(path, model);
}

namespace {

/// f32 holds what every stored format decodes to.
bool same_codes(const BaseFormat& a, const BaseFormat& b) {
  const auto exact = [](const BaseFormat& format) {
    return format.kind == BaseFormat::Kind::native || format.kind == BaseFormat::Kind::f32;
  };
  return (exact(a) && exact(b)) || base_format_name(a) == base_format_name(b);
}

}  // namespace

void check_base(const AdapterOrigin& origin, const ModelFiles& files, const BaseFormat& base) {
  if (!origin.base_digest.empty()) check_base(origin, files.path(), files.digest(), base);
}

void check_base(const AdapterOrigin& origin, const std::string& name, const std::string& digest, const BaseFormat& base) {
  if (origin.base_digest.empty()) return;
  FT_CHECK(same_codes(origin.base_format, base), mismatch, "[adapter] trained on the base as ",
           base_format_name(origin.base_format), ", this is ", base_format_name(base), "; load the base in that form");
  FT_CHECK(digest == origin.base_digest, mismatch, "[adapter] trained on the base ", origin.base_digest.substr(0, 12),
           "..., ", name, " is ", digest.substr(0, 12), "...; it needs the base it was trained on");
}

}  // namespace ftlib
