// SPDX-License-Identifier: Apache-2.0
// Byte products by smlal: 16-bit sums, widened before they overflow. A lane holds every fourth input of a row; two
// products fit at 8 bits and for `dint` with eighths of steps, 16 at 4 bits, a whole block's below.
#pragma once

#include "matmul_a8_neon.h"

namespace edgeq::kernels {
namespace {

struct MultiplyNeon {
  static constexpr int kTokens = 4; // at most, in a register block
  static constexpr int quarters(int tokens) { return tokens < 3 ? 4 : 2; }

  /// 16-bit sums of a quarter: four lanes per row.
  struct Words {
    int16x8_t low, high;

    EDGEQ_MEMBER void clear() { low = high = vdupq_n_s16(0); }
    EDGEQ_MEMBER void add(int8x16_t rows, int8x16_t x) {
      low = vmlal_s8(low, vget_low_s8(rows), vget_low_s8(x));
      high = vmlal_high_s8(high, rows, x);
    }
  };

  /// 32-bit sums of a quarter: two lanes per row.
  struct Pairs {
    int32x4_t low, high;

    EDGEQ_MEMBER void clear() { low = high = vdupq_n_s32(0); }
    EDGEQ_MEMBER void add(const Words& words) {
      low = vpadalq_s16(low, words.low);
      high = vpadalq_s16(high, words.high);
    }
    EDGEQ_MEMBER int32x4_t sums() const { return vpaddq_s32(low, high); }
  };

  /// The four inputs at `x`, four times.
  EDGEQ_INLINE int8x16_t repeat(const std::int8_t* x) {
    std::int32_t four = 0;
    std::memcpy(&four, x, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }

  /// Inputs whose products fit into 16 bits: a power of two, a block at most.
  template <class Factors> static constexpr std::size_t run_inputs() {
    std::size_t inputs = kActivationBlock;
    while (Factors::kLargest * 127 * inputs / 4 > 32767)
      inputs /= 2;
    static_assert(Factors::kLargest * 127 <= 32767);
    return inputs;
  }

  template <class Factors, int Tokens, int Quarters>
  EDGEQ_MEMBER static void add(const Factors (&factors)[Quarters], const std::uint8_t* lines, std::size_t count,
                               const std::int8_t* x, QuarterSums<Tokens, Quarters>& sums) {
    constexpr std::size_t kChunk = UniformFields<Factors::kBits>::kChunkInputs;
    constexpr std::size_t kRun = run_inputs<Factors>() < kChunk ? kChunk : run_inputs<Factors>();
    Pairs pairs[Tokens][Quarters];
    EDGEQ_UNROLL for (int i = 0; i < Tokens * Quarters; ++i) pairs[i / Quarters][i % Quarters].clear();
    for (std::size_t k = 0; k < count; k += kRun) {
      const std::size_t run = smaller(kRun, count - k);
      add_run<Factors, Tokens, Quarters>(factors, lines, run, x, pairs);
      lines += 4 * Factors::kBits * run;
      x += Tokens * run;
    }
    EDGEQ_UNROLL for (int i = 0; i < Tokens * Quarters; ++i) sums[i / Quarters][i % Quarters] =
        vaddq_s32(sums[i / Quarters][i % Quarters], pairs[i / Quarters][i % Quarters].sums());
  }

  template <class Factors, int Tokens, int Quarters>
  EDGEQ_MEMBER static void add_run(const Factors (&factors)[Quarters], const std::uint8_t* lines, std::size_t count,
                                   const std::int8_t* x, Pairs (&pairs)[Tokens][Quarters]) {
    constexpr int kBits = Factors::kBits, kFields = UniformFields<kBits>::kFields;
    constexpr int kFitting = static_cast<int>(run_inputs<Factors>() / 4); // fields
    Words words[Tokens][Quarters];
    EDGEQ_UNROLL for (int i = 0; i < Tokens * Quarters; ++i) words[i / Quarters][i % Quarters].clear();
    for (std::size_t k = 0; k < count; k += 4 * kFields) {
      for_constants<Quarters>([&](auto quarter) __attribute__((always_inline)) {
        constexpr int q = decltype(quarter)::value;
        const QuarterChunk<kBits> chunk(lines + quarter_offset<kBits>(q));
        for_constants<kFields>([&](auto field) __attribute__((always_inline)) {
          constexpr int f = decltype(field)::value;
          const int8x16_t rows = factors[q].template get<f>(chunk);
          EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) words[t][q].add(rows, repeat(x + 4 * (f * Tokens + t)));
          if constexpr (kFitting < kFields && (f + 1) % kFitting == 0) // less than a chunk fits
            EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
              pairs[t][q].add(words[t][q]);
              words[t][q].clear();
            }
        });
      });
      lines += 2 * UniformFields<kBits>::kChunkBytes;
      x += 4 * kFields * Tokens;
    }
    EDGEQ_UNROLL for (int i = 0; i < Tokens * Quarters; ++i) pairs[i / Quarters][i % Quarters].add(
        words[i / Quarters][i % Quarters]);
  }
};

} // namespace
} // namespace edgeq::kernels
