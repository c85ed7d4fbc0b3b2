// SPDX-License-Identifier: Apache-2.0
#include "ftlib/ops/rms_norm-inl.h"
