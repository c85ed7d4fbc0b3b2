// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <new>

#include "cli.h"
#include "ftlib/config.h"
#include "ftlib/core/parallel.h"

namespace ftlib::cli {
namespace {

int exit_code(const Error& error) {
  switch (error.status()) {
    case Status::invalid_argument:
    case Status::mismatch:
      return kUsage;
    case Status::cancelled:
      return kInterrupted;
    default:
      return kFailed;
  }
}

int run(int argc, char** argv) {
  CLI::App app{"ftlib: fine-tune a language model on your own machine"};
  app.set_version_flag("--version", "ftlib " FTLIB_VERSION);
  app.require_subcommand(1);
  app.footer(
      "ftlib COMMAND --help explains each. Exit codes: 0 done, 1 failed, 2 usage, 3 a gate said no, 130 interrupted.");
  Action action;
  for (const auto add : {add_info, add_tokenize, add_template, add_tune, add_eval, add_generate, add_merge, add_export,
                         add_quantize, add_bench})
    add(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error) == 0 ? kDone : kUsage;
    FT_CHECK(std::cout.flush().good(), io_error, "standard output cannot be written");
    return code;
  }
  return action();
}

int guarded(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "ftlib: %s\n", error.what());
    return exit_code(error);
  } catch (const std::bad_alloc&) {
    std::fputs("ftlib: out of memory; lower --batch-tokens or give --memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ftlib: %s\n", error.what());
  }
  return kFailed;
}

/// Else the next file that is opened becomes standard output and gets what is printed. The wrong direction, so that
/// using a stream that was closed stays an error.
void occupy_closed_streams() {
  for (const int stream : {0, 1, 2})
    if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
}

}  // namespace
}  // namespace ftlib::cli

int main(int argc, char** argv) {
  ftlib::cli::occupy_closed_streams();
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);  // the write then says what is wrong
  const int code = ftlib::cli::guarded(argc, argv);
  ftlib::shutdown();
  return code;
}
