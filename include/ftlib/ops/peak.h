// SPDX-License-Identifier: Apache-2.0
// This machine's own ceiling, measured in this process: every speed is stated as a fraction of it.
#pragma once
#include "ftlib/core/tensor.h"

namespace ftlib::inline FTLIB_ABI {

/// Floating-point operations a second of multiply-adds that never leave the registers, on all threads() at once, for
/// operands of `compute` (f32, or bf16 accumulated in f32), with the widest instructions of the CPU or of the forced
/// backend: the median of several bursts, about 60 ms in all. Remembered for the process per instruction set, dtype and
/// thread count. Thread-safe.
double peak_flops(DType compute);

/// The same, measured now: for what is timed in other minutes than those of the first call. Thread-safe.
double peak_flops_now(DType compute);

}  // namespace ftlib
