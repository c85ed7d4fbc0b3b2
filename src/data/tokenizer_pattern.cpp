// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_pattern.h"

#include "data/pcre2_error.h"
#include "ftlib/io/json.h"

namespace ftlib::inline FTLIB_ABI::tokenizer {
namespace {

constexpr std::uint32_t kMostBacktracks = 10'000'000, kMostDepth = 1'000'000;
constexpr std::int64_t kFreeSteps = 10'000'000, kStepsPerByte = 256;
constexpr std::size_t kStackBytes = std::size_t{8} << 20;  // grows on demand, outside the thread's own stack

template <class T>
std::shared_ptr<T> owned(T* pointer, void (*free)(T*)) {
  return std::shared_ptr<T>(need_pcre2(pointer), free);
}

constexpr int kBudgetSpent = -1000;  // outside PCRE2's own codes

/// PCRE2 calls it at every item of a counted pattern: a step, and more for the bytes passed since the last one, so that
/// neither backtracking nor scanning again from every start stays hidden.
template <class Budget>
int count_step(pcre2_callout_block* block, void* data) {
  auto& budget = *static_cast<Budget*>(data);
  const std::size_t here = block->current_position;
  const std::size_t passed = here > budget.position ? here - budget.position : budget.position - here;
  budget.position = here;
  budget.steps -= 1 + static_cast<std::int64_t>(passed / 4);
  return budget.steps >= 0 ? 0 : kBudgetSpent;
}

}  // namespace

void MatchScratch::begin(std::size_t bytes) noexcept {
  budget_ = {kFreeSteps + kStepsPerByte * static_cast<std::int64_t>(bytes), 0};
}

MatchScratch::MatchScratch() {
  const auto stack = owned(pcre2_jit_stack_create(std::size_t{32} << 10, kStackBytes, nullptr), pcre2_jit_stack_free);
  const auto context = owned(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kMostBacktracks);
  pcre2_set_depth_limit(context.get(), kMostDepth);
  pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  data_ = owned(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  context_ = context;
  stack_ = stack;
}

Pattern::Pattern(std::string source, Cost cost, std::string_view what) : source_(std::move(source)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const auto settings = owned(pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(settings.get(), PCRE2_NEWLINE_LF);
  const std::uint32_t options =
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (cost == Cost::counted ? PCRE2_AUTO_CALLOUT : 0u);
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source_.data()), source_.size(), options, &error, &offset,
                                   settings.get());
  if (code == nullptr) check_pcre2_memory(error);
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
  pcre2_set_callout(context, count_step<MatchScratch::Budget>, &scratch.budget_);
  const auto run = compiled_to_machine_code_ ? pcre2_jit_match : pcre2_match;
  const int result = run(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
  if (result == PCRE2_ERROR_NOMATCH) return false;
  check_pcre2_memory(result);
  if (result < 0)
    throw Error(Status::unsupported, Reason::limit,
                concat("[tokenizer] pattern ", excerpt(source_), " at byte ", from, " of ", text.size(), ": ",
                       result == kBudgetSpent ? "too many steps" : pcre2_text(result), "; split the text, or simplify the pattern in the tokenizer's file"));
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data);
  match = {ends[0], ends[1]};
  FT_CHECK(match.end > match.begin, internal, "[tokenizer] pattern ", excerpt(source_), " matched nothing");
  return true;
}

}  // namespace ftlib
