// SPDX-License-Identifier: Apache-2.0
// Products of decoded weights, [k][32 rows], with float activations.
#pragma once

#include "avx2.h"
#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Adds the products of Tokens tokens to 16 rows. A lone token sums every fourth input apart to hide latency.
template <int Tokens>
EDGEQ_INLINE void multiply_rows(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  constexpr int kChains = Tokens == 1 ? 4 : 1;
  __m256 acc[Tokens][2][kChains];
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
    acc[t][h][0] = _mm256_loadu_ps(y + 32 * t + 8 * h);
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][h][c] = _mm256_setzero_ps();
  }
  auto step = [&](std::size_t k, int chain) __attribute__((always_inline)) {
    const __m256 upper = _mm256_loadu_ps(weights + 32 * k), lower = _mm256_loadu_ps(weights + 32 * k + 8);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m256 activation = _mm256_set1_ps(x[static_cast<std::size_t>(t) * stride + k]);
      acc[t][0][chain] = _mm256_fmadd_ps(upper, activation, acc[t][0][chain]);
      acc[t][1][chain] = _mm256_fmadd_ps(lower, activation, acc[t][1][chain]);
    }
  };
  std::size_t k = 0;
  for (; k + kChains <= count; k += kChains)
    EDGEQ_UNROLL for (int c = 0; c < kChains; ++c) step(k + static_cast<std::size_t>(c), c);
  for (; k < count; ++k)
    step(k, 0);
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int h = 0; h < 2; ++h) {
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][h][0] = _mm256_add_ps(acc[t][h][0], acc[t][h][c]);
    _mm256_storeu_ps(y + 32 * t + 8 * h, acc[t][h][0]);
  }
}

template <int Tokens>
void multiply_tokens(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  multiply_rows<Tokens>(weights, count, x, stride, y);
  multiply_rows<Tokens>(weights + 16, count, x, stride, y + 16);
}

/// The register block of MatmulF32.
struct F32Block256 {
  static constexpr std::size_t kTokens = 6;

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t stride, std::size_t tokens,
                       float* y) {
    using Function = void (*)(const float*, std::size_t, const float*, std::size_t, float*);
    static constexpr Function kFunctions[kTokens] = {multiply_tokens<1>, multiply_tokens<2>, multiply_tokens<3>,
                                                     multiply_tokens<4>, multiply_tokens<5>, multiply_tokens<6>};
    kFunctions[tokens - 1](weights, count, x, stride, y);
  }
};

} // namespace
} // namespace edgeq::kernels
