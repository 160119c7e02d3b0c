// SPDX-License-Identifier: Apache-2.0
// Tiles of the `uniform` and `dint` formats as bytes.
#pragma once

#include "decoded_tile.h"
#include "uniform_lines.h"

namespace edgeq::kernels {
namespace {

/// FromZero: with the bytes of UniformLines::bytes_from_zero().
template <class V, int Bits, bool ZeroPoint, int Dint, bool FromZero = false> struct UniformTileDecoder {
  using Lines = UniformLines<V, Bits, ZeroPoint, Dint>;
  using Fields = UniformFields<Bits>;
  static constexpr bool kZeros = Lines::kWide || FromZero;
  static constexpr int kLargest = FromZero ? Lines::kLargestFromZero : Lines::kLargest;

  /// Decodes inputs [begin, end) of a tile, which lie on boundaries of activation blocks.
  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                  DecodedTile& out) {
    std::uint8_t* bytes = out.bytes;
    std::size_t index = 0;
    for (std::size_t k = begin, stop = 0; k < end; k = stop, ++index) {
      stop = layout.inputs.block_end(k);
      const std::uint8_t* trailer = tile + layout.trailer_offset(k / layout.inputs.group_size);
      out.counts[index] = stop - k;
      decode_trailer(trailer, index, out);
      for (std::size_t rows = 0; rows < kDecodedRows; rows += V::kRows)
        decode_rows(tile + layout.code_offset(k) + rows / 16 * Fields::kChunkBytes + rows % 16 * 4, stop - k,
                    zeros(ZeroPoint ? trailer + 64 + rows : trailer), bytes + 4 * rows);
      bytes += (stop - k) * kDecodedRows;
    }
    out.blocks = index;
  }

private:
  EDGEQ_MEMBER static void decode_trailer(const std::uint8_t* trailer, std::size_t index, DecodedTile& out) {
    for (std::size_t rows = 0; rows < kDecodedRows; rows += V::kRows) {
      const auto scale = V::multiply(V::load_halfs(trailer + 2 * rows), V::all_floats(dint_unit(Dint)));
      V::store_floats(out.scales[index] + rows, scale);
      V::store_floats(out.shifts[index] + rows, V::multiply(scale, V::all_floats(-kIntegerFloat)));
      if (kZeros)
        V::store(out.zeros[index] + rows, zeros_of_sums(V::load_bytes(trailer + 64 + rows)));
    }
  }

  EDGEQ_MEMBER static typename V::Integers zeros_of_sums(typename V::Integers zero) {
    return FromZero ? V::add(V::multiply(zero, V::all(Dint)), V::all(kFromZero)) : zero;
  }
  EDGEQ_MEMBER static typename V::Integers zeros(const std::uint8_t* zero_points) {
    const typename V::Integers zeros = Lines::zeros(zero_points);
    return FromZero ? Lines::zeros_from_zero(zeros) : zeros;
  }
  EDGEQ_MEMBER static typename V::Integers decode(const std::uint8_t* line, int f, typename V::Integers zero) {
    if constexpr (FromZero)
      return Lines::bytes_from_zero(line, f, zero);
    else
      return Lines::bytes(line, f, zero);
  }

  EDGEQ_MEMBER static void decode_rows(const std::uint8_t* lines, std::size_t count, typename V::Integers zero,
                                       std::uint8_t* out) {
    for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, lines += 2 * Fields::kChunkBytes)
      EDGEQ_UNROLL for (int f = 0; f < Lines::kFields; ++f, out += 4 * kDecodedRows)
          V::store(out, decode(lines, f, zero));
  }
};

} // namespace
} // namespace edgeq::kernels
