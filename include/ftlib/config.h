// SPDX-License-Identifier: Apache-2.0
// Version, the header-only switch and the inline namespace that keeps the two modes apart in one program.
#pragma once

#define FTLIB_VERSION_MAJOR 0
#define FTLIB_VERSION_MINOR 1
#define FTLIB_VERSION_PATCH 0
#define FTLIB_VERSION "0.1.0"

#ifdef FTLIB_HEADER_ONLY
#define FTLIB_ABI v0_header
#define FTLIB_INLINE inline
#else
#define FTLIB_ABI v0
#define FTLIB_INLINE
#endif
