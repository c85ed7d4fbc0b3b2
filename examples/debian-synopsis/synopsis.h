// SPDX-License-Identifier: Apache-2.0
// Debian's package descriptions as a task: from the long description write the one-line synopsis in the house style.
#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ftlib/core/digest.h"
#include "ftlib/eval/metrics.h"
#include "ftlib/io/json.h"

namespace synopsis {

/// The house style: one line, at most 80 characters, no final full stop, the first word neither an article nor a
/// capitalised plain word. White space around the text does not count.
inline constexpr char kRules[] =
    R"(regex=\A\s*(?!(?i:an?|the)(?!\S))(?![A-Z][a-z]+(?!\S))\S(?:[^\n\r]{0,78}\S)?(?<!\.)\s*\z)";

inline constexpr char kInstruction[] = "Write the one-line package synopsis for this description.";

/// One stanza of a Debian control file: field names and their raw values, continuation lines included.
using Stanza = std::map<std::string_view, std::string_view>;

/// Takes the first stanza off `text`; empty at the end.
inline Stanza next_stanza(std::string_view& text) {
  Stanza stanza;
  std::string_view name;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t colon = line.find(':');
    if (line.empty() && !stanza.empty()) break;
    if (line.starts_with(' ') && !name.empty()) {
      std::string_view& value = stanza[name];
      value = {value.data(), static_cast<std::size_t>(line.data() + line.size() - value.data())};
    } else if (colon != line.npos) {
      name = line.substr(0, colon);
      stanza[name] = line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size()));
    }
  }
  return stanza;
}

inline std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0; (begin = text.find_first_not_of(" \t\n\r", begin)) != text.npos;) {
    const std::size_t end = std::min(text.find_first_of(" \t\n\r", begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

/// The lines below the synopsis without the ` .` that stands for an empty one, white space collapsed; and its words.
inline std::pair<std::string, std::size_t> long_text(std::string_view description) {
  std::string joined;
  std::size_t count = 0;
  std::size_t begin = std::min(description.find('\n'), description.size());
  while (begin < description.size()) {
    const std::size_t end = std::min(description.find('\n', begin + 1), description.size());
    const std::string_view line = description.substr(begin + 1, end - begin - 1);
    begin = end;
    if (line == " .") continue;
    for (const std::string_view word : words(line)) joined.append(count++ ? " " : "").append(word);
  }
  return {std::move(joined), count};
}

struct Entry {
  std::string_view package, synopsis;
  std::string text;
};

/// The curated gold: one binary package a source package, whose text has 20 to 150 words and whose synopsis has 3 to 12
/// and keeps the rules.
inline std::map<std::string, Entry> gold(std::string_view packages, std::string_view translations) {
  std::map<std::pair<std::string_view, std::string_view>, std::string_view> descriptions;
  while (!translations.empty()) {
    const Stanza stanza = next_stanza(translations);
    if (stanza.contains("Description-en"))
      descriptions[{stanza.at("Package"), stanza.at("Description-md5")}] = stanza.at("Description-en");
  }
  const ftlib::Metric rules(kRules);
  std::map<std::string, Entry> best;
  while (!packages.empty()) {
    Stanza stanza = next_stanza(packages);
    const std::string_view package = stanza["Package"];
    const auto found = descriptions.find({package, stanza["Description-md5"]});
    if (found == descriptions.end()) continue;
    const std::string_view line = found->second.substr(0, found->second.find('\n'));
    auto [text, count] = long_text(found->second);
    const std::size_t length = words(line).size();
    if (count < 20 || count > 150 || length < 3 || length > 12 || rules.score(line, "") == 0) continue;
    const auto source = words(stanza.contains("Source") ? stanza["Source"] : package);
    Entry& entry = best[std::string(source.at(0))];
    if (entry.package.empty() || package < entry.package) entry = {package, line, std::move(text)};
  }
  return best;
}

/// One training record, compact JSON without its line break.
inline std::string record(const std::string& source, const Entry& entry) {
  using ftlib::Json;
  Json user, assistant, json;
  user["role"] = "user", user["content"] = ftlib::concat(kInstruction, "\n\n", entry.text);
  assistant["role"] = "assistant", assistant["content"] = entry.synopsis;
  json["id"] = entry.package, json["group"] = source;
  json["messages"] = Json::Array{user, assistant};
  return ftlib::dump_json(json);
}

/// All records by the SHA-256 of their source package's name: an order that nobody chose.
inline std::vector<std::string> records(std::string_view packages, std::string_view translations) {
  std::map<std::string, std::string> ordered;
  for (const auto& [source, entry] : gold(packages, translations))
    ordered[ftlib::sha256_hex(source)] = record(source, entry);
  std::vector<std::string> out;
  for (auto& [digest, line] : ordered) out.push_back(std::move(line));
  return out;
}

}  // namespace synopsis
