// SPDX-License-Identifier: Apache-2.0
// Tiles of every format of DintGemm as bfloat16, [k / 4][32][4].
#pragma once

#include "bf16_block.h"
#include "codebook_decode_tile.h"
#include "codebook_neon.h"
#include "constants.h"
#include "uniform_factors_neon.h"

namespace edgeq::kernels {
namespace {

/// Integers of at most 8 bits.
EDGEQ_INLINE uint16x8_t bf16_of_integers(int16x8_t v) {
  const float32x4_t low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(v))), high = vcvtq_f32_s32(vmovl_high_s16(v));
  return vuzp2q_u16(vreinterpretq_u16_f32(low), vreinterpretq_u16_f32(high));
}

/// Writes four rows × four inputs, integers less those of `zeros`: of rows 0 and 1, and of rows 2 and 3.
EDGEQ_INLINE void store_bf16(int8x16_t integers, const int16x8_t (&zeros)[2], std::uint16_t* out) {
  vst1q_u16(out, bf16_of_integers(vsubq_s16(vmovl_s8(vget_low_s8(integers)), zeros[0])));
  vst1q_u16(out + 8, bf16_of_integers(vsubq_s16(vmovl_high_s8(integers), zeros[1])));
}

/// The factors of a quarter counted from their zero points.
template <int Bits, bool ZeroPoint, int Dint> struct Bf16Integers {
  using Factors = NeonFactors<Bits, ZeroPoint, Dint>;
  Factors factors;
  int16x8_t zeros[2];

  /// `zero_points`: of the quarter's four rows.
  EDGEQ_MEMBER explicit Bf16Integers(const std::uint8_t* zero_points)
      : factors(zero_points), zeros{vdupq_n_s16(-Factors::kOffset), vdupq_n_s16(-Factors::kOffset)} {
    if constexpr (Factors::kZeroApart)
      EDGEQ_UNROLL for (int i = 0; i < 2; ++i) zeros[i] =
          vaddq_s16(zeros[i], vcombine_s16(vdup_n_s16(zero_points[2 * i]), vdup_n_s16(zero_points[2 * i + 1])));
  }

  template <int Field> EDGEQ_MEMBER void store(const QuarterChunk<Bits>& chunk, std::uint16_t* out) const {
    store_bf16(factors.template get<Field>(chunk), zeros, out);
  }
};

/// Codes below 16 of which all rows have the same values: tables of the two bytes of each.
template <int Bits, int Dint> struct Bf16Table {
  uint8x16_t low, high;

  EDGEQ_MEMBER explicit Bf16Table(const std::uint8_t*) {
    constexpr int kZero = implied_zero_point(Bits, Dint);
    std::uint8_t bytes[2][16] = {};
    for (int code = 0; code < 1 << Bits; ++code) {
      const auto value = static_cast<float>(Dint != 0 ? dint_units(code, Bits, kZero, Dint) : code - kZero);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      bytes[0][code] = static_cast<std::uint8_t>(bits >> 16), bytes[1][code] = static_cast<std::uint8_t>(bits >> 24);
    }
    low = vld1q_u8(bytes[0]), high = vld1q_u8(bytes[1]);
  }

  template <int Field> EDGEQ_MEMBER void store(const QuarterChunk<Bits>& chunk, std::uint16_t* out) const {
    const uint8x16_t codes = chunk.template codes<Field>();
    const uint8x16_t lows = vqtbl1q_u8(low, codes), highs = vqtbl1q_u8(high, codes);
    vst1q_u16(out, vreinterpretq_u16_u8(vzip1q_u8(lows, highs)));
    vst1q_u16(out + 8, vreinterpretq_u16_u8(vzip2q_u8(lows, highs)));
  }
};

template <int Bits, bool ZeroPoint, int Dint> struct Bf16Decoder {
  using Values = std::conditional_t<ZeroPoint || Bits == 8, Bf16Integers<Bits, ZeroPoint, Dint>, Bf16Table<Bits, Dint>>;
  using Fields = UniformFields<Bits>;

  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                  DecodedTile& bytes, Bf16Tile& out) {
    std::uint16_t* values = out.values;
    bytes.blocks = 0;
    for (std::size_t k = begin, stop = 0; k < end; k = stop, ++bytes.blocks) {
      stop = layout.inputs.block_end(k);
      const std::uint8_t* trailer = tile + layout.trailer_offset(k / layout.inputs.group_size);
      bytes.counts[bytes.blocks] = stop - k;
      for (int q = 0; q < 8; ++q) {
        const float32x4_t scale = load_scales<NeonFactors<Bits, ZeroPoint, Dint>>(trailer + 8 * q);
        vst1q_f32(bytes.scales[bytes.blocks] + 4 * q, scale);
        decode_quarter(Values(trailer + 64 + 4 * q), tile + layout.code_offset(k) + quarter_offset<Bits>(q), stop - k,
                       values + 16 * q);
      }
      values += (stop - k) * kDecodedRows;
    }
  }

private:
  EDGEQ_MEMBER static void decode_quarter(const Values& decoded, const std::uint8_t* chunk, std::size_t count,
                                          std::uint16_t* out) {
    for (std::size_t k = 0; k < count; k += Fields::kChunkInputs, chunk += 2 * Fields::kChunkBytes) {
      const QuarterChunk<Bits> quarter(chunk);
      for_constants<Fields::kFields>([&](auto field) __attribute__((always_inline)) {
        constexpr int f = decltype(field)::value;
        decoded.template store<f>(quarter, out + 4 * f * kDecodedRows);
      });
      out += Fields::kChunkInputs * kDecodedRows;
    }
  }
};

template <int Bits> struct Bf16CodebookDecoder {
  static void run(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin, std::size_t end,
                  DecodedTile& bytes, Bf16Tile& out) {
    const int16x8_t no_zeros[2] = {vdupq_n_s16(0), vdupq_n_s16(0)};
    CodebookTileDecoder<CodebookVector128, Bits, 0>::run(layout, tile, begin, end, bytes);
    for (std::size_t i = 0; i < (end - begin) * kDecodedRows; i += 16)
      store_bf16(vreinterpretq_s8_u8(vld1q_u8(bytes.bytes + i)), no_zeros, out.values + i);
  }
};

} // namespace
} // namespace edgeq::kernels
