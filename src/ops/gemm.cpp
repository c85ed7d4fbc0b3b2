// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/gemm-inl.h"
