// SPDX-License-Identifier: Apache-2.0
// The register block of bfloat16 prompts with bfmmla, two rows × two tokens × four inputs: 8 tokens by 8 rows.
#pragma once

#include "bf16_block.h"
#include "neon.h"

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE bfloat16x8_t load_8_bf16(const std::uint16_t* values) { return vreinterpretq_bf16_u16(vld1q_u16(values)); }

template <int Tokens> struct Bf16Registers {
  static constexpr int kRows = Tokens <= 4 ? 16 : 8;
  static constexpr int kPairs = (Tokens + 1) / 2; // of tokens
  using Squares = float32x4_t[kPairs][kRows / 2]; // [row][token] of two each

  static void run(const Bf16Block& arguments) {
    const Bf16Block block = arguments; // a copy: what is stored cannot change it
    for (int row = 0; row < static_cast<int>(kDecodedRows); row += kRows) {
      const std::uint16_t *w = block.tile->values + 4 * row, *x = block.x;
      for (std::size_t index = 0; index < block.bytes->blocks; ++index) {
        const std::size_t count = block.bytes->counts[index];
        Squares squares;
        multiply(w, x, count, squares);
        add_products(block.bytes->scales[index] + row, squares, block.y + row);
        w += count * kDecodedRows, x += count * Tokens;
      }
    }
  }

  /// Sums of products of `count` inputs.
  EDGEQ_MEMBER static void multiply(const std::uint16_t* w, const std::uint16_t* x, std::size_t count,
                                    Squares& squares) {
    Squares acc;
    EDGEQ_UNROLL for (int i = 0; i < kPairs * kRows / 2; ++i) acc[i / (kRows / 2)][i % (kRows / 2)] = vdupq_n_f32(0);
    for (std::size_t k = 0; k < count; k += 4, w += 4 * kDecodedRows, x += 4 * Tokens) {
      bfloat16x8_t rows[kRows / 2];
      EDGEQ_UNROLL for (int r = 0; r < kRows / 2; ++r) rows[r] = load_8_bf16(w + 8 * r);
      EDGEQ_UNROLL for (int p = 0; p < kPairs; ++p) {
        const bfloat16x8_t tokens = token_pair(x, 2 * p);
        EDGEQ_UNROLL for (int r = 0; r < kRows / 2; ++r) acc[p][r] = vbfmmlaq_f32(acc[p][r], rows[r], tokens);
      }
    }
    EDGEQ_UNROLL for (int i = 0; i < kPairs * kRows / 2; ++i) squares[i / (kRows / 2)][i % (kRows / 2)] =
        acc[i / (kRows / 2)][i % (kRows / 2)];
  }

private:
  /// Four inputs of tokens t and t + 1. Without a token t + 1, token t twice: its products are dropped.
  EDGEQ_MEMBER static bfloat16x8_t token_pair(const std::uint16_t* x, int t) {
    if (t + 1 < Tokens)
      return load_8_bf16(x + 4 * t);
    const uint16x4_t lone = vld1_u16(x + 4 * t);
    return vreinterpretq_bf16_u16(vcombine_u16(lone, lone));
  }

  EDGEQ_MEMBER static void add_products(const float* scales, const Squares& squares, float* y) {
    EDGEQ_UNROLL for (int r = 0; r < kRows / 4; ++r) {
      const float32x4_t scale = vld1q_f32(scales + 4 * r);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        const float32x4_t low = squares[t / 2][2 * r], high = squares[t / 2][2 * r + 1];
        float* sums = y + static_cast<int>(kDecodedRows) * t + 4 * r;
        vst1q_f32(sums, vfmaq_f32(vld1q_f32(sums), t % 2 == 0 ? vuzp1q_f32(low, high) : vuzp2q_f32(low, high), scale));
      }
    }
  }
};

struct Bf16BlockBf16 {
  static constexpr std::size_t kTokens = 8;

  static void run(const Bf16Block& block, std::size_t tokens) {
    using Function = void (*)(const Bf16Block&);
    static constexpr Function kFunctions[kTokens] = {
        Bf16Registers<1>::run, Bf16Registers<2>::run, Bf16Registers<3>::run, Bf16Registers<4>::run,
        Bf16Registers<5>::run, Bf16Registers<6>::run, Bf16Registers<7>::run, Bf16Registers<8>::run};
    kFunctions[tokens - 1](block);
  }
  static void finish() {}
};

} // namespace
} // namespace edgeq::kernels
