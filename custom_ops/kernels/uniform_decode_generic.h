// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// Zero point of row `row` of a tile; `trailer` as in UniformLayout::trailer_offset.
EDGEQ_INLINE int zero_point(const UniformLayout& layout, const std::uint8_t* trailer, std::size_t row) {
  return layout.has_zero_point ? trailer[2 * kUniformTileRows + row] : 1 << (layout.bits - 1);
}

} // namespace
} // namespace edgeq::kernels
