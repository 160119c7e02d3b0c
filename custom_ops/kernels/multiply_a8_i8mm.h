// SPDX-License-Identifier: Apache-2.0
// Byte products by smmla: two rows times two tokens, eight inputs each.
#pragma once

#include "matmul_a8_neon.h"

namespace edgeq::kernels {
namespace {

struct MultiplyI8mm {
  static constexpr int kTokens = 8; // at most, in a register block
  static constexpr int quarters(int tokens) { return tokens < 5 ? 4 : 2; }

  /// Eight inputs of tokens t and t + 1, [token][8 inputs]; `x` is [inputs / 4][Tokens][4]. Without a token t + 1,
  /// token t twice: its products are dropped.
  template <int Tokens, int Token> EDGEQ_INLINE int8x16_t token_pair(const std::int8_t* x) {
    const std::int8_t *first = x + 4 * Token, *second = first + 4 * Tokens;
    if constexpr (Token + 1 < Tokens) {
      const int32x4_t low = vcombine_s32(vreinterpret_s32_s8(vld1_s8(first)), vdup_n_s32(0));
      const int32x4_t high = vcombine_s32(vreinterpret_s32_s8(vld1_s8(second)), vdup_n_s32(0));
      return vreinterpretq_s8_s32(vzip1q_s32(low, high));
    } else {
      std::int32_t words[2];
      std::memcpy(words, first, 4);
      std::memcpy(words + 1, second, 4);
      const int32x2_t both = vset_lane_s32(words[1], vdup_n_s32(words[0]), 1);
      return vreinterpretq_s8_s32(vcombine_s32(both, both));
    }
  }

  /// Sums of a pair of tokens for one quarter, two rows each: [row][token].
  struct Squares {
    int32x4_t low, high;

    /// `near` and `far`: inputs 0 to 3 and 4 to 7 of the four rows.
    EDGEQ_MEMBER void add(int8x16_t near, int8x16_t far, int8x16_t tokens) {
      const int32x4_t near_words = vreinterpretq_s32_s8(near), far_words = vreinterpretq_s32_s8(far);
      low = vmmlaq_s32(low, vreinterpretq_s8_s32(vzip1q_s32(near_words, far_words)), tokens);
      high = vmmlaq_s32(high, vreinterpretq_s8_s32(vzip2q_s32(near_words, far_words)), tokens);
    }
    EDGEQ_MEMBER int32x4_t token(int second) const {
      return second == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high);
    }
  };

  template <class Factors, int Tokens, int Quarters>
  EDGEQ_MEMBER static void add(const Factors (&factors)[Quarters], const std::uint8_t* lines, std::size_t count,
                               const std::int8_t* x, QuarterSums<Tokens, Quarters>& sums) {
    constexpr int kBits = Factors::kBits, kFields = UniformFields<kBits>::kFields, kChunks = kFields == 1 ? 2 : 1;
    constexpr int kPairs = (Tokens + 1) / 2;
    constexpr std::size_t kStride = 2 * UniformFields<kBits>::kChunkBytes;
    Squares squares[kPairs][Quarters];
    EDGEQ_UNROLL for (int i = 0; i < kPairs * Quarters; ++i) squares[i / Quarters][i % Quarters].low =
        squares[i / Quarters][i % Quarters].high = vdupq_n_s32(0);
    for (std::size_t k = 0; k < count; k += kChunks * UniformFields<kBits>::kChunkInputs) {
      for_constants<Quarters>([&](auto quarter) __attribute__((always_inline)) {
        constexpr int q = decltype(quarter)::value;
        const std::uint8_t* place = lines + quarter_offset<kBits>(q);
        const QuarterChunk<kBits> chunks[2] = {QuarterChunk<kBits>(place),
                                               QuarterChunk<kBits>(place + (kChunks - 1) * kStride)};
        for_constants<kChunks * kFields / 2>([&](auto step) __attribute__((always_inline)) {
          constexpr int near = 2 * decltype(step)::value, far = near + 1;
          const int8x16_t near_rows = factors[q].template get<near % kFields>(chunks[near / kFields]);
          const int8x16_t far_rows = factors[q].template get<far % kFields>(chunks[far / kFields]);
          for_constants<kPairs>([&](auto pair) __attribute__((always_inline)) {
            constexpr int p = decltype(pair)::value;
            squares[p][q].add(near_rows, far_rows, token_pair<Tokens, 2 * p>(x + 4 * Tokens * near));
          });
        });
      });
      lines += kChunks * kStride;
      x += 4 * kChunks * kFields * Tokens;
    }
    EDGEQ_UNROLL for (int i = 0; i < Tokens * Quarters; ++i) {
      const int t = i / Quarters, q = i % Quarters;
      sums[t][q] = vaddq_s32(sums[t][q], squares[t / 2][q].token(t % 2));
    }
  }
};

} // namespace
} // namespace edgeq::kernels
