// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cli.h"
#include "ftlib/data/chat_template.h"

namespace ftlib::cli {
namespace {

template <class Number>
std::optional<Number> parsed(const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

CLI::Validator number(double low, bool low_itself) {
  const std::string want = concat("want a number ", low_itself ? "from " : "above ", low, ", got ");
  const auto check = [=](std::string& text) {
    const auto value = parsed<double>(text);
    const bool good = value && std::isfinite(*value) && (low_itself ? *value >= low : *value > low);
    return good ? std::string() : want + excerpt(text);
  };
  return CLI::Validator(check, "");
}

}  // namespace

CLI::Validator at_least(double low) { return number(low, true); }
CLI::Validator above(double low) { return number(low, false); }

CLI::Validator whole(std::int64_t low, std::int64_t high) {
  const auto check = [=](std::string& text) {
    const auto value = parsed<std::int64_t>(text);
    if (value && *value >= low && *value <= high) return std::string();
    return concat("want a whole number from ", low, high == INT64_MAX ? "" : concat(" to ", high), ", got ",
                  excerpt(text));
  };
  return CLI::Validator(check, "");
}

CLI::Validator path_to_write() {
  return CLI::Validator([](std::string& text) { return std::string(text.empty() ? "want a path, got nothing" : ""); },
                        "");
}

CLI::Validator date() {
  const auto check = [](std::string& text) -> std::string {
    try {
      ChatTemplate("", "", "").render({}, {.date = text});
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  return CLI::Validator(check, "");
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "default: the CPUs that this process may use")->check(whole(1, 1024));
}

void apply_threads(int asked) {
  const int cpus = threads();
  if (asked <= 0) return;
  if (asked > 4 * cpus)
    std::fprintf(stderr, "--threads %d: this process may use %d CPUs; going on with %d threads\n", asked, cpus, cpus);
  set_threads(asked > 4 * cpus ? cpus : asked);
}

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
  add_threads_option(command, threads);
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

CausalLM ModelOptions::load(const ModelFiles& files, const Tokenizer& tokenizer) const {
  check_tokenizer(files, tokenizer);
  return CausalLM::load(files, base_format(), compute_dtype());
}

void warn_of_other_base(const std::string& adapter, const AdapterOrigin& origin, const ModelFiles& files,
                        const BaseFormat& base) {
  try {
    check_base(origin, files, base);
  } catch (const Error& error) {
    if (error.status() != Status::mismatch) throw;
    std::fprintf(stderr, "warning: %s: %s\n", adapter.c_str(), error.what());
  }
}

std::int64_t parse_bytes(const std::string& text) {
  constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {{"", 1},          {"B", 1},          {"KiB", 1 << 10},
                                                                  {"MiB", 1 << 20}, {"GiB", 1 << 30},  {"KB", 1000},
                                                                  {"MB", 1000000},  {"GB", 1000000000}};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [name, factor] : kUnits)
    if (error == std::errc() && unit == name && value > 0 && value * static_cast<double>(factor) < 9e18)
      return static_cast<std::int64_t>(value * static_cast<double>(factor));
  throw Error(Status::invalid_argument, concat("--memory: want a size such as 2GiB or 700MiB, got ", excerpt(text)));
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

bool InputLines::next(std::string& line) {
  constexpr std::size_t kLongest = std::size_t{16} << 20, kPiece = std::size_t{64} << 10;
  ++number_;
  for (std::size_t searched = begin_;;) {
    const std::size_t end = buffer_.find('\n', searched);
    const std::size_t size = std::min(end, buffer_.size()) - begin_;
    FT_CHECK_FILE(size <= kLongest, limit, what(), ": a line of more than ", kLongest, " bytes");
    if (end != buffer_.npos || ended_) {
      line = buffer_.substr(begin_, size);
      begin_ += size + (end == buffer_.npos ? 0 : 1);
      return end != buffer_.npos || size > 0;
    }
    searched = size;
    buffer_.erase(0, begin_), begin_ = 0;
    buffer_.resize(size + kPiece);
    const ssize_t got = ::read(STDIN_FILENO, buffer_.data() + size, kPiece);
    FT_CHECK(got >= 0 || errno == EINTR, io_error, "standard input: ", std::strerror(errno));
    buffer_.resize(size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    ended_ = got == 0;
  }
}

void print_bytes(std::string_view bytes) {
  const bool good = std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0;
  FT_CHECK(good, io_error, "standard output: ", std::strerror(errno));
}

void print_line(std::string_view line) { print_bytes(concat(line, "\n")); }

void print_json(const Json& json) { print_line(dump_json(json)); }

}  // namespace ftlib::cli
