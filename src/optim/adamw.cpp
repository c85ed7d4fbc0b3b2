// SPDX-License-Identifier: Apache-2.0
#include "ftlib/optim/adamw-inl.h"
