// SPDX-License-Identifier: Apache-2.0
// Vocabulary, merges and the merging of one word.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ftlib/core/error.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {

/// The bytes of every token, and the way back from bytes to the token that merging can reach.
class Vocabulary {
 public:
  void reserve(std::size_t tokens, std::size_t bytes);
  /// The next id; `mergeable` tokens are found by `find` and have bytes that no other mergeable token has.
  void add(std::string_view bytes, bool mergeable);

  std::int32_t size() const noexcept { return static_cast<std::int32_t>(ends_.size()); }
  std::string_view bytes(std::int32_t id) const noexcept;
  std::int32_t find(std::string_view bytes) const noexcept;  ///< -1 when there is none

 private:
  void insert(std::int32_t id);
  std::size_t slot(std::string_view bytes) const noexcept;

  std::string text_;
  std::vector<std::size_t> ends_;
  std::vector<std::int32_t> slots_;  // open addressing by hash, -1 is free
};

/// Pairs of tokens that join, in the order of their ranks.
class Merges {
 public:
  struct Merge {
    std::uint32_t rank;
    std::int32_t result;
  };
  static constexpr std::uint32_t kNever = UINT32_MAX;

  void reserve(std::size_t count);
  /// The next rank; false when the pair is there already.
  bool add(std::int32_t left, std::int32_t right, std::int32_t result);
  Merge find(std::int32_t left, std::int32_t right) const noexcept;  ///< rank kNever when the pair does not join
  std::uint32_t size() const noexcept { return count_; }

 private:
  struct Slot {
    std::uint64_t pair = kFree;
    Merge merge{kNever, 0};
  };
  static constexpr std::uint64_t kFree = UINT64_MAX;
  std::size_t slot(std::uint64_t pair) const noexcept;

  std::vector<Slot> slots_;
  std::uint32_t count_ = 0;
};

/// One word being merged: a list of symbols threaded through an array, and a heap of the pairs that may join.
class Merger {
 public:
  struct Symbol {
    std::int32_t id;
    std::uint32_t begin, end;       // bytes of the word
    std::uint32_t previous, next;   // positions in the array
    Merges::Merge with_next;
  };
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// Merges `word`; `byte_ids` [256] gives each byte's token, -1 for none. O(n log n), at most 2^32 - 2 bytes.
  void run(std::string_view word, const std::int32_t* byte_ids, const Merges& merges);

  /// Calls `emit(symbol)` for each token of the word, in order.
  template <class Emit>
  void each(const Emit& emit) const {
    for (std::uint32_t at = symbols_.empty() ? kNone : 0; at != kNone; at = symbols_[at].next) emit(symbols_[at]);
  }

  void release_large();  ///< gives back what one very long word has claimed

 private:
  void offer(std::uint32_t at, const Merges& merges);
  void join(std::uint32_t at, const Merges& merges);

  std::vector<Symbol> symbols_;
  std::vector<std::uint64_t> heap_;  // rank << 32 | position: the lowest rank first, then the leftmost
};

/// The ids of words seen before; of fixed size, a newer word takes the place of an older one.
class WordCache {
 public:
  static constexpr std::size_t kLongestWord = 30, kMostIds = 8;

  WordCache();
  std::span<const std::int32_t> find(std::string_view word) const noexcept;  ///< empty when unknown
  void put(std::string_view word, std::span<const std::int32_t> ids) noexcept;

 private:
  struct alignas(64) Entry {
    std::int32_t ids[kMostIds];
    std::uint8_t length, count;
    char word[kLongestWord];
  };
  static constexpr std::size_t kEntries = std::size_t{1} << 15;
  static std::size_t slot(std::string_view word) noexcept;

  std::vector<Entry> entries_;
};

}  // namespace ftlib
