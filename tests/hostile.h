// SPDX-License-Identifier: Apache-2.0
// What every refusal of a hostile file owes: a named class, a message with the place and nothing unprintable, little
// memory, no descriptor left, no temporary left.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "allocations.h"
#include "ftlib/core/error.h"

inline std::ptrdiff_t open_files() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); }

/// Removed first: ext4 brings a file that is cut to nothing and written again to the disk at once.
inline void write_raw(const std::string& path, std::string_view bytes) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

struct HostileCase {
  std::string name;                    ///< number in the catalogue and what it is
  std::string bytes;                   ///< the file
  std::vector<ftlib::Reason> reasons;  ///< empty: it loads
  std::string hint{};                  ///< stands in the message
};

/// `load` must throw one of `reasons`; `header`: bytes of the file that a parser may have to hold.
template <class Load>
void check_refused(const std::string& path, const HostileCase& c, std::int64_t header, Load&& load) {
  using namespace ftlib;
  CAPTURE(c.name);
  const std::ptrdiff_t before = open_files();
  allocations::reset_peak();
  try {
    load();
    CHECK_MESSAGE(c.reasons.empty(), "it was accepted");
  } catch (const Error& error) {
    const std::string_view message = error.what();
    CAPTURE(message);
    CHECK_MESSAGE(std::ranges::count(c.reasons, error.reason()) == 1, "reason is ",
                  std::string(reason_name(error.reason())));
    CHECK(message.find(path) != message.npos);
    CHECK(message.find(c.hint) != message.npos);
    CHECK(std::ranges::all_of(message, [](char letter) { return letter >= 0x20 && letter < 0x7f; }));
    CHECK(message.size() < path.size() * 2 + 400);
  }
  CHECK(open_files() == before);
  if (FTLIB_COUNT_ALLOCATIONS) CHECK(allocations::peak_bytes() <= (16 << 20) + 4 * header);
}

/// Fails each allocation of `work` in turn: bad_alloc comes out, and no descriptor stays open.
template <class Work>
void check_out_of_memory(Work&& work) {
  const std::ptrdiff_t before = open_files();
  bool failed = FTLIB_COUNT_ALLOCATIONS;
  for (std::int64_t k = 0; failed; ++k) {
    allocations::fail_at(k);
    bool thrown = false;
    try {
      work();
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    failed = allocations::failed();
    allocations::fail_at(-1);
    if (thrown != failed) FAIL("allocation ", k, " failed and nobody said so");
  }
  CHECK(open_files() == before);
}

/// Every prefix and every single-bit flip of the first `header` bytes: `load` returns or throws an Error.
template <class Load>
void check_every_prefix_and_flip(const std::string& path, const std::string& good, std::size_t header, Load&& load) {
  const auto attempt = [&](const std::string& bytes) {
    write_raw(path, bytes);
    try {
      load();
      return true;
    } catch (const ftlib::Error&) {
      return false;
    }
  };
  const std::ptrdiff_t before = open_files();
  REQUIRE(attempt(good));
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) CHECK_FALSE(attempt(good.substr(0, bytes)));
  for (std::size_t bit = 0; bit < header * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    attempt(bad);
  }
  CHECK(attempt(good));
  CHECK(open_files() == before);
}
