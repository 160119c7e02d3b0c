// SPDX-License-Identifier: Apache-2.0
// The register block of bfloat16 prompts with vdpbf16ps: 12 tokens by 32 rows.
#pragma once

#include "bf16_tile_avx512.h"

namespace edgeq::kernels {
namespace {

template <int Tokens> struct Bf16Registers {
  static void run(const Bf16Block& block) {
    const DecodedTile& bytes = *block.bytes;
    const std::uint16_t *w = block.tile->values, *x = block.x;
    for (std::size_t index = 0; index < bytes.blocks; ++index) {
      __m512 acc[Tokens][2];
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) acc[t][0] = acc[t][1] = _mm512_setzero_ps();
      for (std::size_t k = 0; k < bytes.counts[index]; k += kBf16Run, x += kBf16Run * Tokens)
        for (int pair = 0; pair < 16; ++pair, w += 2 * kDecodedRows)
          step(w, x + 2 * pair, acc);
      add_products(bytes.scales[index], acc, block.y);
    }
  }

private:
  EDGEQ_MEMBER static void step(const std::uint16_t* w, const std::uint16_t* x, __m512 (&acc)[Tokens][2]) {
    const __m512i upper = Vector512::load(w), lower = Vector512::load(w + 32);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const __m512i pair = Vector512::broadcast4(x + static_cast<int>(kBf16Run) * t);
      dot(acc[t][0], upper, pair);
      dot(acc[t][1], lower, pair);
    }
  }

  /// In assembly, as GCC 12 copies and spills the intrinsic's accumulators.
  EDGEQ_MEMBER static void dot(__m512& acc, __m512i w, __m512i x) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(w), "v"(x));
  }

  EDGEQ_MEMBER static void add_products(const float* scales, const __m512 (&acc)[Tokens][2], float* y) {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Tokens; ++i) {
      float* sums = y + 16 * i;
      _mm512_storeu_ps(
          sums, _mm512_fmadd_ps(acc[i / 2][i % 2], _mm512_loadu_ps(scales + 16 * (i % 2)), _mm512_loadu_ps(sums)));
    }
  }
};

struct Bf16BlockAvx512 {
  static constexpr std::size_t kTokens = 12;

  static void run(const Bf16Block& block, std::size_t tokens) {
    using Function = void (*)(const Bf16Block&);
    static constexpr Function kFunctions[kTokens] = {
        Bf16Registers<1>::run, Bf16Registers<2>::run,  Bf16Registers<3>::run,  Bf16Registers<4>::run,
        Bf16Registers<5>::run, Bf16Registers<6>::run,  Bf16Registers<7>::run,  Bf16Registers<8>::run,
        Bf16Registers<9>::run, Bf16Registers<10>::run, Bf16Registers<11>::run, Bf16Registers<12>::run};
    kFunctions[tokens - 1](block);
  }
  static void finish() {}
};

} // namespace
} // namespace edgeq::kernels
