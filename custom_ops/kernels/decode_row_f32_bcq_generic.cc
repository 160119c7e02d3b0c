// SPDX-License-Identifier: Apache-2.0
#include "decode_row.h"
#include "half.h"

namespace edgeq::kernels {
namespace {

/// Byte of a 64-byte line that holds row `in_tile` of a tile.
EDGEQ_INLINE std::size_t byte_of_row(std::size_t in_tile) { return in_tile % 32 * 2 + in_tile / 32; }

} // namespace

void decode_row_f32_bcq_generic(const BcqLayout& layout, const std::uint8_t* weights, std::size_t row, float* out) {
  const Grouping& inputs = layout.inputs;
  const std::size_t in_tile = row % kBcqTileRows;
  const std::uint8_t* tile = weights + row / kBcqTileRows * layout.tile_bytes();
  for (std::size_t group = 0; group < inputs.groups; ++group) {
    const std::uint8_t* trailer = tile + layout.trailer_offset(group);
    const std::size_t start = group * inputs.group_size, end = smaller(inputs.group_end(group), inputs.k);
    const std::uint8_t* codes = tile + layout.plane_offset(start) + byte_of_row(in_tile);
    for (std::size_t k = start; k < end; ++k) {
      float weight = load_half(trailer, layout.planes * kBcqTileRows + in_tile);
      for (std::size_t plane = 0; plane < layout.planes; ++plane) {
        const float coefficient = load_half(trailer, plane * kBcqTileRows + in_tile);
        const int bit = codes[((k - start) / 8 * layout.planes + plane) * 64] >> (k - start) % 8 & 1;
        weight += bit != 0 ? coefficient : -coefficient;
      }
      out[k] = weight;
    }
  }
}

} // namespace edgeq::kernels
