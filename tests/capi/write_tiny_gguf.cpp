// SPDX-License-Identifier: Apache-2.0
// write_tiny_gguf PATH: the model that the tests of the C ABI and of the bindings tune.
#include <cstdio>

#include "tiny_gguf.h"

int main(int argc, char** argv) try {
  if (argc != 2) return std::fputs("usage: write_tiny_gguf PATH\n", stderr), 2;
  write_tiny_gguf(argv[1]);
} catch (const ftlib::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
