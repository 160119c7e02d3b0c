// SPDX-License-Identifier: Apache-2.0
// Products of decoded weights, [k][32 rows], with float activations.
#pragma once

#include "avx512.h"
#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Adds the products of Tokens tokens to 32 rows. A lone token sums even and odd inputs apart to hide latency.
template <int Tokens>
void multiply_tokens(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  constexpr int kChains = Tokens <= 2 ? 4 : 1;
  __m512 acc[Tokens][2][kChains];
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
    acc[t][b][0] = _mm512_loadu_ps(y + 32 * t + 16 * b);
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][b][c] = _mm512_setzero_ps();
  }
  auto step = [&](std::size_t k, int chain) __attribute__((always_inline)) {
    const __m512 upper = _mm512_loadu_ps(weights + 32 * k), lower = _mm512_loadu_ps(weights + 32 * k + 16);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m512 activation = _mm512_set1_ps(x[static_cast<std::size_t>(t) * stride + k]);
      acc[t][0][chain] = _mm512_fmadd_ps(upper, activation, acc[t][0][chain]);
      acc[t][1][chain] = _mm512_fmadd_ps(lower, activation, acc[t][1][chain]);
    }
  };
  std::size_t k = 0;
  for (; k + kChains <= count; k += kChains)
    EDGEQ_UNROLL for (int c = 0; c < kChains; ++c) step(k + static_cast<std::size_t>(c), c);
  for (; k < count; ++k)
    step(k, 0);
  EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][b][0] = _mm512_add_ps(acc[t][b][0], acc[t][b][c]);
    _mm512_storeu_ps(y + 32 * t + 16 * b, acc[t][b][0]);
  }
}

/// The register block of MatmulF32.
struct F32Block512 {
  static constexpr std::size_t kTokens = 12;

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t stride, std::size_t tokens,
                       float* y) {
    using Function = void (*)(const float*, std::size_t, const float*, std::size_t, float*);
    static constexpr Function kFunctions[kTokens] = {multiply_tokens<1>,  multiply_tokens<2>,  multiply_tokens<3>,
                                                     multiply_tokens<4>,  multiply_tokens<5>,  multiply_tokens<6>,
                                                     multiply_tokens<7>,  multiply_tokens<8>,  multiply_tokens<9>,
                                                     multiply_tokens<10>, multiply_tokens<11>, multiply_tokens<12>};
    kFunctions[tokens - 1](weights, count, x, stride, y);
  }
};

} // namespace
} // namespace edgeq::kernels
