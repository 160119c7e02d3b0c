// SPDX-License-Identifier: Apache-2.0
// Weights of the `uniform` and `dint` formats as signed bytes, a quarter of a row block at a time. A weight is
// scale · (factor + kOffset − zero), zero only where Apart.
#pragma once

#include "uniform_fields_neon.h"
#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Uniform codes: as they are below 8 bits, less 128 at 8 bits. A stored zero point is subtracted from the sums.
template <int Bits, bool ZeroPoint, bool Dint> struct NeonFactors {
  static constexpr int kBits = Bits;
  static constexpr bool kZeroApart = ZeroPoint;
  static constexpr int kOffset = (Bits == 8 ? 128 : 0) - (ZeroPoint ? 0 : implied_zero_point(Bits, false));
  static constexpr int kLargest = Bits == 8 ? 128 : (1 << Bits) - 1; // magnitude
  static constexpr float kUnit = 1;                                  // in scales

  EDGEQ_MEMBER explicit NeonFactors(const std::uint8_t*) {}

  template <int Field> EDGEQ_MEMBER int8x16_t get(const QuarterChunk<Bits>& chunk) const {
    const uint8x16_t codes = chunk.template codes<Field>();
    return vreinterpretq_s8_u8(Bits == 8 ? veorq_u8(codes, vdupq_n_u8(128)) : codes);
  }
};

/// Dint codes as half steps by a table; a stored zero point is subtracted from those that are whole steps.
template <int Bits, bool ZeroPoint> struct NeonFactors<Bits, ZeroPoint, true> {
  static constexpr int kBits = Bits;
  static constexpr bool kZeroApart = false;
  static constexpr int kOffset = 0;
  static constexpr int kWholeSteps = (1 << Bits) - 2; // codes of whole steps
  static constexpr int kLargest =
      ZeroPoint ? 2 * (kWholeSteps - 1) : 2 * (kWholeSteps - 1 - implied_zero_point(Bits, true));
  static constexpr float kUnit = 0.5F;

  int8x16_t table, twice_zero;

  /// `zeros`: of the quarter's four rows.
  EDGEQ_MEMBER explicit NeonFactors(const std::uint8_t* zeros) : twice_zero(vdupq_n_s8(0)) {
    std::int8_t steps[16] = {};
    for (int code = 0; code < 1 << Bits; ++code)
      steps[code] = static_cast<std::int8_t>(dint_steps(code, Bits, ZeroPoint ? 0 : implied_zero_point(Bits, true)));
    table = vld1q_s8(steps);
    if constexpr (ZeroPoint) // each row's in its four bytes
      twice_zero = vreinterpretq_s8_u32(vmulq_n_u32(load_4_bytes_as_uint32(zeros), 0x02020202U));
  }

  template <int Field> EDGEQ_MEMBER int8x16_t get(const QuarterChunk<Bits>& chunk) const {
    const uint8x16_t codes = chunk.template codes<Field>();
    const int8x16_t steps = vqtbl1q_s8(table, codes);
    if constexpr (!ZeroPoint)
      return steps;
    const int8x16_t whole = vreinterpretq_s8_u8(vcltq_u8(codes, vdupq_n_u8(kWholeSteps)));
    return vsubq_s8(steps, vandq_s8(twice_zero, whole));
  }
};

/// Four float16 scales of rows, for factors.
template <class Factors> EDGEQ_INLINE float32x4_t load_scales(const std::uint8_t* halfs) {
  const float32x4_t scales = load_4_halfs(halfs);
  return Factors::kUnit == 1 ? scales : vmulq_n_f32(scales, Factors::kUnit);
}

} // namespace
} // namespace edgeq::kernels
