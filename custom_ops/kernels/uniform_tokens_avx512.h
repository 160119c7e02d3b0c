// SPDX-License-Identifier: Apache-2.0
// Two to six tokens by 32 rows with vpdpbusd: unsigned codes times signed activations. A 32-bit lane belongs to one
// row, so nothing is summed across lanes. Codes are decoded in registers, once for all tokens of the panel. Included by
// one source per instruction set.
#pragma once

#include "dot_product_avx512_vnni.h"
#include "matmul_a8_driver.h"
#include "uniform_dispatch.h"
#include "uniform_lines.h"

namespace edgeq::kernels {
namespace {

/// Lines are as for TokenBlock, but decode() shifts codes down; kInPlace: codes_in_place() does not.
template <class Lines, int Tokens> struct RegisterBlock {
  using Fields = typename Lines::Fields;
  static constexpr int kFields = static_cast<int>(Fields::kFields);
  // Places of a field in its byte.
  static constexpr int kPlaces = kFields == 4 ? 4 : kFields == 1 ? 1 : 2;
  // Independent sums per token and row block, to hide the latency of vpdpbusd where there are few tokens.
  static constexpr int kChains = Tokens == 2 ? (kPlaces == 4 ? 4 : 2) : Tokens == 3 ? 2 : 1;
  // With a sum for each place codes are multiplied where they lie, and the sums shifted.
  static constexpr bool kInPlace = Lines::kInPlace && kChains >= kPlaces;

  EDGEQ_MEMBER static __m512i decode(const std::uint8_t* line, int f, __m512i zero) {
    if constexpr (kInPlace)
      return Lines::codes_in_place(line, f);
    else
      return Lines::decode(line, f, zero);
  }

  EDGEQ_MEMBER static __m512i add_chains(const __m512i (&acc)[kChains]) {
    __m512i sum = acc[0];
    EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) {
      const int shift = kInPlace ? Lines::field_shift(c) : 0;
      sum = _mm512_add_epi32(sum, shift == 0 ? acc[c] : _mm512_srai_epi32(acc[c], static_cast<unsigned>(shift)));
    }
    return sum;
  }

  /// Adds the products of one activation block to the 32 rows of y.
  EDGEQ_MEMBER static void add_block(const A8Inputs& inputs, __m512 (&y)[Tokens][2]) {
    const std::uint8_t *codes = inputs.codes, *trailer = inputs.trailer;
    const std::int8_t* x = inputs.x;
    const std::int32_t* sums = inputs.sums;
    __m512i acc[Tokens][2][kChains];
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      acc[t][0][0] = Lines::kSubtractZeros ? _mm512_setzero_si512() : _mm512_set1_epi32(-Lines::kCentre * sums[t]);
      acc[t][1][0] = acc[t][0][0];
      EDGEQ_UNROLL for (int c = 1; c < kChains; ++c) acc[t][0][c] = acc[t][1][c] = _mm512_setzero_si512();
    }
    const __m512i zeros[2] = {Lines::zeros(trailer + (Lines::kZeroPoint ? 64 : 0)),
                              Lines::zeros(trailer + (Lines::kZeroPoint ? 80 : 0))};
    for (const std::int8_t* end = x + inputs.count * Tokens; x != end; codes += 2 * Fields::kChunkBytes) {
      prefetch_stream(codes, 2 * Fields::kChunkBytes);
      EDGEQ_UNROLL for (int f = 0; f < kFields; ++f, x += 4 * Tokens) {
        const __m512i upper = decode(codes, f, zeros[0]), lower = decode(codes + Fields::kChunkBytes, f, zeros[1]);
        EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
          const __m512i activations = broadcast4(x + 4 * t);
          dot_product(acc[t][0][f % kChains], upper, activations);
          dot_product(acc[t][1][f % kChains], lower, activations);
        }
      }
    }
    prefetch_stream(trailer, Lines::kZeroPoint ? 96 : 64);
    EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
      const __m512 scale = _mm512_mul_ps(load_halfs(trailer + 32 * b), _mm512_set1_ps(Lines::kScale));
      const __m512 zero = _mm512_cvtepi32_ps(load_bytes_as_int32(trailer + (Lines::kSubtractZeros ? 64 + 16 * b : 0)));
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        __m512 product = _mm512_cvtepi32_ps(add_chains(acc[t][b]));
        if (Lines::kSubtractZeros)
          product = _mm512_fnmadd_ps(Lines::zeros_of_sums(zero), _mm512_set1_ps(static_cast<float>(sums[t])), product);
        y[t][b] = _mm512_fmadd_ps(_mm512_mul_ps(product, scale), _mm512_set1_ps(inputs.scales[t]), y[t][b]);
      }
    }
  }

  static void run(const A8Block& block) {
    __m512 y[Tokens][2];
    EDGEQ_UNROLL for (int i = 0; i < 2 * Tokens; ++i) y[i / 2][i % 2] = _mm512_loadu_ps(block.y + 16 * i);
    for_each_activation_block<Tokens>(block, [&](const A8Inputs& inputs) { add_block(inputs, y); });
    EDGEQ_UNROLL for (int i = 0; i < 2 * Tokens; ++i) _mm512_storeu_ps(block.y + 16 * i, y[i / 2][i % 2]);
  }
};

template <class Lines> struct SeveralTokens {
  static constexpr std::size_t kTokens = 6;

  static void run(const A8Block& block, std::size_t tokens) {
    switch (tokens) {
    case 2:
      return RegisterBlock<Lines, 2>::run(block);
    case 3:
      return RegisterBlock<Lines, 3>::run(block);
    case 4:
      return RegisterBlock<Lines, 4>::run(block);
    case 5:
      return RegisterBlock<Lines, 5>::run(block);
    default:
      return RegisterBlock<Lines, 6>::run(block);
    }
  }
};

} // namespace
} // namespace edgeq::kernels
