// SPDX-License-Identifier: Apache-2.0
// The strings of tests/golden/tokenizer.json, made from its recipe as tools/golden/tokenizer.py makes them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer_utf8.h"
#include "ftlib/core/digest.h"
#include "ftlib/data/tokenizer.h"
#include "golden.h"

/// Steele, Lea & Flood 2014.
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t bound) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return static_cast<std::size_t>((z ^ z >> 31) % bound);
  }

 private:
  std::uint64_t state_;
};

class GoldenStrings {
 public:
  explicit GoldenStrings(const ftlib::Json& recipe)
      : seed_(recipe.at("seed", "").as_integer("")), pieces_(recipe.at("pieces", "").as_integer("")) {
    for (const ftlib::Json& kind : recipe.at("kinds", "").as_array("")) {
      Kind& made = kinds_.emplace_back();
      made.repeat = static_cast<std::size_t>(kind.at("repeat", "").as_integer(""));
      if (const ftlib::Json* words = kind.find("words"))
        for (const ftlib::Json& word : words->as_array("")) made.words.push_back(word.as_string(""));
      else
        for (const ftlib::Json& range : kind.at("ranges", "").as_array(""))
          made.ranges.push_back({range.as_array("")[0].as_integer(""), range.as_array("")[1].as_integer("")});
    }
  }

  std::string make(std::int64_t index) const {
    SplitMix draw(static_cast<std::uint64_t>(seed_ + index));
    std::string text;
    for (std::size_t piece = 1 + draw.below(static_cast<std::size_t>(pieces_)); piece > 0; --piece) {
      const Kind& kind = kinds_[draw.below(kinds_.size())];
      for (std::size_t n = 1 + draw.below(kind.repeat); n > 0; --n) {
        if (!kind.words.empty()) {
          text += kind.words[draw.below(kind.words.size())];
          continue;
        }
        const auto [low, high] = kind.ranges[draw.below(kind.ranges.size())];
        const auto offset = draw.below(static_cast<std::size_t>(high - low + 1));
        ftlib::tokenizer::append_utf8(static_cast<char32_t>(low) + static_cast<char32_t>(offset), text);
      }
    }
    return text;
  }

  std::vector<std::string> make(std::int64_t first, std::int64_t count) const {
    std::vector<std::string> texts;
    for (std::int64_t i = first; i < first + count; ++i) texts.push_back(make(i));
    return texts;
  }

 private:
  struct Kind {
    std::size_t repeat = 0;
    std::vector<std::string> words;
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  };
  std::int64_t seed_, pieces_;
  std::vector<Kind> kinds_;
};

/// SHA-256 over each text's count and ids, as little-endian int32.
class IdsDigest {
 public:
  void add(const std::vector<std::int32_t>& ids) {
    number(static_cast<std::int32_t>(ids.size()));
    for (const std::int32_t id : ids) number(id);
  }
  std::string hex() { return hash_.hex(); }

 private:
  void number(std::int32_t value) {
    const auto bits = static_cast<std::uint32_t>(value);
    const char bytes[] = {static_cast<char>(bits), static_cast<char>(bits >> 8), static_cast<char>(bits >> 16),
                          static_cast<char>(bits >> 24)};
    hash_.update(bytes, sizeof bytes);
  }
  ftlib::Sha256 hash_;
};
