// SPDX-License-Identifier: Apache-2.0
// The register block of products of decoded tiles on 64-bit ARM.
#pragma once

#include "matmul_a8_neon.h"
#include "matmul_u8_block.h"

namespace edgeq::kernels {
namespace {

/// The bytes of a DecodedTile, which lie as 8-bit codes do, as factors: signed ones, or unsigned ones less Centre, 128.
template <int Centre> struct DecodedFactors {
  static constexpr int kBits = 8;
  static constexpr bool kZeroApart = false;
  static constexpr int kOffset = 0;
  static constexpr int kLargest = 128;

  EDGEQ_MEMBER explicit DecodedFactors(const std::uint8_t*) {}

  template <int Field> EDGEQ_MEMBER int8x16_t get(const QuarterChunk<8>& chunk) const {
    return vreinterpretq_s8_u8(Centre == 0 ? chunk.line : veorq_u8(chunk.line, vdupq_n_u8(Centre)));
  }
};

template <class Multiply, int Centre, int Tokens, int Quarters> struct DecodedRegisterBlock {
  EDGEQ_MEMBER static void add_block(const std::uint8_t* bytes, std::size_t count, const std::int8_t* x,
                                     const float* row_scales, const float* scales, float* y) {
    static constexpr std::int32_t kNoOffsets[Tokens] = {};
    QuarterSums<Tokens, Quarters> products;
    NeonRegisterBlock<Multiply, DecodedFactors<Centre>, Tokens, Quarters>::multiply(bytes, count, x, kNoOffsets,
                                                                                    nullptr, products);
    EDGEQ_UNROLL for (int q = 0; q < Quarters; ++q) {
      const float32x4_t scale = vld1q_f32(row_scales + 4 * q);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        float* rows = y + 32 * t + 4 * q;
        vst1q_f32(rows, vfmaq_n_f32(vld1q_f32(rows), vmulq_f32(vcvtq_f32_s32(products[t][q]), scale), scales[t]));
      }
    }
  }

  static void run(const U8Block& arguments) {
    const U8Block block = arguments; // a copy: what is stored cannot change it
    const std::uint8_t* bytes = block.tile->bytes;
    const std::int8_t* x = block.x;
    for (std::size_t index = 0; index < block.tile->blocks; ++index) {
      const std::size_t count = block.tile->counts[index];
      for (int q = 0; q < kTileQuarters; q += Quarters)
        add_block(bytes + quarter_offset<8>(q), count, x, block.tile->scales[index] + 4 * q,
                  block.scales + index * Tokens, block.y + 4 * q);
      bytes += count * kDecodedRows;
      x += count * Tokens;
    }
  }
};

/// The register blocks of a way to multiply, by the number of tokens.
template <class Multiply, int Centre> struct DecodedKernel {
  static constexpr std::size_t kTokens = Multiply::kTokens;

  static void run(const U8Block& block, std::size_t tokens) { run_at_most<Multiply::kTokens>(block, tokens); }

private:
  template <int Tokens> EDGEQ_MEMBER static void run_at_most(const U8Block& block, std::size_t tokens) {
    if constexpr (Tokens > 1)
      if (tokens < Tokens)
        return run_at_most<Tokens - 1>(block, tokens);
    DecodedRegisterBlock<Multiply, Centre, Tokens, Multiply::quarters(Tokens)>::run(block);
  }
};

} // namespace
} // namespace edgeq::kernels
