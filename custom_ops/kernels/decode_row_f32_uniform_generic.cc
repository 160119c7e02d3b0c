// SPDX-License-Identifier: Apache-2.0
#include "decode_row.h"
#include "uniform_decode_generic.h"

namespace edgeq::kernels {
namespace {

/// Row `lane` of a row block: `chunk` points at the lane's first byte in the chunk's first line.
template <int Bits>
void decode_chunk(const std::uint8_t* chunk, float scale, int zero, int dint, std::size_t count, float* out) {
  for (std::size_t k = 0; k < count; ++k) {
    const int code = UniformFields<Bits>::code(chunk, static_cast<int>(k / 4), k % 4);
    out[k] = scale * static_cast<float>(dint != 0 ? dint_units(code, Bits, zero, dint) : code - zero);
  }
}

template <int Bits>
void decode_row(const UniformLayout& layout, const std::uint8_t* weights, std::size_t row, float* out) {
  using Fields = UniformFields<Bits>;
  const Grouping& inputs = layout.inputs;
  const std::size_t in_tile = row % kUniformTileRows, block = in_tile / kUniformBlockRows;
  const std::uint8_t* tile = weights + row / kUniformTileRows * layout.tile_bytes();
  for (std::size_t group = 0; group < inputs.groups; ++group) {
    const std::uint8_t* trailer = tile + layout.trailer_offset(group);
    const float scale = scale_of(layout, trailer, in_tile);
    const int zero = stored_zero_point(layout, trailer, in_tile);
    const std::size_t start = group * inputs.group_size;
    const std::uint8_t* chunk =
        tile + layout.code_offset(start) + block * Fields::kChunkBytes + 4 * (in_tile % kUniformBlockRows);
    const std::size_t end = smaller(inputs.group_end(group), inputs.k);
    for (std::size_t k = start; k < end; k += Fields::kChunkInputs, chunk += 2 * Fields::kChunkBytes)
      decode_chunk<Bits>(chunk, scale, zero, layout.dint, smaller(Fields::kChunkInputs, end - k), out + k);
  }
}

} // namespace

void decode_row_f32_uniform_generic(const UniformLayout& layout, const std::uint8_t* weights, std::size_t row,
                                    float* out) {
  switch (layout.bits) {
  case 2:
    return decode_row<2>(layout, weights, row, out);
  case 3:
    return decode_row<3>(layout, weights, row, out);
  case 4:
    return decode_row<4>(layout, weights, row, out);
  default:
    return decode_row<8>(layout, weights, row, out);
  }
}

} // namespace edgeq::kernels
