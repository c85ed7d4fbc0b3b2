// SPDX-License-Identifier: Apache-2.0
#include "ftlib/core/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace ftlib::inline FTLIB_ABI {
namespace {

std::string hex_digits(const unsigned char* bytes, std::size_t count) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += {kDigits[bytes[i] >> 4], kDigits[bytes[i] & 15]};
  return text;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* state = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(state); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  // Every libcrypto has SHA-256; what it may lack is the memory to look it up.
  FT_CHECK(context_->state && EVP_DigestInit_ex(context_->state, EVP_sha256(), nullptr) == 1, out_of_memory,
           "[sha256] libcrypto cannot begin SHA-256: out of memory");
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(const void* data, std::size_t bytes) { EVP_DigestUpdate(context_->state, data, bytes); }

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->state, digest, &length);
  return hex_digits(digest, length);
}

std::string sha256_hex(std::string_view data) {
  Sha256 hash;
  hash.update(data.data(), data.size());
  return hash.hex();
}

std::string sha256_file(const std::string& path) {
  struct Closer {
    int fd;
    ~Closer() { if (fd >= 0) ::close(fd); }
  } file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  FT_CHECK(file.fd >= 0, not_found, "[sha256] ", path, ": ", std::strerror(errno));
  struct stat info {};
  FT_CHECK(::fstat(file.fd, &info) == 0 && S_ISREG(info.st_mode), io_error, "[sha256] ", path, ": not a regular file");
  Sha256 hash;
  std::vector<char> piece(std::size_t{1} << 20);
  for (;;) {
    const ssize_t got = ::read(file.fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    FT_CHECK(got >= 0, io_error, "[sha256] ", path, ": ", std::strerror(errno));
    if (got == 0) return hash.hex();
    hash.update(piece.data(), static_cast<std::size_t>(got));
  }
}

std::uint32_t crc32c(const void* data, std::size_t bytes) noexcept {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t value = byte;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82F63B78u : 0u);
      table[byte] = value;
    }
    return table;
  }();
  const auto* next = static_cast<const unsigned char*>(data);
  std::uint32_t crc = ~0u;
  for (std::size_t i = 0; i < bytes; ++i) crc = (crc >> 8) ^ kTable[(crc ^ next[i]) & 255];
  return ~crc;
}

std::string xxh3_hex(const void* data, std::size_t bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
  return hex_digits(canonical.digest, sizeof canonical.digest);
}

}  // namespace ftlib
