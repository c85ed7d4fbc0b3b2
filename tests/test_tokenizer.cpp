// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "data/tokenizer_impl.h"
#include "ftlib/io/gguf.h"
#include "test_models.h"
#include "tokenizer_golden.h"

using namespace ftlib;

namespace {

const Json& golden() {
  static const Json json = golden_json("tokenizer.json");
  return json;
}

const GoldenStrings& strings() {
  static const GoldenStrings made(golden().at("recipe", ""));
  return made;
}

/// The tiny vocabulary with some fields of its tokenizer.json replaced; see patched() of tools/golden/tokenizer.py.
Json patched(const Json& patch) {
  Json json = golden_json("tokenizer_tiny.json");
  Json& model = json["model"];
  for (const auto& [key, value] : patch.as_object("patch")) {
    if (key != "model") {
      json[key] = value;
      continue;
    }
    for (const auto& [field, setting] : value.as_object("model"))
      if (field != "drop" && field != "keep") model[field] = setting;
    if (const Json* keep = value.find("keep")) {
      Json::Array merges = model["merges"].as_array("");
      merges.resize(static_cast<std::size_t>(keep->as_integer("")));
      model["merges"] = merges;
    }
  }
  const Json* drop = patch.find("model") == nullptr ? nullptr : patch.find("model")->find("drop");
  if (drop == nullptr) return json;
  const auto has_dropped = [&](const std::string& text) {
    return std::ranges::any_of(drop->as_array(""), [&](const Json& t) { return text.find(t.as_string("")) != text.npos; });
  };
  std::vector<std::string> tokens(model["vocab"].as_object("").size());
  for (const auto& [token, id] : model["vocab"].as_object("")) tokens[static_cast<std::size_t>(id.as_integer(""))] = token;
  std::erase_if(tokens, has_dropped);
  Json vocab = Json::object(), merges = Json::array(), added = Json::array();
  for (std::size_t id = 0; id < tokens.size(); ++id) vocab.append(tokens[id], static_cast<std::int64_t>(id));
  for (const Json& merge : model["merges"].as_array(""))
    if (!has_dropped(merge.as_array("")[0].as_string("") + merge.as_array("")[1].as_string(""))) merges.push_back(merge);
  for (Json token : json["added_tokens"].as_array("")) {
    const Json* id = vocab.find(token["content"].as_string(""));
    if (id == nullptr) continue;
    token["id"] = *id;
    added.push_back(token);
  }
  model["vocab"] = vocab;
  model["merges"] = merges;
  json["added_tokens"] = added;
  return json;
}

Tokenizer tiny(const Json& patch = Json::object()) {
  return Tokenizer::from_tokenizer_json(dump_json(patched(patch)), "tiny");
}

/// Compares ids of every batch with the digests of `want`, plain and special.
void check_digests(const Tokenizer& tokenizer, const Json& want) {
  const std::int64_t batch = golden().at("batch", "").as_integer("");
  for (const bool special : {false, true}) {
    CAPTURE(special);
    const Json& setting = want.at(special ? "special" : "plain", "");
    const Json::Array& digests = setting.at("digests", "").as_array("");
    for (std::size_t i = 0; i < digests.size(); ++i) {
      CAPTURE(i);
      IdsDigest digest;
      for (const std::string& text : strings().make(static_cast<std::int64_t>(i) * batch, batch))
        digest.add(tokenizer.encode(text, special));
      CHECK(digest.hex() == digests[i].as_string(""));
    }
    const Json* samples = setting.find("ids");
    for (std::size_t i = 0; samples != nullptr && i < samples->as_array("").size(); ++i) {
      CAPTURE(i);
      std::vector<std::int32_t> ids;
      for (const Json& id : samples->as_array("")[i].as_array("")) ids.push_back(static_cast<std::int32_t>(id.as_integer("")));
      CHECK(tokenizer.encode(strings().make(static_cast<std::int64_t>(i)), special) == ids);
    }
  }
}

/// Every code point of Unicode 14 between letters, digits, blanks and signs.
void check_code_points(const Tokenizer& tokenizer, const Json& want) {
  const Json::Array& digests = want.at("code_points", "").as_array("");
  IdsDigest digest;
  std::size_t count = 0, done = 0;
  for (const Json& range : golden().at("assigned", "").as_array(""))
    for (std::int64_t code = range.as_array("")[0].as_integer(""); code <= range.as_array("")[1].as_integer(""); ++code) {
      std::string c;
      tokenizer::append_utf8(static_cast<char32_t>(code), c);
      digest.add(tokenizer.encode("a" + c + "b1" + c + "2 " + c + " " + c + c + "." + c + "\n" + c + "'s"));
      if (++count % 4096 != 0) continue;
      CAPTURE(code);
      CHECK(digest.hex() == digests.at(done++).as_string(""));
      digest = IdsDigest();
    }
  CHECK(digest.hex() == digests.at(done).as_string(""));
}

void check_model(const std::string& name, const std::string& path) {
  const Tokenizer tokenizer = Tokenizer::from_gguf(GgufFile(path));
  const Json& want = golden().at("models", "").at(name, name);
  check_digests(tokenizer, want);
  check_code_points(tokenizer, want);
}

}  // namespace

TEST_CASE("the strings of the fixture are made again exactly") {
  CHECK(strings().make(0) == golden().at("first_string", "").as_string(""));
  Sha256 hash;
  for (std::int64_t i = 0; i < 24000; ++i) {
    const std::string text = strings().make(i);
    if (i > 0) hash.update("", 1);
    hash.update(text.data(), text.size());
  }
  CHECK(hash.hex() == golden().at("strings_digest", "").as_string(""));
}

TEST_CASE("every variant of tokenizer.json gives the ids of tokenizers") {
  for (const Json::Member& variant : golden().at("variants", "").as_object("")) {
    CAPTURE(variant.first);
    check_digests(tiny(variant.second.at("patch", "")), variant.second);
  }
}

TEST_CASE("SmolLM2's GGUF gives the ids of tokenizers on 24,000 strings and every code point") {
  check_model("SmolLM2-135M-Instruct.Q4_1.gguf", test_model("SmolLM2-135M-Instruct.Q4_1.gguf"));
}

TEST_CASE("the GGUF vocabularies of GPT-2, Llama 3 and Qwen2 give the ids of tokenizers" *
          doctest::test_suite("check") * doctest::skip()) {
  for (const char* name : {"ggml-vocab-gpt-2.gguf", "ggml-vocab-llama-bpe.gguf", "ggml-vocab-qwen2.gguf"}) {
    CAPTURE(name);
    check_model(name, test_model(std::string("vocabularies/") + name));
  }
}
