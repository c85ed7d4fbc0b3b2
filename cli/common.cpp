// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cli.h"
#include "ftlib/core/parallel.h"

namespace ftlib::cli {

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("--model", model, "a .gguf file, or a Hugging Face folder")->required()->type_name("MODEL");
  command.add_option("--base", base, "format of the frozen linears in memory")
      ->check(CLI::IsMember({"native", "f32", "bf16", "nf4"}))
      ->capture_default_str();
  command.add_option("--block-size", block_size, "elements a block, for --base nf4")->capture_default_str();
  command.add_flag("--double-quant", double_quant, "quantise the block scales too, for --base nf4");
  command.add_option("--compute", compute, "arithmetic; auto: bf16 where the CPU has it, else f32")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  command.add_option("--threads", threads, "default: the CPUs that this process may use")->check(CLI::Range(1, 1024));
}

BaseFormat ModelOptions::base_format() const {
  if (base == "f32") return {BaseFormat::Kind::f32};
  if (base == "bf16") return {BaseFormat::Kind::bf16};
  if (base == "nf4") return {BaseFormat::Kind::nf4, block_size, double_quant};
  return {};
}

std::optional<DType> ModelOptions::compute_dtype() const {
  if (compute == "auto") return {};
  return compute == "f32" ? DType::f32 : DType::bf16;
}

void ModelOptions::apply_threads() const {
  if (threads > 0) set_threads(threads);
}

std::atomic<bool>& interrupted() {
  static std::atomic<bool> flag{false};
  return flag;
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted().store(true); };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second Ctrl-C ends the process
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

void print_line(std::string_view line) {
  const bool good = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                    std::fputc('\n', stdout) != EOF && std::fflush(stdout) == 0;
  FT_CHECK(good, io_error, "standard output: ", std::strerror(errno));
}

void print_json(const Json& json) { print_line(dump_json(json)); }

}  // namespace ftlib::cli
