// SPDX-License-Identifier: Apache-2.0
// The register block of MatmulA8 on 64-bit ARM, for any way to multiply bytes. Included by one source per instruction
// set. A quarter is four rows: 16 bytes of a line, or four lanes of sums.
#pragma once

#include "constants.h"
#include "matmul_a8_driver.h"
#include "uniform_dispatch.h"
#include "uniform_factors_neon.h"

namespace edgeq::kernels {
namespace {

constexpr int kTileQuarters = 8;

template <int Tokens, int Quarters> using QuarterSums = int32x4_t[Tokens][Quarters];

/// The factors of `Quarters` quarters of a tile; `zeros`: of their rows.
template <class Factors, int Quarters> struct QuarterFactors {
  Factors quarters[Quarters];

  EDGEQ_MEMBER explicit QuarterFactors(const std::uint8_t* zeros)
      : QuarterFactors(zeros, std::make_integer_sequence<int, Quarters>{}) {}
  template <int... Q>
  EDGEQ_MEMBER QuarterFactors(const std::uint8_t* zeros, std::integer_sequence<int, Q...>)
      : quarters{Factors(zeros + 4 * Q)...} {}
};

/// Tokens × 4·Quarters rows. Multiply::add<Factors, Tokens, Quarters>(factors, lines, count, x, sums) adds the products
/// of factors and activations of `count` inputs (a multiple of 32, at most kActivationBlock) to sums.
template <class Multiply, class Factors, int Tokens, int Quarters> struct NeonRegisterBlock {
  /// The sums of one activation block, without a zero point that is apart.
  EDGEQ_MEMBER static void multiply(const std::uint8_t* lines, std::size_t count, const std::int8_t* x,
                                    const std::int32_t* sums, const std::uint8_t* zeros,
                                    QuarterSums<Tokens, Quarters>& products) {
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int q = 0; q < Quarters; ++q) products[t][q] =
        vdupq_n_s32(Factors::kOffset * sums[t]);
    const QuarterFactors<Factors, Quarters> factors(zeros);
    Multiply::template add<Factors, Tokens, Quarters>(factors.quarters, lines, count, x, products);
  }

  /// Adds the products of one activation block to the rows of `Quarters` quarters, from the first, of y, [tokens][32].
  EDGEQ_MEMBER static void add_block(const A8Inputs& inputs, int first, float* y) {
    const std::uint8_t* lines = inputs.codes + quarter_offset<Factors::kBits>(first);
    const std::uint8_t *trailer = inputs.trailer + 8 * first, *zeros = inputs.trailer + 64 + 4 * first;
    const std::int32_t* sums = inputs.sums;
    QuarterSums<Tokens, Quarters> products;
    multiply(lines, inputs.count, inputs.x, sums, zeros, products);
    EDGEQ_UNROLL for (int q = 0; q < Quarters; ++q) {
      const float32x4_t scale = load_scales<Factors>(trailer + 8 * q);
      const int32x4_t zero =
          Factors::kZeroApart ? vreinterpretq_s32_u32(load_4_bytes_as_uint32(zeros + 4 * q)) : vdupq_n_s32(0);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        const int32x4_t product = Factors::kZeroApart ? vmlsq_n_s32(products[t][q], zero, sums[t]) : products[t][q];
        float* rows = y + 32 * t + 4 * (first + q);
        vst1q_f32(rows, vfmaq_n_f32(vld1q_f32(rows), vmulq_f32(vcvtq_f32_s32(product), scale), inputs.scales[t]));
      }
    }
  }

  static void run(const A8Block& block) {
    for_each_activation_block<Tokens>(block, [&](const A8Inputs& inputs) {
      // The later quarters' lines come from the first-level cache.
      for (int q = 0; q < kTileQuarters; q += Quarters)
        add_block(inputs, q, block.y);
    });
  }
};

} // namespace
} // namespace edgeq::kernels
