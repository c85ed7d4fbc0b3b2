// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_bpe.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

std::uint64_t hash(std::string_view bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

std::uint64_t hash(std::uint64_t pair) noexcept {
  pair *= 0x9e3779b97f4a7c15;  // Fibonacci hashing; the high bits are the good ones
  return pair ^ pair >> 32;
}

}  // namespace

void Vocabulary::reserve(std::size_t tokens, std::size_t bytes) {
  text_.reserve(bytes);
  ends_.reserve(tokens);
  slots_.assign(std::bit_ceil(2 * tokens + 2), -1);
}

void Vocabulary::add(std::string_view bytes, bool mergeable) {
  text_.append(bytes);
  ends_.push_back(text_.size());
  if (mergeable) insert(size() - 1);
}

std::string_view Vocabulary::bytes(std::int32_t id) const noexcept {
  const auto at = static_cast<std::size_t>(id);
  const std::size_t begin = at == 0 ? 0 : ends_[at - 1];
  return std::string_view(text_).substr(begin, ends_[at] - begin);
}

std::size_t Vocabulary::slot(std::string_view wanted) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash(wanted) & mask;
  while (slots_[at] >= 0 && bytes(slots_[at]) != wanted) at = (at + 1) & mask;
  return at;
}

void Vocabulary::insert(std::int32_t id) { slots_[slot(bytes(id))] = id; }

std::int32_t Vocabulary::find(std::string_view wanted) const noexcept { return slots_[slot(wanted)]; }

void Merges::reserve(std::size_t count) { slots_.assign(std::bit_ceil(2 * count + 2), Slot{}); }

std::size_t Merges::slot(std::uint64_t pair) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash(pair) & mask;
  while (slots_[at].pair != pair && slots_[at].pair != kFree) at = (at + 1) & mask;
  return at;
}

bool Merges::add(std::int32_t left, std::int32_t right, std::int32_t result) {
  const std::uint64_t pair = std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  Slot& slot_of_pair = slots_[slot(pair)];
  if (slot_of_pair.pair == pair) return false;
  slot_of_pair = {pair, {count_++, result}};
  return true;
}

Merges::Merge Merges::find(std::int32_t left, std::int32_t right) const noexcept {
  const std::uint64_t pair = std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  return slots_[slot(pair)].merge;
}

void Merger::run(std::string_view word, const std::int32_t* byte_ids, const Merges& merges) {
  symbols_.clear();
  heap_.clear();
  for (std::uint32_t i = 0; i < word.size(); ++i) {
    const std::int32_t id = byte_ids[static_cast<unsigned char>(word[i])];
    const auto at = static_cast<std::uint32_t>(symbols_.size());
    if (id >= 0) symbols_.push_back({id, i, i + 1, at - 1, at + 1, {Merges::kNever, 0}});
  }
  if (symbols_.empty()) return;
  symbols_.back().next = kNone;
  for (std::uint32_t at = 0; at + 1 < symbols_.size(); ++at) offer(at, merges);
  while (!heap_.empty()) {
    std::ranges::pop_heap(heap_, std::greater());
    const std::uint64_t best = heap_.back();
    heap_.pop_back();
    const auto at = static_cast<std::uint32_t>(best);
    if (symbols_[at].with_next.rank == best >> 32) join(at, merges);  // else the pair is gone by now
  }
}

/// Looks up the pair that begins at `at` and puts it on the heap if it may join.
void Merger::offer(std::uint32_t at, const Merges& merges) {
  Symbol& left = symbols_[at];
  left.with_next = {Merges::kNever, 0};
  if (left.next == kNone) return;
  left.with_next = merges.find(left.id, symbols_[left.next].id);
  if (left.with_next.rank == Merges::kNever) return;
  heap_.push_back(std::uint64_t{left.with_next.rank} << 32 | at);
  std::ranges::push_heap(heap_, std::greater());
}

void Merger::join(std::uint32_t at, const Merges& merges) {
  Symbol& left = symbols_[at];
  Symbol& right = symbols_[left.next];
  left.id = left.with_next.result;
  left.end = right.end;
  left.next = right.next;
  right.with_next = {Merges::kNever, 0};
  if (left.next != kNone) symbols_[left.next].previous = at;
  offer(at, merges);
  if (left.previous != kNone) offer(left.previous, merges);
}

void Merger::release_large() {
  constexpr std::size_t kKept = std::size_t{1} << 14;
  if (symbols_.capacity() > kKept) std::vector<Symbol>().swap(symbols_);
  if (heap_.capacity() > kKept) std::vector<std::uint64_t>().swap(heap_);
}

WordCache::WordCache() : entries_(kEntries) {}

std::size_t WordCache::slot(std::string_view word) noexcept { return hash(word) & (kEntries - 1); }

std::span<const std::int32_t> WordCache::find(std::string_view word) const noexcept {
  if (word.size() > kLongestWord) return {};
  const Entry& entry = entries_[slot(word)];
  if (entry.length != word.size() || std::memcmp(entry.word, word.data(), word.size()) != 0) return {};
  return {entry.ids, entry.count};
}

void WordCache::put(std::string_view word, std::span<const std::int32_t> ids) noexcept {
  if (word.size() > kLongestWord || ids.size() > kMostIds) return;
  Entry& entry = entries_[slot(word)];
  entry.length = static_cast<std::uint8_t>(word.size());
  entry.count = static_cast<std::uint8_t>(ids.size());
  std::ranges::copy(word, entry.word);
  std::ranges::copy(ids, entry.ids);
}

}  // namespace ftlib
