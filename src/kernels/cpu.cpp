// SPDX-License-Identifier: Apache-2.0
// Built for the baseline CPU: what decides whether wider code may run must not contain any.
#include "kernels/backends.h"

namespace ftlib::inline FTLIB_ABI {
namespace kernels {

bool cpu_has_avx2() noexcept {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");  // every such CPU has F16C too
#else
  return false;
#endif
}

bool cpu_has_avx512bf16() noexcept {
#if defined(__x86_64__)
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace kernels
}  // namespace ftlib
