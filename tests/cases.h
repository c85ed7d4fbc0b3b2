// SPDX-License-Identifier: Apache-2.0
// One table of shapes per op; it drives the tests of value, gradient and support, and the benchmarks.
#pragma once
#include <cstdint>
#include <vector>

namespace cases {

/// Elementwise ops over [T, D]: nothing, one element, odd tails, a model's shapes.
struct Matrix {
  std::int64_t rows, columns;
};
inline constexpr Matrix kMatrices[] = {{0, 8}, {1, 1}, {3, 7}, {5, 64}, {17, 576}, {2, 4097}, {130, 1536}};

/// rope over [T, heads, E].
struct HeadShape {
  std::int64_t tokens, heads, head_dim;
};
inline constexpr HeadShape kHeadShapes[] = {{0, 2, 8}, {1, 1, 2}, {5, 3, 16}, {33, 9, 64}, {7, 2, 80}, {9, 1, 128}};

/// cross_entropy over [S, V].
inline constexpr Matrix kLogits[] = {{0, 5}, {1, 1}, {3, 2}, {4, 1000}, {2, 49152}, {3, 32003}};

/// attention: query heads H on K key/value heads of dim E, segments of these lengths.
struct Attention {
  std::int64_t heads, kv_heads, head_dim;
  std::vector<std::int32_t> lengths;
};
inline const std::vector<Attention> kAttention = {
    {1, 1, 16, {}},
    {1, 1, 16, {1}},
    {2, 2, 16, {1, 1, 5, 0, 3}},
    {3, 1, 64, {70, 1, 33}},
    {9, 3, 64, {65, 130}},
    {8, 1, 80, {17, 48}},
    {6, 2, 128, {20, 66}},
    {2, 1, 6, {40}},
};

}  // namespace cases
