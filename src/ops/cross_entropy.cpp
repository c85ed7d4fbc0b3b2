// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/cross_entropy-inl.h"
