// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/tokenizer.h"

#include <algorithm>

#include "data/tokenizer_impl.h"
#include "data/tokenizer_utf8.h"

namespace ftlib::inline FTLIB_ABI {
namespace tokenizer {

std::unique_ptr<Scratch> ScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Scratch> scratch = std::move(free_.back());
      free_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<Scratch>();
}

void ScratchPool::give_back(std::unique_ptr<Scratch> scratch) noexcept {
  scratch->merger.release_large();
  const std::lock_guard lock(mutex_);
  try {
    free_.push_back(std::move(scratch));
  } catch (...) {  // out of memory: the scratch is freed instead of kept
  }
}

namespace {

using Impl = Tokenizer::Impl;

class Lease {
 public:
  explicit Lease(ScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
  ~Lease() { pool_.give_back(std::move(scratch_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Scratch& operator*() { return *scratch_; }

 private:
  ScratchPool& pool_;
  std::unique_ptr<Scratch> scratch_;
};

/// One call of encode. Positions count from the start of the text at hand; put_span leads back to the caller's.
class Encoder {
 public:
  Encoder(const Impl& impl, Scratch& scratch, bool special, std::vector<std::int32_t>& ids, std::vector<ByteSpan>* spans)
      : impl_(impl), scratch_(scratch), special_(special), ids_(ids), spans_(spans) {}

  void run(std::string_view text) {
    scratch_.match.begin(text.size());
    impl_.before_normalising.split(
        text, special_, [&](std::size_t begin, std::size_t end) { piece(text.substr(begin, end - begin), begin); },
        [&](std::int32_t id, std::size_t begin, std::size_t end) { put(id, begin, end); });
  }

 private:
  void piece(std::string_view text, std::size_t at) {
    piece_ = static_cast<std::int64_t>(at);
    if (impl_.nfc) text = scratch_.nfc.apply(text);
    impl_.after_normalising.split(
        text, special_, [&](std::size_t begin, std::size_t end) { plain(text.substr(begin, end - begin), begin); },
        [&](std::int32_t id, std::size_t begin, std::size_t end) { put_normalised(id, begin, end); });
  }

  /// Text without added tokens: the blank before it, then valid and invalid runs in turn.
  void plain(std::string_view text, std::size_t at) {
    shift_ = static_cast<std::int64_t>(at);
    blank_ = impl_.add_prefix_space && text.front() != ' ';
    if (blank_) text = scratch_.prefixed.assign(" ").append(text);
    for (std::size_t done = 0; done < text.size();) {
      const std::size_t valid = valid_prefix(text.substr(done));
      const auto emit = [&](std::size_t begin, std::size_t end) { word(text.substr(done + begin, end - begin), done + begin); };
      if (valid > 0) impl_.pre_tokenizer.run(text.substr(done, valid), scratch_.match, emit);
      done += valid;
      const std::size_t invalid = invalid_prefix(text.substr(done));
      if (invalid > 0) word(text.substr(done, invalid), done);
      done += invalid;
    }
  }

  void word(std::string_view text, std::size_t at) {
    const std::size_t first = ids_.size();
    const auto known = scratch_.cache.find(text);
    if (!known.empty()) ids_.insert(ids_.end(), known.begin(), known.end());
    else new_word(text, first);
    if (spans_ != nullptr) put_spans(text, at, first);
  }

  void new_word(std::string_view text, std::size_t first) {
    const std::int32_t whole = impl_.ignore_merges ? impl_.vocabulary.find(text) : -1;
    if (whole >= 0) {
      ids_.push_back(whole);
    } else {
      scratch_.merger.run(text, impl_.byte_ids.data(), impl_.merges);
      scratch_.merger.each([&](const Merger::Symbol& symbol) { ids_.push_back(symbol.id); });
    }
    scratch_.cache.put(text, std::span(ids_).subspan(first));
  }

  /// A token's bytes are its part of the word, unless bytes without a token stand in between.
  void put_spans(std::string_view text, std::size_t at, std::size_t first) {
    std::size_t total = 0;
    for (std::size_t i = first; i < ids_.size(); ++i) total += impl_.vocabulary.bytes(ids_[i]).size();
    if (total != text.size()) {
      scratch_.merger.run(text, impl_.byte_ids.data(), impl_.merges);
      scratch_.merger.each([&](const Merger::Symbol& symbol) { put_span(at + symbol.begin, at + symbol.end); });
      return;
    }
    for (std::size_t i = first, begin = at; i < ids_.size(); ++i) {
      const std::size_t end = begin + impl_.vocabulary.bytes(ids_[i]).size();
      put_span(begin, end);
      begin = end;
    }
  }

  /// From the text that plain() cut up to the caller's.
  void put_span(std::size_t begin, std::size_t end) {
    const std::int64_t blank = blank_ ? 1 : 0;
    ByteSpan span{shift_ + std::max<std::int64_t>(static_cast<std::int64_t>(begin) - blank, 0),
                  shift_ + static_cast<std::int64_t>(end) - blank};
    if (impl_.nfc) {
      if (span.begin == span.end) span.end = span.begin = scratch_.nfc.source({span.begin, span.begin + 1}).begin;
      else span = scratch_.nfc.source(span);
    }
    spans_->push_back({piece_ + span.begin, piece_ + span.end});
  }

  void put_normalised(std::int32_t id, std::size_t begin, std::size_t end) {
    ids_.push_back(id);
    if (spans_ == nullptr) return;
    shift_ = 0;
    blank_ = false;
    put_span(begin, end);
  }

  void put(std::int32_t id, std::size_t begin, std::size_t end) {
    ids_.push_back(id);
    if (spans_ != nullptr) spans_->push_back({static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)});
  }

  const Impl& impl_;
  Scratch& scratch_;
  bool special_;
  std::vector<std::int32_t>& ids_;
  std::vector<ByteSpan>* spans_;
  std::int64_t piece_ = 0, shift_ = 0;
  bool blank_ = false;
};

void encode_to(const Impl& impl, std::string_view text, bool special, std::vector<std::int32_t>& ids,
               std::vector<ByteSpan>* spans) {
  constexpr std::size_t kMostBytes = INT32_MAX;
  FT_CHECK(text.size() <= kMostBytes, invalid_argument, "[encode] text of ", text.size(), " bytes, want at most ",
           kMostBytes, "; split it at a line");
  Lease lease(impl.scratches);
  Encoder(impl, *lease, special, ids, spans).run(text);
}

std::size_t checked(const Impl& impl, std::int32_t id, std::string_view what) {
  FT_CHECK(id >= 0 && id < impl.vocabulary.size(), invalid_argument, "[", what, "] token id ", id, ", want 0 to ",
           impl.vocabulary.size() - 1);
  return static_cast<std::size_t>(id);
}

}  // namespace
}  // namespace tokenizer

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool special) const {
  std::vector<std::int32_t> ids;
  tokenizer::encode_to(*impl_, text, special, ids, nullptr);
  return ids;
}

Encoding Tokenizer::encode_with_spans(std::string_view text, bool special) const {
  Encoding encoding;
  tokenizer::encode_to(*impl_, text, special, encoding.ids, &encoding.spans);
  return encoding;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string text;
  for (const std::int32_t id : ids)
    if (const std::size_t at = tokenizer::checked(*impl_, id, "decode"); !skip_special || !impl_->special[at])
      text += impl_->vocabulary.bytes(id);
  return text;
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const {
  tokenizer::checked(*impl_, id, "token_bytes");
  return impl_->vocabulary.bytes(id);
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view bytes) const {
  const auto& added = impl_->added;
  const auto found = std::ranges::lower_bound(added, bytes, {}, [](const auto& entry) { return std::string_view(entry.first); });
  if (found != added.end() && found->first == bytes) return found->second;
  const std::int32_t id = impl_->vocabulary.find(bytes);
  return id < 0 ? std::nullopt : std::optional(id);
}

bool Tokenizer::is_special(std::int32_t id) const { return impl_->special[tokenizer::checked(*impl_, id, "is_special")]; }

std::int32_t Tokenizer::vocab_size() const noexcept { return impl_->vocabulary.size(); }
std::optional<std::int32_t> Tokenizer::bos_id() const noexcept { return impl_->bos; }
std::optional<std::int32_t> Tokenizer::eos_id() const noexcept { return impl_->eos; }
std::optional<std::int32_t> Tokenizer::pad_id() const noexcept { return impl_->pad; }
std::optional<std::int32_t> Tokenizer::unk_id() const noexcept { return impl_->unk; }
bool Tokenizer::adds_bos() const noexcept { return impl_->adds_bos; }
std::string_view Tokenizer::bos_token() const noexcept {
  return impl_->bos ? impl_->vocabulary.bytes(*impl_->bos) : std::string_view();
}
std::string_view Tokenizer::eos_token() const noexcept {
  return impl_->eos ? impl_->vocabulary.bytes(*impl_->eos) : std::string_view();
}
const std::optional<std::string>& Tokenizer::chat_template() const noexcept { return impl_->chat_template; }
const std::string& Tokenizer::missing_bytes() const noexcept { return impl_->missing_bytes; }
const std::string& Tokenizer::digest() const noexcept { return impl_->digest; }

}  // namespace ftlib
