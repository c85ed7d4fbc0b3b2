// SPDX-License-Identifier: Apache-2.0
// One table of shapes per op. The tests of its values and of its backends run over it, forward and backward, and so do
// the benchmarks, which add the shapes of a model. Tests of derivatives have small shapes of their own.
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

/// matmul: [M, K] by [K, N].
struct Product {
  std::int64_t m, n, k;
};
inline constexpr Product kProducts[] = {
    {0, 3, 2},  {1, 1, 1},  {1, 1, 0},     {2, 3, 5},     {5, 16, 33},    {16, 96, 130},
    {70, 16, 300}, {130, 17, 64}, {33, 65, 257}, {12, 140, 2100}, {300, 64, 100}, {4, 1000, 64},  {16, 200, 1500}, {70, 3, 4100},
};

/// linear and linear_backward: the rank is that of the low-rank update (0: absent), extras are bias and residual.
struct Linear {
  std::int64_t tokens, out, in, rank;
  bool extras;
};
inline constexpr Linear kLinears[] = {
    {0, 3, 32, 1, true},    {1, 1, 1, 0, false},      {2, 3, 5, 1, true},        {1, 64, 32, 0, false},
    {5, 65, 96, 3, true},   {7, 16, 256, 16, true},   {13, 192, 576, 16, true},  {64, 130, 64, 0, true},
    {70, 33, 41, 8, false}, {6, 33, 2304, 5, true},   {5, 2304, 288, 1, true},   {300, 100, 32, 2, true},
    {41, 40, 512, 0, false},
};

}  // namespace cases
