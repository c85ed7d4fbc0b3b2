// SPDX-License-Identifier: Apache-2.0
// Hashes, each with its job: SHA-256 names a thing (base, data, adapter), XXH3-128 finds accidental damage of files,
// CRC-32C that of single lines.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI {

/// Incremental SHA-256 (FIPS 180-4) by OpenSSL's libcrypto. Move-only.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void update(const void* data, std::size_t bytes);
  std::string hex();  ///< 64 lower-case digits; ends the computation

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::string_view data);

/// The digest of a regular file, read in pieces. Throws Error{io_error|not_found}.
std::string sha256_file(const std::string& path);

/// XXH3 128-bit, 32 lower-case hex digits (canonical, big-endian).
std::string xxh3_hex(const void* data, std::size_t bytes);

/// CRC-32C (Castagnoli), as in RFC 3720, appendix B.4: of "123456789" it is 0xe3069283.
std::uint32_t crc32c(const void* data, std::size_t bytes) noexcept;

}  // namespace ftlib
