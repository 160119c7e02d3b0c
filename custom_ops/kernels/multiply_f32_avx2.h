// SPDX-License-Identifier: Apache-2.0
// Products of decoded weights, [k][32 rows], with float activations.
#pragma once

#include "avx2.h"
#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Where the activation of an input and token is: x is [k][Tokens] of a panel, else [Tokens][stride].
template <int Tokens, bool Panel>
EDGEQ_INLINE std::size_t activation_index(std::size_t k, int token, std::size_t stride) {
  const auto t = static_cast<std::size_t>(token);
  return Panel ? k * Tokens + t : t * stride + k;
}

/// Adds the products of Tokens tokens to 16 rows. A lone token sums every fourth input apart to hide latency.
template <int Tokens, bool Panel>
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
      const __m256 activation = _mm256_set1_ps(x[activation_index<Tokens, Panel>(k, t, stride)]);
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

template <int Tokens, bool Panel>
void multiply_tokens(const float* weights, std::size_t count, const float* x, std::size_t stride, float* y) {
  multiply_rows<Tokens, Panel>(weights, count, x, stride, y);
  multiply_rows<Tokens, Panel>(weights + 16, count, x, stride, y + 16);
}

/// The register block of MatmulF32 and MatmulF32Prompt.
struct F32Block256 {
  static constexpr std::size_t kTokens = 6;

  static void multiply(const float* weights, std::size_t count, const float* x, std::size_t stride, std::size_t tokens,
                       float* y) {
    run<false>(weights, count, x, stride, tokens, y);
  }
  static void multiply_panel(const float* weights, std::size_t count, const float* x, std::size_t tokens, float* y) {
    run<true>(weights, count, x, 0, tokens, y);
  }

private:
  template <bool Panel>
  EDGEQ_MEMBER static void run(const float* weights, std::size_t count, const float* x, std::size_t stride,
                               std::size_t tokens, float* y) {
    using Function = void (*)(const float*, std::size_t, const float*, std::size_t, float*);
    static constexpr Function kFunctions[kTokens] = {multiply_tokens<1, Panel>, multiply_tokens<2, Panel>,
                                                     multiply_tokens<3, Panel>, multiply_tokens<4, Panel>,
                                                     multiply_tokens<5, Panel>, multiply_tokens<6, Panel>};
    kFunctions[tokens - 1](weights, count, x, stride, y);
  }
};

} // namespace
} // namespace edgeq::kernels
