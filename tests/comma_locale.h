// SPDX-License-Identifier: Apache-2.0
// The German locale, whose decimal mark is a comma, for as long as the object lives.
#pragma once
#include <stdlib.h>

#include <clocale>
#include <string>

#include "temporary_folder.h"

class CommaLocale {
 public:
  CommaLocale() : before_(std::setlocale(LC_ALL, nullptr)) {
    const std::string compile = "localedef -i de_DE -f UTF-8 '" + folder_ / "de_DE.UTF-8" + "' >/dev/null 2>&1";
    if (std::system(compile.c_str()) == -1) return;  // its status says little: warnings count; set() tells
    ::setenv("LOCPATH", folder_.path().c_str(), 1);
    set_ = std::setlocale(LC_ALL, "de_DE.UTF-8") && *std::localeconv()->decimal_point == ',';
  }
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;
  ~CommaLocale() {
    std::setlocale(LC_ALL, before_.c_str());
    ::unsetenv("LOCPATH");
  }
  bool set() const { return set_; }  ///< false: the Debian package locales is missing

 private:
  TemporaryFolder folder_;
  std::string before_;
  bool set_ = false;
};
