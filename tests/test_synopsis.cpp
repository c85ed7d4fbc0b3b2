// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "../examples/debian-synopsis/synopsis.h"

using namespace ftlib;

namespace {

/// 10 words.
const std::string kWords = " one two three four five six seven eight nine ten\n";

std::string translation(const std::string& package, const std::string& synopsis, const std::string& text) {
  return concat("Package: ", package, "\nDescription-md5: m-", package, "\nDescription-en: ", synopsis, "\n", text,
                "\n");
}

std::string package(const std::string& name, const std::string& source = "") {
  return "Package: " + name + "\nVersion: 1\n" + (source.empty() ? "" : "Source: " + source + "\n") +
         "Tag: a::b,\n c::d\nDescription-md5: m-" + name + "\n\n";
}

}  // namespace

TEST_CASE("the rules of the house style accept and refuse what they say") {
  const Metric rules(synopsis::kRules);
  for (const char* good : {"fast text search", " fast search\n", "GNU search tool", "X11 server", "anthology of tools",
                           "OpenGL library", "C", "theme engine", "\xC3\xA9" "diteur de texte"})
    CHECK_MESSAGE(rules.score(good, "") == 1, good);
  for (const char* bad : {"", "  ", ".", "A search tool", "an editor", "THE editor", "Search tool", "Search",
                          "search tool.", "search tool. ", "two\nlines", "two\r\nlines"})
    CHECK_MESSAGE(rules.score(bad, "") == 0, bad);
  CHECK(rules.score(std::string(80, 'x'), "") == 1);
  CHECK(rules.score(std::string(81, 'x'), "") == 0);
  std::string wide;
  for (int i = 0; i < 80; ++i) wide += "\xC3\xA9";
  CHECK(rules.score(wide, "") == 1);
  CHECK(rules.score(wide + "x", "") == 0);
}

TEST_CASE("a description becomes a record with its text collapsed, one package a source, others left out") {
  const std::string packages = package("zeta", "shared (1.0-2)") + package("beta", "shared") + package("short") +
                               package("capital") + package("untranslated");
  const std::string translations =
      translation("zeta", "zeta of shared tools", kWords + " .\n" + kWords) +
      translation("beta", "beta of shared tools", kWords + " .\n  *  \"quoted\"\t x\n" + kWords) +
      translation("short", "too few words below", kWords) +
      translation("capital", "Capital letters come first", kWords + kWords);
  const auto lines = synopsis::records(packages, translations);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] ==
        R"({"id":"beta","group":"shared","messages":[{"role":"user","content":"Write the one-line package )"
        R"(synopsis for this description.\n\none two three four five six seven eight nine ten * \"quoted\" x one two )"
        R"(three four five six seven eight nine ten"},{"role":"assistant","content":"beta of shared tools"}]})");
}

TEST_CASE("records are ordered by the digest of their source's name") {
  std::string packages, translations;
  std::vector<std::string> digests;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    packages += package(name);
    translations += translation(name, concat("tool of letter ", name), kWords + kWords);
    digests.push_back(sha256_hex(name) + name);
  }
  std::ranges::sort(digests);
  const auto lines = synopsis::records(packages, translations);
  REQUIRE(lines.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(lines[i].starts_with(concat(R"({"id":")", digests[i].back(), "\"")));
}
