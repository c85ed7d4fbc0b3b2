// SPDX-License-Identifier: Apache-2.0
#include "ftlib/core/weight-inl.h"
