// SPDX-License-Identifier: Apache-2.0
// Tiles of the `uniform` and `dint` formats as float32.
#pragma once

#include "uniform_lines.h"

namespace edgeq::kernels {
namespace {

template <class V, int Bits, bool ZeroPoint, int Dint> struct UniformFloatDecoder {
  using Lines = UniformLines<V, Bits, ZeroPoint, Dint>;
  using Fields = UniformFields<Bits>;

  /// Writes the weights of an activation block, [k][32 rows].
  static void decode(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                     float* out) {
    const std::uint8_t* trailer = tile + layout.trailer_offset(begin / layout.inputs.group_size);
    const std::uint8_t* lines = tile + layout.code_offset(begin);
    for (std::size_t rows = 0; rows < kUniformTileRows; rows += V::kRows)
      decode_rows(lines + rows / 16 * Fields::kChunkBytes + rows % 16 * 4, end - begin, trailer, rows, out + rows);
  }

private:
  EDGEQ_MEMBER static void decode_rows(const std::uint8_t* lines, std::size_t count, const std::uint8_t* trailer,
                                       std::size_t rows, float* out) {
    const auto scale = V::multiply(V::load_halfs(trailer + 2 * rows), V::all_floats(dint_unit(Dint)));
    const std::uint8_t* zero_points = ZeroPoint ? trailer + 64 + rows : trailer;
    const auto zero = Lines::zeros(zero_points);
    const auto centre = Lines::kWide ? V::load_bytes(zero_points) : V::all(Lines::kCentre);
    for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, lines += 2 * Fields::kChunkBytes)
      EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; ++f) {
        const auto bytes = Lines::bytes(lines, f, zero);
        EDGEQ_UNROLL for (int j = 0; j < 4; ++j, out += kUniformTileRows)
            V::store_floats(out, V::multiply(scale, V::to_floats(V::subtract(V::byte(bytes, j), centre))));
      }
  }
};

} // namespace
} // namespace edgeq::kernels
