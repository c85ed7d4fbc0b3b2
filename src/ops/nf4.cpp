// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/nf4-inl.h"
