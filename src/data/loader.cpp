// SPDX-License-Identifier: Apache-2.0
#include "ftlib/data/loader-inl.h"
