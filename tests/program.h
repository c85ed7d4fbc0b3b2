// SPDX-License-Identifier: Apache-2.0
// The ftlib program as a user's script sees it: arguments, standard streams, signals, exit code.
#pragma once
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "ftlib/io/file.h"
#include "temporary_folder.h"

extern char** environ;

struct ProgramResult {
  int code = -1;  ///< exit code, or minus the signal that ended it
  std::string out, err;
};

/// Runs the program with `input` as standard input. `on_line`, if given, sees each line of its standard output as it
/// comes, and the process id; `on_start` the process id, before anything is read.
inline ProgramResult run_program(std::vector<std::string> args, const std::string& input = "",
                                 const std::function<void(const std::string&, pid_t)>& on_line = {},
                                 const std::function<void(pid_t)>& on_start = {}) {
  const TemporaryFolder folder;
  const std::string in = folder / "in", err = folder / "err";
  if (std::FILE* file = std::fopen(in.c_str(), "w")) {
    std::fwrite(input.data(), 1, input.size(), file);
    std::fclose(file);
  }
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
  args.insert(args.begin(), FTLIB_PROGRAM);
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const bool started = posix_spawn(&child, FTLIB_PROGRAM, &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  if (started && on_start) on_start(child);
  ProgramResult result;
  std::size_t line = 0;
  char piece[4096];
  for (ssize_t got = 0; started && (got = read(out[0], piece, sizeof piece)) > 0;) {
    result.out.append(piece, static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = result.out.find('\n', line)) != result.out.npos; line = end + 1)
      if (on_line) on_line(result.out.substr(line, end - line), child);
  }
  close(out[0]);
  if (!started) return result;
  int status = 0;
  waitpid(child, &status, 0);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  result.err = ftlib::read_file(err);
  return result;
}
