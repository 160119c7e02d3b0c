// SPDX-License-Identifier: Apache-2.0
// Byte products by sdot: four inputs of four rows times four inputs of one token.
#pragma once

#include "matmul_a8_neon.h"

namespace edgeq::kernels {
namespace {

struct MultiplyDotprod {
  static constexpr int kTokens = 6; // at most, in a register block
  static constexpr int quarters(int tokens) { return tokens < 3 ? 8 : 4; }

  /// Activations are [inputs / 4][Tokens][4]: 32-bit words, four of which fill a register. A pass is as many chunks as
  /// fill whole registers.
  template <class Factors, int Tokens, int Quarters>
  EDGEQ_MEMBER static void add(const Factors (&factors)[Quarters], const std::uint8_t* lines, std::size_t count,
                               const std::int8_t* x, QuarterSums<Tokens, Quarters>& sums) {
    constexpr int kBits = Factors::kBits, kFields = UniformFields<kBits>::kFields, kWords = kFields * Tokens;
    constexpr int kChunks = kWords % 4 == 0 ? 1 : kWords % 2 == 0 ? 2 : 4;
    constexpr std::size_t kStride = 2 * UniformFields<kBits>::kChunkBytes;
    for (std::size_t k = 0; k < count; k += kChunks * UniformFields<kBits>::kChunkInputs) {
      int8x16_t words[kChunks * kWords / 4];
      EDGEQ_UNROLL for (int i = 0; i < kChunks * kWords / 4; ++i) words[i] = vld1q_s8(x + 16 * i);
      for_constants<kChunks * Quarters>([&](auto index) __attribute__((always_inline)) {
        constexpr int chunk = decltype(index)::value / Quarters, q = decltype(index)::value % Quarters;
        const QuarterChunk<kBits> quarter(lines + chunk * kStride + quarter_offset<kBits>(q));
        for_constants<kFields>([&](auto field) __attribute__((always_inline)) {
          constexpr int f = decltype(field)::value;
          const int8x16_t rows = factors[q].template get<f>(quarter);
          for_constants<Tokens>([&](auto token) __attribute__((always_inline)) {
            constexpr int t = decltype(token)::value, word = (chunk * kFields + f) * Tokens + t;
            sums[t][q] = vdotq_laneq_s32(sums[t][q], rows, words[word / 4], word % 4);
          });
        });
      });
      lines += kChunks * kStride;
      x += 4 * kChunks * kWords;
    }
  }
};

} // namespace
} // namespace edgeq::kernels
