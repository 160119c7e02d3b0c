// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "half.h"
#include "uniform_fields.h"
#include "uniform_layout.h"

namespace edgeq::kernels {
namespace {

/// Decodes `count` inputs (a multiple of 32) of a tile to one byte per code, [k / 4][32 rows][4].
template <int Bits> void decode_codes(const std::uint8_t* codes, std::size_t count, std::uint8_t* out) {
  using Fields = UniformFields<Bits>;
  constexpr std::size_t kStep = 4 * kUniformTileRows; // bytes of four inputs in `out`
  for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, out += Fields::kFields * kStep)
    for (std::size_t block = 0; block < 2; ++block, codes += Fields::kChunkBytes)
      for (std::size_t field = 0; field < Fields::kFields; ++field)
        for (std::size_t byte = 0; byte < 64; ++byte)
          out[field * kStep + block * 64 + byte] =
              static_cast<std::uint8_t>(Fields::code(codes, static_cast<int>(field), byte));
}

EDGEQ_INLINE void decode_codes(std::size_t bits, const std::uint8_t* codes, std::size_t count, std::uint8_t* out) {
  switch (bits) {
  case 2:
    return decode_codes<2>(codes, count, out);
  case 3:
    return decode_codes<3>(codes, count, out);
  case 4:
    return decode_codes<4>(codes, count, out);
  default:
    return decode_codes<8>(codes, count, out);
  }
}

/// Stored or implied zero point of row `row` of a tile; `trailer` as in UniformLayout::trailer_offset.
EDGEQ_INLINE int stored_zero_point(const UniformLayout& layout, const std::uint8_t* trailer, std::size_t row) {
  return layout.has_zero_point ? trailer[2 * kUniformTileRows + row]
                               : implied_zero_point(static_cast<int>(layout.bits), layout.dint);
}

/// Replaces the dint codes of `count` inputs by their weights in units, plus the centre of unsigned bytes.
EDGEQ_INLINE void decode_dint_codes(const UniformLayout& layout, const std::uint8_t* trailer, std::size_t count,
                                    std::uint8_t* codes) {
  const int bits = static_cast<int>(layout.bits), centre = decoded_centre(bits, true, layout.dint);
  for (std::size_t i = 0; i < count * kUniformTileRows; ++i) {
    const std::size_t row = i / 4 % kUniformTileRows;
    const int zero = stored_zero_point(layout, trailer, row);
    codes[i] = static_cast<std::uint8_t>(dint_units(codes[i], bits, zero, layout.dint) + centre);
  }
}

/// What bytes, codes or what decode_dint_codes() made of them, subtract before they are scaled by scale_of().
EDGEQ_INLINE int zero_point(const UniformLayout& layout, const std::uint8_t* trailer, std::size_t row) {
  return layout.dint != 0 ? decoded_centre(static_cast<int>(layout.bits), true, layout.dint)
                          : stored_zero_point(layout, trailer, row);
}

EDGEQ_INLINE float scale_of(const UniformLayout& layout, const std::uint8_t* trailer, std::size_t row) {
  return load_half(trailer, row) * dint_unit(layout.dint);
}

} // namespace
} // namespace edgeq::kernels
