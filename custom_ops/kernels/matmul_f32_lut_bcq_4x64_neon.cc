// SPDX-License-Identifier: Apache-2.0
// A byte of a register belongs to a row; one tbl looks up one run of 16 rows, and uaddw adds its bytes to 16-bit sums,
// which 32 runs of at most 255 cannot overflow (T-MAC, arXiv 2407.00088).
#include "matmul_lut_driver.h"
#include "neon.h"

namespace edgeq::kernels {
namespace {

/// Sums of bytes selected for the 16 rows of a quarter of a line: 8 rows of the tile's first half in the even bytes, 8
/// of its second half in the odd ones.
struct ByteSums {
  uint16x8_t low, high;

  EDGEQ_MEMBER void clear() { low = high = vdupq_n_u16(0); }
  EDGEQ_MEMBER void add(uint8x16_t bytes) {
    low = vaddw_u8(low, vget_low_u8(bytes));
    high = vaddw_high_u8(high, bytes);
  }
  /// Sums of rows 4 · part to 4 · part + 3 of a half of the tile as 32-bit integers.
  EDGEQ_MEMBER int32x4_t words(int half, int part) const {
    const uint16x8_t rows = half == 0 ? vuzp1q_u16(low, high) : vuzp2q_u16(low, high);
    return vreinterpretq_s32_u32(part == 0 ? vmovl_u16(vget_low_u16(rows)) : vmovl_high_u16(rows));
  }
};

/// Looks up the rows of kQuarters quarters of a line, for kTokens tokens; kWide: entries of 16 bits.
template <int kTokens, int kQuarters, bool kWide> struct Lookup {
  ByteSums low[kTokens][kQuarters];
  ByteSums high[kTokens][kQuarters];
  float32x4_t weighted[4 * kQuarters][kTokens]; // sums of entries times coefficients, over planes
  const BlockTables& tables;

  EDGEQ_MEMBER explicit Lookup(const BlockTables& block_tables) : tables(block_tables) {
    EDGEQ_UNROLL
    for (int i = 0; i < 4 * kQuarters * kTokens; ++i)
      weighted[i / kTokens][i % kTokens] = vdupq_n_f32(0);
  }

  EDGEQ_MEMBER void add_run(const uint8x16_t (&nibbles)[kQuarters], const std::uint8_t* entries) {
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const std::uint8_t* table = entries + static_cast<std::size_t>(t) * tables.entry_stride;
      EDGEQ_UNROLL
      for (int q = 0; q < kQuarters; ++q) {
        low[t][q].add(vqtbl1q_u8(vld1q_u8(table), nibbles[q]));
        if (kWide)
          high[t][q].add(vqtbl1q_u8(vld1q_u8(table + 64), nibbles[q]));
      }
    }
  }

  /// Sums the entries that the rows of one plane select; its lines are `stride` bytes apart.
  EDGEQ_MEMBER void sum_plane(const std::uint8_t* line, std::size_t stride, std::size_t inputs) {
    EDGEQ_UNROLL
    for (int i = 0; i < kTokens * kQuarters; ++i) {
      low[i / kQuarters][i % kQuarters].clear();
      high[i / kQuarters][i % kQuarters].clear();
    }
    const std::uint8_t* entries = tables.entries;
    for (std::size_t k = 0; k < inputs; k += 16, entries += kWide ? 128 : 64) {
      EDGEQ_UNROLL
      for (int i = 0; i < 2; ++i, line += stride) {
        uint8x16_t first[kQuarters], second[kQuarters];
        EDGEQ_UNROLL
        for (int q = 0; q < kQuarters; ++q) {
          const uint8x16_t bytes = vld1q_u8(line + 16 * q);
          first[q] = vandq_u8(bytes, vdupq_n_u8(15));
          second[q] = vshrq_n_u8(bytes, 4);
        }
        add_run(first, entries + 32 * i);
        add_run(second, entries + 32 * i + 16);
      }
    }
  }

  EDGEQ_MEMBER float32x4_t value(int t, int i, int32x4_t bias) const {
    const int q = i / 4, half = i / 2 % 2, part = i % 2;
    int32x4_t sum = low[t][q].words(half, part);
    if (kWide)
      sum = vaddq_s32(sum, vshlq_n_s32(high[t][q].words(half, part), 8));
    return vcvtq_f32_s32(vsubq_s32(sum, bias));
  }

  /// weighted += coefficients · sums of the plane.
  EDGEQ_MEMBER void add_plane(const std::uint8_t* coefficients, std::size_t runs) {
    const int32x4_t bias = vdupq_n_s32(static_cast<int>(runs) * (kWide ? 32768 : 128));
    EDGEQ_UNROLL
    for (int i = 0; i < 4 * kQuarters; ++i) {
      const float32x4_t factor = load_4_halfs(coefficients + 2 * first_row(i));
      EDGEQ_UNROLL
      for (int t = 0; t < kTokens; ++t)
        weighted[i][t] = vfmaq_f32(weighted[i][t], factor, value(t, i, bias));
    }
  }

  /// sums += scale · weighted, += offsets · sum of the activations.
  EDGEQ_MEMBER void add_to(float* sums, const std::uint8_t* offsets) const {
    EDGEQ_UNROLL
    for (int i = 0; i < 4 * kQuarters; ++i) {
      const float32x4_t factor = load_4_halfs(offsets + 2 * first_row(i));
      EDGEQ_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const LutBlock& block = tables.blocks[static_cast<std::size_t>(t) * tables.block_stride];
        float* place = sums + 64 * t + first_row(i);
        const float32x4_t sum = vfmaq_n_f32(vld1q_f32(place), weighted[i][t], block.scale);
        vst1q_f32(place, vfmaq_n_f32(sum, factor, block.sum));
      }
    }
  }

  static EDGEQ_MEMBER int first_row(int i) { return 8 * (i / 4) + 32 * (i / 2 % 2) + 4 * (i % 2); }
};

template <int kTokens, int kQuarters, bool kWide>
void look_up(std::size_t planes, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables,
             float* sums) {
  for (std::size_t q = 0; q < 4; q += kQuarters, sums += 8 * kQuarters) {
    const std::uint8_t* coefficients = tile + block.coefficients + 16 * q;
    Lookup<kTokens, kQuarters, kWide> lookup(tables);
    for (std::size_t p = 0; p < planes; ++p, coefficients += 2 * kBcqTileRows) {
      lookup.sum_plane(tile + block.lines + p * kBcqTileRows + 16 * q, planes * kBcqTileRows, block.size);
      lookup.add_plane(coefficients, block.size / 4);
    }
    lookup.add_to(sums, coefficients);
  }
}

using LookUp = void (*)(std::size_t, const BcqBlock&, const std::uint8_t*, const BlockTables&, float*);

// By number of tokens, so that the sums fit into 16 of the 32 registers.
constexpr LookUp kNarrow[] = {look_up<1, 4, false>, look_up<2, 4, false>, look_up<3, 2, false>, look_up<4, 2, false>};
constexpr LookUp kWide[] = {look_up<1, 4, true>, look_up<2, 2, true>};

template <std::size_t kTokens>
void matmul(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile, const LookUp* by_tokens) {
  matmul_lut_tiles<kTokens>(
      product, first_tile, last_tile,
      [&](std::size_t tokens, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables, float* sums) {
        by_tokens[tokens - 1](product.layout.planes, block, tile, tables, sums);
      },
      [](float*, std::size_t) {});
}

} // namespace

void matmul_f32_lut_bcq_4x64_neon(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.table_bits == 16)
    matmul<2>(product, first_tile, last_tile, kWide);
  else
    matmul<4>(product, first_tile, last_tile, kNarrow);
}

} // namespace edgeq::kernels
