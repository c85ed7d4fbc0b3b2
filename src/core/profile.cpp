// SPDX-License-Identifier: Apache-2.0
#include "ftlib/core/profile-inl.h"
