// SPDX-License-Identifier: Apache-2.0
// The model fixtures of tools/golden/tiny_llama.py and smollm2.py as examples and runs.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "ftlib/data/batch.h"
#include "ftlib/train/trainer.h"
#include "golden.h"

inline std::vector<ftlib::Example> golden_examples(const ftlib::Json& json) {
  std::vector<ftlib::Example> examples;
  for (const ftlib::Json& item : json.as_array("examples")) {
    ftlib::Example example;
    example.index = static_cast<std::int64_t>(examples.size());
    example.id = std::to_string(example.index);
    for (const auto& token : item.at("tokens", "example").as_array("tokens"))
      example.tokens.push_back(static_cast<std::int32_t>(token.as_integer("token")));
    for (const auto& flag : item.at("supervised", "example").as_array("supervised"))
      example.supervised.push_back(static_cast<std::uint8_t>(flag.as_integer("flag")));
    example.weight = static_cast<float>(item.at("weight", "example").as_number("weight"));
    examples.push_back(std::move(example));
  }
  return examples;
}

/// Ten recorded steps as a run in the given order: batch i of the fixture is step i.
struct GoldenTraining {
  std::vector<ftlib::Example> examples;
  ftlib::TrainOptions options;
  std::vector<double> losses, grad_norms, lrs;
};

inline std::vector<double> golden_numbers(const ftlib::Json& json) {
  std::vector<double> numbers;
  for (const auto& number : json.as_array("numbers")) numbers.push_back(number.as_number("number"));
  return numbers;
}

/// Every step takes as many records as the largest batch has; smaller batches are filled with copies of weight 0.
inline GoldenTraining golden_training(const ftlib::Json& fixture, const std::vector<ftlib::Example>& examples) {
  GoldenTraining golden;
  const auto& batches = fixture.at("batches", "fixture").as_array("batches");
  std::size_t most = 0;
  for (const auto& batch : batches) most = std::max(most, batch.as_array("batch").size());
  for (const auto& batch : batches) {
    const auto& members = batch.as_array("batch");
    for (std::size_t i = 0; i < most; ++i) {
      const auto& member = members[std::min(i, members.size() - 1)];
      ftlib::Example example = examples[static_cast<std::size_t>(member.as_integer("record"))];
      if (i >= members.size()) example.weight = 0;
      golden.examples.push_back(std::move(example));
    }
  }
  const ftlib::Json& recipe = fixture.at("recipe", "fixture");
  ftlib::TrainOptions& o = golden.options;
  o.loader = {0, static_cast<std::int64_t>(most), 1, ftlib::Order::given, 0};
  o.adamw.lr = recipe.at("lr", "recipe").as_number("lr");
  o.adamw.weight_decay = recipe.at("weight_decay", "recipe").as_number("weight_decay");
  o.clip = recipe.at("clip", "recipe").as_number("clip");
  o.schedule = ftlib::schedule_by_name(recipe.at("schedule", "recipe").as_string("schedule"));
  o.warmup = recipe.at("warmup", "recipe").as_number("warmup");
  golden.losses = golden_numbers(fixture.at("losses", "fixture"));
  golden.grad_norms = golden_numbers(fixture.at("grad_norms", "fixture"));
  golden.lrs = golden_numbers(fixture.at("lrs", "fixture"));
  return golden;
}
