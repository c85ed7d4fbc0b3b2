// SPDX-License-Identifier: Apache-2.0
#include "ftlib/train/plan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "ftlib/core/parallel.h"
#include "ftlib/core/resources.h"

namespace ftlib::inline FTLIB_ABI {
namespace {

constexpr std::int64_t kScratchBytes = std::int64_t{4} << 20;   // per thread: decoded panels, stacks, malloc's arenas
constexpr std::int64_t kWritersBytes = std::int64_t{14} << 20;  // journal, adapter files, what malloc keeps back
// By so much the memory of two runs of one command differs before they train: a huge page, and pages of files.
constexpr std::int64_t kSpreadBytes = std::int64_t{4} << 20;

std::int64_t read_limit(const char* path) {
  std::int64_t value = -1;
  if (std::FILE* file = std::fopen(path, "re")) {
    long long number = 0;
    if (std::fscanf(file, "%lld", &number) == 1) value = number;
    std::fclose(file);
  }
  return value;
}

std::int64_t available_bytes() {
  std::int64_t available = std::max<std::int64_t>(proc_kib("/proc/meminfo", "MemAvailable:"), 0) * 1024;
  const std::int64_t limit = read_limit("/sys/fs/cgroup/memory.max"),
                     used = read_limit("/sys/fs/cgroup/memory.current");
  if (limit > 0 && used >= 0) available = std::min(available, std::max<std::int64_t>(limit - used, 0));
  return available;
}

std::int64_t mib(std::int64_t bytes) { return (bytes + (std::int64_t{1} << 20) - 1) >> 20; }

/// Level 0: everything kept; 1..L: so many layers on plan B; L+1..2L: so many on plan C, the rest on B.
std::vector<Keep> keep_at(std::int64_t level, std::int64_t layers) {
  std::vector<Keep> keep(static_cast<std::size_t>(layers), level > layers ? Keep::without_mlp : Keep::gemm_outputs);
  const Keep lower = level > layers ? Keep::input : Keep::without_mlp;
  const std::int64_t count = level > layers ? level - layers : level;
  std::fill_n(keep.begin(), count, lower);
  return keep;
}

/// Whether NF4 takes clearly less than what the linears are stored in.
bool nf4_is_smaller(const CausalLM& model) {
  const WeightFormatInfo& info = weight_format_info(model.weights().layers[0].linear[0].format);
  return info.block_bytes * 8 > 5 * info.block_size;
}

/// The user's next steps, of those that change something in this call.
std::string what_to_lower(const CausalLM& model, std::int64_t tokens, std::int64_t longest) {
  const std::string batch = tokens > longest ? concat("the ", tokens, " tokens of a batch or ") : "";
  return concat("lower ", batch, "the ", longest, " tokens of the longest record",
                nf4_is_smaller(model) ? ", or take an nf4 base" : "");
}

}  // namespace

std::int64_t MemoryPlan::layers(Keep what) const noexcept { return std::count(keep.begin(), keep.end(), what); }

MemoryPlan plan_memory(const CausalLM& model, const LoraAdapter& adapter, std::span<const Example> examples,
                       const TrainOptions& options, std::int64_t budget_bytes, std::int64_t also_fits) {
  const std::int64_t layers = model.config().num_hidden_layers;
  std::int64_t longest = also_fits;
  for (const Example& example : examples) longest = std::max(longest, example.length());
  const std::int64_t tokens = std::max(Loader(examples, options.loader).max_batch_tokens(), also_fits);
  MemoryPlan plan;
  plan.resident_bytes = std::max<std::int64_t>(proc_kib("/proc/self/status", "VmRSS:"), 0) * 1024;
  plan.budget_bytes = budget_bytes > 0 ? budget_bytes : plan.resident_bytes + available_bytes() / 5 * 4;
  for (std::int64_t level = 0; level <= 2 * layers; ++level) {
    plan.keep = keep_at(level, layers);
    plan.trainer_bytes =
        // A checkpoint is read back before it counts: its largest part is in memory twice then.
        Trainer::state_bytes(adapter, options) +
        Trainer::planned_bytes(model, adapter, options, tokens, longest, plan.keep) + threads() * kScratchBytes +
        kWritersBytes;
    if (plan.peak_bytes() <= plan.budget_bytes) return plan;
  }
  throw Error(Status::invalid_argument,
              concat("[train] a memory budget of ", mib(plan.budget_bytes),
                     " MiB is too small: this run needs at least ", mib(plan.peak_bytes() + kSpreadBytes), " MiB (",
                     mib(plan.resident_bytes + kSpreadBytes),
                     " MiB model, tokenizer and records, ", mib(plan.trainer_bytes), " MiB training); ",
                     what_to_lower(model, tokens, longest)));
}

RunLength run_length(std::span<const Example> examples, const TrainOptions& options) {
  Loader loader(examples, options.loader);
  RunLength length;
  for (std::int64_t epoch = 0; options.steps > 0 ? length.steps < options.steps : epoch < options.epochs; ++epoch)
    for (std::int64_t step = 0; step < loader.steps(epoch) && (options.steps == 0 || length.steps < options.steps);
         ++step) {
      ++length.steps;
      for (const Batch& batch : loader.step(epoch, step)) {
        const Work work = work_of(batch);
        length.work.tokens += work.tokens;
        length.work.supervised_tokens += work.supervised_tokens;
        length.work.attention_pairs += work.attention_pairs;
      }
    }
  return length;
}

}  // namespace ftlib::inline FTLIB_ABI
