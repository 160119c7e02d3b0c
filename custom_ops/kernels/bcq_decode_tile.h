// SPDX-License-Identifier: Apache-2.0
// Half a tile of the `bcq` format, 32 rows, as bytes. V is a vector of rows with the operations of vector_*.h and
//   Mask, Integers load_words(p): one 16-bit word per 32-bit lane; copy_byte(words, i): byte i of the word to the whole
//   lane; test(a, b): bytes where a & b is not zero; choose(mask, a, b): a where the mask is set, else b;
//   absolute(f), largest(f, g), negative(f), subtract(f, g), inverse(f): 1 / f, 0 for 0; to_bytes(f): rounded half to
//   even, plus 128, to the whole lane; round_scale(f).
#pragma once

#include "bcq_layout.h"
#include "bcq_levels.h"
#include "decoded_tile.h"

namespace edgeq::kernels {
namespace {

template <class V, int kPlanes> struct BcqTileDecoder {
  using Integers = typename V::Integers;
  using Floats = typename V::Floats;
  static constexpr int kCodes = 1 << kPlanes;

  /// Decodes inputs [begin, end), which lie on boundaries of activation blocks, of rows 32 · half to 32 · half + 31.
  static void run(const BcqLayout& layout, const std::uint8_t* tile, int half, std::size_t begin, std::size_t end,
                  DecodedTile& out) {
    std::uint8_t* bytes = out.bytes;
    out.blocks = 0;
    for (std::size_t k = begin, stop = 0; k < end; k = stop, ++out.blocks) {
      stop = layout.inputs.block_end(k);
      out.counts[out.blocks] = stop - k;
      const std::uint8_t* trailer =
          tile + layout.trailer_offset(k / layout.inputs.group_size) + 2 * kDecodedRows * half;
      for (std::size_t row = 0; row < kDecodedRows; row += V::kRows) {
        Integers levels[kCodes];
        decode_levels(trailer + 2 * row, out.scales[out.blocks] + row, out.shifts[out.blocks] + row, levels);
        decode_rows(tile + layout.plane_offset(k) + 2 * row, half, stop - k, levels, bytes + 4 * row);
      }
      bytes += (stop - k) * kDecodedRows;
    }
  }

private:
  /// The level of a code: the offset plus or minus each coefficient, in the order of the planes.
  EDGEQ_MEMBER static Floats level(const Floats (&coefficients)[kPlanes], Floats offset, int code) {
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p)
      offset = (code >> p & 1) != 0 ? V::add(offset, coefficients[p]) : V::subtract(offset, coefficients[p]);
    return offset;
  }

  EDGEQ_MEMBER static void decode_levels(const std::uint8_t* trailer, float* scales, float* shifts,
                                         Integers (&levels)[kCodes]) {
    Floats coefficients[kPlanes], largest = V::all_floats(0);
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p)
      coefficients[p] = V::load_halfs(trailer + 128 * p);
    const Floats offset = V::load_halfs(trailer + 128 * kPlanes);
    EDGEQ_UNROLL
    for (int code = 0; code < kCodes; ++code)
      largest = V::largest(largest, V::absolute(level(coefficients, offset, code)));
    const Floats scale = V::round_scale(V::multiply(largest, V::all_floats(1 / kBcqByteLimit)));
    const Floats inverse = V::inverse(scale);
    EDGEQ_UNROLL
    for (int code = 0; code < kCodes; ++code)
      levels[code] = V::to_bytes(V::multiply(level(coefficients, offset, code), inverse));
    V::store_floats(scales, scale);
    V::store_floats(shifts, V::multiply(scale, V::all_floats(-kIntegerFloat)));
  }

  /// The levels that four inputs select; `planes` has a row's byte in the whole lane, `bits` one bit per input.
  EDGEQ_MEMBER static Integers select(const Integers (&levels)[kCodes], const Integers (&planes)[kPlanes],
                                      Integers bits) {
    Integers chosen[kCodes];
    EDGEQ_UNROLL
    for (int code = 0; code < kCodes; ++code)
      chosen[code] = levels[code];
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p) {
      const typename V::Mask mask = V::test(planes[p], bits);
      EDGEQ_UNROLL
      for (int i = 0; i < kCodes >> (p + 1); ++i)
        chosen[i] = V::choose(mask, chosen[2 * i + 1], chosen[2 * i]);
    }
    return chosen[0];
  }

  EDGEQ_MEMBER static void decode_rows(const std::uint8_t* line, int half, std::size_t count,
                                       const Integers (&levels)[kCodes], std::uint8_t* out) {
    for (std::size_t k = 0; k < count; k += 8, line += kBcqTileRows * kPlanes, out += 8 * kDecodedRows) {
      Integers planes[kPlanes];
      EDGEQ_UNROLL
      for (int p = 0; p < kPlanes; ++p)
        planes[p] = V::copy_byte(V::load_words(line + kBcqTileRows * p), half);
      V::store(out, select(levels, planes, V::all(0x08040201)));
      V::store(out + 4 * kDecodedRows, select(levels, planes, V::all(static_cast<std::int32_t>(0x80402010))));
    }
  }
};

} // namespace
} // namespace edgeq::kernels
