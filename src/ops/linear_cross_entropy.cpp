// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/linear_cross_entropy-inl.h"
