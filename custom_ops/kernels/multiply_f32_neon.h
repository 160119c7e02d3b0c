// SPDX-License-Identifier: Apache-2.0
// Float products of a tile that was decoded to float32, on 64-bit ARM. Included by one source per kernel.
#pragma once

#include "constants.h"
#include "neon.h"

namespace edgeq::kernels {
namespace {

/// Adds the products of `count` inputs to Tokens × 4·Vectors sums. Weights are [count][Rows], sums [token][Rows];
/// x(k, token) is an activation.
template <int Tokens, int Vectors, int Rows, class Activation>
EDGEQ_INLINE void multiply_rows(const float* weights, std::size_t count, const Activation& x, float* sums) {
  float32x4_t acc[Tokens][Vectors];
  EDGEQ_UNROLL for (int i = 0; i < Tokens * Vectors; ++i) acc[i / Vectors][i % Vectors] =
      vld1q_f32(sums + Rows * (i / Vectors) + 4 * (i % Vectors));
  for (std::size_t k = 0; k < count; ++k, weights += Rows) {
    float32x4_t rows[Vectors];
    EDGEQ_UNROLL for (int v = 0; v < Vectors; ++v) rows[v] = vld1q_f32(weights + 4 * v);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int v = 0; v < Vectors; ++v) acc[t][v] =
        vfmaq_n_f32(acc[t][v], rows[v], x(k, t));
  }
  EDGEQ_UNROLL for (int i = 0; i < Tokens * Vectors; ++i)
      vst1q_f32(sums + Rows * (i / Vectors) + 4 * (i % Vectors), acc[i / Vectors][i % Vectors]);
}

} // namespace
} // namespace edgeq::kernels
