// SPDX-License-Identifier: Apache-2.0
// Weights of the `uniform` and `dint` formats as signed bytes, a quarter of a row block at a time. A weight is
// scale · (factor + kOffset − zero), zero only where Apart.
#pragma once

#include "uniform_fields_neon.h"
#include "uniform_layout.h"

#include <type_traits>

namespace edgeq::kernels {
namespace {

/// Uniform codes: as they are below 8 bits, less 128 at 8 bits. A stored zero point is subtracted from the sums.
template <int Bits, bool ZeroPoint> struct NeonUniformFactors {
  static constexpr int kBits = Bits;
  static constexpr bool kZeroApart = ZeroPoint;
  static constexpr int kOffset = (Bits == 8 ? 128 : 0) - (ZeroPoint ? 0 : implied_zero_point(Bits, 0));
  static constexpr int kLargest = Bits == 8 ? 128 : (1 << Bits) - 1; // magnitude
  static constexpr float kUnit = 1;                                  // in scales

  EDGEQ_MEMBER explicit NeonUniformFactors(const std::uint8_t*) {}

  template <int Field> EDGEQ_MEMBER int8x16_t get(const QuarterChunk<Bits>& chunk) const {
    const uint8x16_t codes = chunk.template codes<Field>();
    return vreinterpretq_s8_u8(Bits == 8 ? veorq_u8(codes, vdupq_n_u8(128)) : codes);
  }
};

/// Dint codes in units by a table; a stored zero point is subtracted from those that are whole steps.
template <int Bits, bool ZeroPoint, int Dint> struct NeonDintFactors {
  static constexpr int kBits = Bits;
  static constexpr bool kZeroApart = false;
  static constexpr int kOffset = 0;
  static constexpr int kWholeSteps = (1 << Bits) - 2; // codes of whole steps
  static constexpr int kImplied = ZeroPoint ? 0 : implied_zero_point(Bits, Dint);
  static constexpr int kLargest = Dint * (kWholeSteps - 1 - kImplied);
  static constexpr float kUnit = dint_unit(Dint);

  int8x16_t table, zero_units;

  /// `zeros`: of the quarter's four rows.
  EDGEQ_MEMBER explicit NeonDintFactors(const std::uint8_t* zeros) : zero_units(vdupq_n_s8(0)) {
    std::int8_t steps[16] = {};
    for (int code = 0; code < 1 << Bits; ++code)
      steps[code] = static_cast<std::int8_t>(dint_units(code, Bits, kImplied, Dint));
    table = vld1q_s8(steps);
    if constexpr (ZeroPoint) // each row's in its four bytes
      zero_units = vreinterpretq_s8_u32(vmulq_n_u32(load_4_bytes_as_uint32(zeros), 0x01010101U * Dint));
  }

  template <int Field> EDGEQ_MEMBER int8x16_t get(const QuarterChunk<Bits>& chunk) const {
    const uint8x16_t codes = chunk.template codes<Field>();
    const int8x16_t steps = vqtbl1q_s8(table, codes);
    if constexpr (!ZeroPoint)
      return steps;
    const int8x16_t whole = vreinterpretq_s8_u8(vcltq_u8(codes, vdupq_n_u8(kWholeSteps)));
    return vsubq_s8(steps, vandq_s8(zero_units, whole));
  }
};

/// Dint: the denominator of the special levels, 0 for `uniform`.
template <int Bits, bool ZeroPoint, int Dint>
using NeonFactors =
    std::conditional_t<Dint == 0, NeonUniformFactors<Bits, ZeroPoint>, NeonDintFactors<Bits, ZeroPoint, Dint>>;

/// Four float16 scales of rows, for factors.
template <class Factors> EDGEQ_INLINE float32x4_t load_scales(const std::uint8_t* halfs) {
  const float32x4_t scales = load_4_halfs(halfs);
  return Factors::kUnit == 1 ? scales : vmulq_n_f32(scales, Factors::kUnit);
}

} // namespace
} // namespace edgeq::kernels
