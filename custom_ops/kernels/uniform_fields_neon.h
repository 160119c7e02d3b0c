// SPDX-License-Identifier: Apache-2.0
// The codes inside a quarter of a row block: 16 bytes of a line, four rows × four inputs (docs/formats.md, uniform).
#pragma once

#include "neon.h"
#include "uniform_fields.h"

namespace edgeq::kernels {

/// Offset in a pair of chunks (both row blocks') of quarter `quarter` of a tile, 0 to 7.
template <int Bits> EDGEQ_INLINE std::size_t quarter_offset(int quarter) {
  return static_cast<std::size_t>(quarter / 4) * UniformFields<Bits>::kChunkBytes +
         static_cast<std::size_t>(quarter % 4) * 16;
}

/// A quarter of a chunk in registers.
template <int Bits> struct QuarterChunk {
  uint8x16_t line;

  EDGEQ_MEMBER explicit QuarterChunk(const std::uint8_t* chunk) : line(vld1q_u8(chunk)) {}

  /// The codes of field Field, as bytes.
  template <int Field> EDGEQ_MEMBER uint8x16_t codes() const {
    constexpr int kShift = Bits * Field;
    if constexpr (Bits == 8)
      return line;
    else if constexpr (kShift == 0)
      return vandq_u8(line, vdupq_n_u8((1 << Bits) - 1));
    else if constexpr (kShift == 8 - Bits)
      return vshrq_n_u8(line, kShift);
    else
      return vandq_u8(vshrq_n_u8(line, kShift), vdupq_n_u8((1 << Bits) - 1));
  }
};

/// Three lines, and a fourth of the upper bits of the others: (A>>6) | (B>>6)<<2 | (C>>6)<<4.
template <> struct QuarterChunk<3> {
  uint8x16_t lines[4];

  EDGEQ_MEMBER explicit QuarterChunk(const std::uint8_t* chunk)
      : lines{vld1q_u8(chunk), vld1q_u8(chunk + 64), vld1q_u8(chunk + 128)} {
    const uint8x16_t low = vsliq_n_u8(vshrq_n_u8(lines[0], 6), vshrq_n_u8(lines[1], 6), 2);
    lines[3] = vsliq_n_u8(low, vshrq_n_u8(lines[2], 6), 4);
  }

  template <int Field> EDGEQ_MEMBER uint8x16_t codes() const {
    const uint8x16_t line = lines[Field / 2];
    if constexpr (Field == 7) // nothing above it in the fourth line
      return vshrq_n_u8(line, 3);
    else if constexpr (Field % 2 == 1)
      return vandq_u8(vshrq_n_u8(line, 3), vdupq_n_u8(7));
    else
      return vandq_u8(line, vdupq_n_u8(7));
  }
};

} // namespace edgeq::kernels
