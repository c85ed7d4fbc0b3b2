// SPDX-License-Identifier: Apache-2.0
// Runs the ftlib program as a person would and reads its JSON; progress passes through on standard error.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "ftlib/io/json.h"

extern char** environ;

namespace demo {

/// As exit code 130 of a command: the user interrupted it, and it has saved.
struct Interrupted {};

/// One word as bash reads it; line breaks as \n, so that it stays on one line.
inline std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string quoted;
  for (const char c : word) {
    if (c == '\n')
      quoted += "\\n";
    else if (c == '\'' || c == '\\')
      quoted.append(1, '\\').append(1, c);
    else
      quoted += c;
  }
  return (quoted == word ? "'" : "$'") + quoted + "'";
}

inline std::string shell_text(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(shell_word(word));
  return text;
}

namespace detail {

inline volatile sig_atomic_t child = 0;

/// Ctrl-C reaches the child by itself, a plain kill only us: pass it on and wait until the child has saved.
inline void pass_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) {
    if (child == 0) ::_exit(130);
    if (signal == SIGTERM) ::kill(static_cast<pid_t>(child), SIGTERM);
  };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

inline pid_t spawn(const std::vector<std::string>& words, int out) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  FT_CHECK(error == 0, io_error, words[0], ": ", std::strerror(error));
  return pid;
}

inline int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Calls `line` for each line until the other end is closed.
inline void read_lines(int fd, const std::function<void(std::string_view)>& line) {
  std::string pending;
  char piece[65536];
  for (;;) {
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    pending.append(piece, static_cast<std::size_t>(got));
    for (std::size_t end; (end = pending.find('\n')) != pending.npos; pending.erase(0, end + 1))
      line(std::string_view(pending).substr(0, end));
  }
}

}  // namespace detail

/// Runs `words` to its end and returns its events, one JSON object a line of its standard output.
/// Throws Interrupted, and Error{internal} naming the command where it fails.
inline std::vector<ftlib::Json> run_command(const std::vector<std::string>& words) {
  int ends[2];
  FT_CHECK(::pipe2(ends, O_CLOEXEC) == 0, io_error, "pipe: ", std::strerror(errno));
  detail::pass_on_signals();
  const pid_t pid = detail::spawn(words, ends[1]);
  detail::child = pid;
  ::close(ends[1]);
  std::vector<ftlib::Json> events;
  std::string broken;
  detail::read_lines(ends[0], [&](std::string_view line) {
    try {
      events.push_back(ftlib::parse_json(line, words[0]));
    } catch (const ftlib::Error& error) {
      broken = error.what();
    }
  });
  ::close(ends[0]);
  const int code = detail::wait_for(pid);
  detail::child = 0;
  if (code == 130) throw Interrupted{};
  FT_CHECK(code == 0, internal, "exit code ", code, " of ", shell_text(words));
  FT_CHECK(broken.empty(), internal, broken);
  return events;
}

/// The last event of that name. Throws Error{invalid_file, SCHEMA} where there is none.
inline const ftlib::Json& last_event(const std::vector<ftlib::Json>& events, std::string_view name) {
  for (std::size_t i = events.size(); i-- > 0;)
    if (const ftlib::Json* its = events[i].find("event"); its && *its == ftlib::Json(name)) return events[i];
  throw ftlib::Error(ftlib::Status::internal, ftlib::concat("the command reported no \"", name, "\""));
}

}  // namespace demo
