/* SPDX-License-Identifier: Apache-2.0 */
/* Each program prints the compiler that it was built with, by CMake's name for it, so that the tests know. */
#ifdef __clang__
#define COMPILER "Clang"
#else
#define COMPILER "GNU"
#endif
