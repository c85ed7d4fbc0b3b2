// SPDX-License-Identifier: Apache-2.0
#include <ftlib/ftlib.h>

#include <cstdio>

#include "compiler.h"

int main() {
  ftlib::ChatTemplate hello("{{ messages[0].content | upper }}", "", "");
  const std::vector<ftlib::Message> messages{{"user", "hello"}};
  std::puts(COMPILER);
  return hello.render(messages).text == "HELLO" && ftlib::weight_formats().size() == 9 ? 0 : 1;
}
