// SPDX-License-Identifier: Apache-2.0
// A backend is one constant table of kernels; a null entry means "not offered". The entry point of each op runs the first
// backend, best first, that does not answer `unsupported`; the reference is last and takes everything.
#pragma once
#include <span>
#include <string_view>

#include "ftlib/core/error.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/profile.h"

namespace ftlib::inline FTLIB_ABI {

struct MatmulArgs;
struct LinearArgs;
struct LinearBackwardArgs;
struct AttentionArgs;
struct AttentionBackwardArgs;
struct RmsNormArgs;
struct RmsNormBackwardArgs;
struct RopeArgs;
struct SwigluArgs;
struct SwigluBackwardArgs;
struct EmbeddingArgs;
struct CrossEntropyArgs;
struct DropoutArgs;
struct ConvertArgs;
struct Nf4QuantizeArgs;
struct Nf4DequantizeArgs;

/// Kernels validate nothing: entry points do. They must not throw, allocate per call, or depend on the thread count.
struct KernelTable {
  std::string_view name;         ///< "onednn", "avx512bf16", "avx2", "portable", "ref"
  bool (*available)() noexcept;  ///< on this CPU
  Status (*matmul)(const MatmulArgs&) noexcept = nullptr;
  Status (*linear)(const LinearArgs&) noexcept = nullptr;
  Status (*linear_backward)(const LinearBackwardArgs&) noexcept = nullptr;
  Status (*attention)(const AttentionArgs&) noexcept = nullptr;
  Status (*attention_backward)(const AttentionBackwardArgs&) noexcept = nullptr;
  Status (*rms_norm)(const RmsNormArgs&) noexcept = nullptr;
  Status (*rms_norm_backward)(const RmsNormBackwardArgs&) noexcept = nullptr;
  Status (*rope)(const RopeArgs&) noexcept = nullptr;
  Status (*swiglu)(const SwigluArgs&) noexcept = nullptr;
  Status (*swiglu_backward)(const SwigluBackwardArgs&) noexcept = nullptr;
  Status (*embedding)(const EmbeddingArgs&) noexcept = nullptr;
  Status (*cross_entropy)(const CrossEntropyArgs&) noexcept = nullptr;
  Status (*dropout)(const DropoutArgs&) noexcept = nullptr;
  Status (*convert)(const ConvertArgs&) noexcept = nullptr;
  Status (*nf4_quantize)(const Nf4QuantizeArgs&) noexcept = nullptr;
  Status (*nf4_dequantize)(const Nf4DequantizeArgs&) noexcept = nullptr;
};

/// All tables of this build, best first, the reference last; available or not on this CPU.
std::span<const KernelTable* const> backends() noexcept;

/// Forces one backend by name for the whole process ("" = automatic again); its empty entries fall to the reference.
/// FTLIB_FORCE_BACKEND does the same from the environment, read on first use.
/// Throws Error{unsupported} that lists the names present on this machine. Not for use while ops run.
void force_backend(std::string_view name);

/// The backend that ran the last op of this kind on this thread, e.g. backend_used("matmul"); "" before any.
std::string_view backend_used(std::string_view op) noexcept;

/// The tables that an op tries now, best first: all that are available here, or the forced one and the reference.
/// Throws Error{unsupported} where FTLIB_FORCE_BACKEND names none of them.
std::span<const KernelTable* const> active_backends();

namespace detail {

const KernelTable& portable_backend() noexcept;
const KernelTable& reference_backend() noexcept;

void note_backend(std::string_view op, std::string_view backend) noexcept;

/// Bytes of the operands that are there, each counted once.
template <class... Views>
double bytes_of(const Views&... views) noexcept {
  return static_cast<double>((views.bytes() + ...));
}

/// Runs `op` on the first active backend that takes it. Beside each op stands its op_work(args), for profiles.
template <class Args>
void run(std::string_view name, Status (*KernelTable::*op)(const Args&) noexcept, const Args& args) {
  check_process();
  const ProfiledCall call(name, [&] { return op_work(args); });
  for (const KernelTable* backend : active_backends()) {
    const auto kernel = backend->*op;
    if (kernel == nullptr) continue;
    const Status status = kernel(args);
    if (status == Status::unsupported) continue;
    FT_CHECK(status != Status::out_of_memory, out_of_memory, "[", name, "] out of memory for the scratch block");
    FT_CHECK(status == Status::ok, internal, "[", name, "] backend ", backend->name, ": ", status_name(status));
    note_backend(name, backend->name);
    return;
  }
  throw Error(Status::unsupported, concat("[", name, "] no backend takes these shapes and dtypes"));
}
}  // namespace detail

}  // namespace ftlib

#ifdef FTLIB_HEADER_ONLY
#include "ftlib/ops/backend-inl.h"
#endif
