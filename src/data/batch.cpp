// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/batch-inl.h"
