// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>

#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

constexpr std::uint32_t kStepBudget = 10'000'000;
constexpr std::uint32_t kDepthBudget = 1'000'000;
constexpr std::size_t kStackBytes = std::size_t{8} << 20;  // grows on demand, outside the thread's own stack

std::string pcre2_text(int code) {
  PCRE2_UCHAR text[128];
  return pcre2_get_error_message(code, text, sizeof text) < 0 ? "unknown error" : reinterpret_cast<const char*>(text);
}

template <class T>
std::shared_ptr<T> owned(T* pointer, void (*free)(T*)) {
  if (pointer == nullptr) throw std::bad_alloc();
  return std::shared_ptr<T>(pointer, free);
}

}  // namespace

MatchScratch::MatchScratch() {
  const auto stack = owned(pcre2_jit_stack_create(std::size_t{32} << 10, kStackBytes, nullptr), pcre2_jit_stack_free);
  const auto context = owned(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kStepBudget);
  pcre2_set_depth_limit(context.get(), kDepthBudget);
  pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  data_ = owned(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  context_ = context;
  stack_ = stack;
}

Pattern::Pattern(std::string source, std::string_view what) : source_(std::move(source)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const auto settings = owned(pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(settings.get(), PCRE2_NEWLINE_LF);
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source_.data()), source_.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, settings.get());
  FT_CHECK_FILE(code != nullptr, unsupported, what, ": pattern ", excerpt(source_), ", byte ", offset, ": ",
                pcre2_text(error));
  code_ = owned(code, pcre2_code_free);
  std::uint32_t matches_empty = 0;
  pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  FT_CHECK_FILE(matches_empty == 0, unsupported, what, ": pattern ", excerpt(source_),
                " can match nothing; supported are patterns that match at least one character");
  compiled_to_machine_code_ = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;  // else the same by interpretation
}

bool Pattern::find(std::string_view text, std::size_t from, MatchScratch& scratch, Match& match) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  auto* data = static_cast<pcre2_match_data*>(scratch.data_.get());
  auto* context = static_cast<pcre2_match_context*>(scratch.context_.get());
  const auto run = compiled_to_machine_code_ ? pcre2_jit_match : pcre2_match;
  const int result = run(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0)
    throw Error(Status::unsupported, Reason::limit,
                concat("[tokenizer] pattern ", excerpt(source_), " at byte ", from, " of ", text.size(), ": ",
                       pcre2_text(result), "; split the text, or simplify the pattern in the tokenizer's file"));
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data);
  match = {ends[0], ends[1]};
  FT_CHECK(match.end > match.begin, internal, "[tokenizer] pattern ", excerpt(source_), " matched nothing");
  return true;
}

}  // namespace ftlib
