// SPDX-License-Identifier: Apache-2.0
// prepare PACKAGES TRANSLATION_EN FOLDER: writes train.jsonl (500 records) and valid.jsonl (the next 200) there.
#include <cstdio>
#include <exception>
#include <fstream>

#include "ftlib/io/file.h"
#include "synopsis.h"

namespace {

constexpr std::size_t kTrain = 500, kValid = 200;

void write(const std::string& path, const std::vector<std::string>& lines, std::size_t begin, std::size_t count) {
  std::string text;
  for (std::size_t i = begin; i < begin + count; ++i) text.append(lines[i]).append("\n");
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
  FT_CHECK(file.good(), io_error, path, ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("usage: prepare PACKAGES TRANSLATION_EN FOLDER\n", stderr), 2;
  try {
    const auto lines = synopsis::records(ftlib::read_file(argv[1]), ftlib::read_file(argv[2]));
    FT_CHECK(lines.size() >= kTrain + kValid, invalid_file, argv[1], ": ", lines.size(), " records, want at least ",
             kTrain + kValid);
    write(ftlib::concat(argv[3], "/train.jsonl"), lines, 0, kTrain);
    write(ftlib::concat(argv[3], "/valid.jsonl"), lines, kTrain, kValid);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "prepare: %s\n", error.what()), 1;
  }
}
