// SPDX-License-Identifier: Apache-2.0
// Codes of a tile, counted from their zero points, as bfloat16: integers of at most 8 bits, which are exact.
#pragma once

#include "bf16_block.h"
#include "vector_avx512.h"

namespace edgeq::kernels {
namespace {

/// The bytes of bfloat16 numbers byte − centre, for bytes below 64.
struct Bf16Tables {
  __m512i low, high;

  EDGEQ_MEMBER explicit Bf16Tables(int centre) {
    alignas(64) std::uint8_t bytes[2][64];
    for (int i = 0; i < 64; ++i) {
      const float value = static_cast<float>(i - centre);
      std::uint32_t bits = 0;
      __builtin_memcpy(&bits, &value, sizeof bits);
      bytes[0][i] = static_cast<std::uint8_t>(bits >> 16), bytes[1][i] = static_cast<std::uint8_t>(bits >> 24);
    }
    low = _mm512_load_si512(bytes[0]), high = _mm512_load_si512(bytes[1]);
  }

  /// Inputs (0, 2) and (1, 3) of 16 rows.
  EDGEQ_MEMBER void look_up(__m512i line, __m512i (&pairs)[2]) const {
    const __m512i lows = _mm512_permutexvar_epi8(line, low), highs = _mm512_permutexvar_epi8(line, high);
    const __m512i even = _mm512_set1_epi16(0x00ff);
    pairs[0] = Vector512::select(even, lows, _mm512_slli_epi16(highs, 8));
    pairs[1] = Vector512::select(even, _mm512_srli_epi16(lows, 8), highs);
  }
};

/// Inputs (0, 2) and (1, 3) of 16 rows; `centre` of each row.
EDGEQ_INLINE void bf16_pairs(__m512i line, __m512i centre, __m512i (&pairs)[2]) {
  using V = Vector512;
  __m512i floats[4];
  EDGEQ_UNROLL for (int j = 0; j < 4; ++j) floats[j] =
      _mm512_castps_si512(V::to_floats(V::subtract(V::byte(line, j), centre)));
  EDGEQ_UNROLL for (int p = 0; p < 2; ++p) pairs[p] =
      V::select(V::all(0xffff), _mm512_srli_epi32(floats[p], 16), floats[p + 2]);
}

/// The inputs of `tile`, whose bytes are at most kLargest; where it has zero points, these are the centres.
template <bool kZeros, int kLargest>
EDGEQ_INLINE void bf16_from_bytes(const DecodedTile& tile, int centre, Bf16Tile& out) {
  const Bf16Tables tables(centre);
  std::uint16_t* pairs_out = out.values;
  const std::uint8_t* bytes = tile.bytes;
  for (std::size_t index = 0; index < tile.blocks; ++index) {
    const __m512i zeros[2] = {kZeros ? Vector512::load(tile.zeros[index]) : Vector512::all(centre),
                              kZeros ? Vector512::load(tile.zeros[index] + 16) : Vector512::all(centre)};
    for (std::size_t k = 0; k < tile.counts[index]; k += 4, bytes += 4 * kDecodedRows, pairs_out += 4 * kDecodedRows)
      EDGEQ_UNROLL for (int b = 0; b < 2; ++b) {
        const __m512i line = Vector512::load(bytes + 64 * b);
        __m512i pairs[2];
        if (!kZeros && kLargest < 64)
          tables.look_up(line, pairs);
        else
          bf16_pairs(line, zeros[b], pairs);
        EDGEQ_UNROLL for (int p = 0; p < 2; ++p)
            Vector512::store(pairs_out + 2 * static_cast<int>(kDecodedRows) * p + 32 * b, pairs[p]);
      }
  }
}

} // namespace
} // namespace edgeq::kernels
