// SPDX-License-Identifier: Apache-2.0
// Four tables of 16 entries fill a register, so one byte permutation looks up four runs of a row; they lie in the four
// bytes of a 32-bit lane, which vpdpbusd adds up.
#include "matmul_lut_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE __m512i load(const std::uint8_t* p) { return _mm512_loadu_si512(p); }

/// sum + the four bytes of each lane. GCC 12 copies the sum before and after the intrinsic.
EDGEQ_INLINE __m512i add_bytes(__m512i sum, __m512i bytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes), "v"(_mm512_set1_epi8(1)));
  return sum;
}

/// Rows 32 · half to 32 · half + 31 of two lines, 16 inputs; word r has row r's byte of line a, then its byte of line
/// b.
EDGEQ_INLINE __m512i pair_lines(__m512i a, __m512i b, int half) {
  const __m512i even = _mm512_set4_epi32(0x0e000c00, 0x0a000800, 0x06000400, 0x02000000);
  const __m512i odd = _mm512_set4_epi32(0x000f000d, 0x000b0009, 0x00070005, 0x00030001);
  return half == 0 ? _mm512_mask_shuffle_epi8(a, 0xaaaaaaaaaaaaaaaa, b, even)
                   : _mm512_mask_shuffle_epi8(b, 0x5555555555555555, a, odd);
}

/// Indices into four tables: byte j of a lane = nibble of run j | j << 4 in the six bits that a permutation regards.
/// The lanes belong to rows 4i and 4i + 1 (part 0) or 4i + 2 and 4i + 3 (part 1) of the pair, i = 0 … 7.
EDGEQ_INLINE __m512i table_indices(__m512i pair, int part) {
  const __m512i shifts = _mm512_set1_epi64(part == 0 ? 0x1c1814100c080400 : 0x3c3834302c282420);
  const __m512i nibbles = _mm512_multishift_epi64_epi8(shifts, pair);
  return _mm512_ternarylogic_epi32(nibbles, _mm512_set1_epi8(15), _mm512_set1_epi32(0x30201000), 0xea);
}

/// 32 float16, divided into parts as the lanes of table_indices.
struct Halfs {
  __m512 part[2];
};

EDGEQ_INLINE Halfs load_halfs(const std::uint8_t* p) {
  const __m512i parts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  const __m512i ordered = _mm512_permutexvar_epi32(parts, load(p));
  return {{_mm512_cvtph_ps(_mm512_castsi512_si256(ordered)), _mm512_cvtph_ps(_mm512_extracti64x4_epi64(ordered, 1))}};
}

/// Brings the rows of sums[half][part][16] into order.
void order_rows(float* sums) {
  const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (int half = 0; half < 2; ++half, sums += 32) {
    const __m512d a = _mm512_loadu_pd(sums), b = _mm512_loadu_pd(sums + 16);
    _mm512_storeu_pd(sums, _mm512_permutex2var_pd(a, first, b));
    _mm512_storeu_pd(sums + 16, _mm512_permutex2var_pd(a, second, b));
  }
}

/// Looks up one block for kTokens tokens, in kPlanes planes and kHalves halves of the rows at once; kWide: entries of
/// 16 bits.
template <int kTokens, int kPlanes, int kHalves, bool kWide> struct Lookup {
  static constexpr int kRows = kHalves * 2 * kTokens, kSums = kPlanes * kRows;
  __m512i low[kSums]; // sums of low bytes: [plane][half][part][token]
  __m512i high[kSums];
  __m512 weighted[kRows]; // sums of entries times coefficients, over planes: [half][part][token]
  const BlockTables& tables;

  EDGEQ_MEMBER explicit Lookup(const BlockTables& block_tables) : tables(block_tables) {
    EDGEQ_UNROLL
    for (__m512& sum : weighted)
      sum = _mm512_setzero_ps();
  }

  EDGEQ_MEMBER void clear(std::size_t runs) {
    const __m512i bias = _mm512_set1_epi32(-static_cast<int>(runs) * (kWide ? 32768 : 128));
    EDGEQ_UNROLL
    for (int i = 0; i < kSums; ++i) {
      low[i] = bias;
      high[i] = _mm512_setzero_si512();
    }
  }

  EDGEQ_MEMBER void add_entries(int sum, __m512i index, const std::uint8_t* entries) {
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const std::uint8_t* table = entries + static_cast<std::size_t>(t) * tables.entry_stride;
      low[sum + t] = add_bytes(low[sum + t], _mm512_permutexvar_epi8(index, load(table)));
      if (kWide)
        high[sum + t] = add_bytes(high[sum + t], _mm512_permutexvar_epi8(index, load(table + 64)));
    }
  }

  /// Sums the entries that the planes select; `stride` bytes lie between the lines of a plane.
  EDGEQ_MEMBER void sum_planes(const std::uint8_t* line, std::size_t stride, std::size_t inputs, int first_half,
                               bool prefetch) {
    const std::size_t ahead = prefetch ? kStreamAhead : 0;
    clear(inputs / 4);
    const std::uint8_t* entries = tables.entries;
    for (std::size_t k = 0; k < inputs; k += 16, line += 2 * stride, entries += kWide ? 128 : 64) {
      EDGEQ_UNROLL
      for (int p = 0; p < kPlanes; ++p) {
        const __m512i a = load(line + 64 * p), b = load(line + stride + 64 * p);
        _mm_prefetch(reinterpret_cast<const char*>(line + ahead + 64 * p), _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char*>(line + ahead + stride + 64 * p), _MM_HINT_T0);
        EDGEQ_UNROLL
        for (int i = 0; i < 2 * kHalves; ++i)
          add_entries(p * kRows + i * kTokens, table_indices(pair_lines(a, b, first_half + i / 2), i % 2), entries);
      }
    }
  }

  EDGEQ_MEMBER __m512 value(int sum) const {
    return _mm512_cvtepi32_ps(kWide ? _mm512_add_epi32(low[sum], _mm512_slli_epi32(high[sum], 8)) : low[sum]);
  }

  /// weighted += coefficients · sums of the planes.
  EDGEQ_MEMBER void add_planes(const std::uint8_t* coefficients) {
    EDGEQ_UNROLL
    for (int i = 0; i < kPlanes * kHalves; ++i) {
      const int p = i / kHalves, half = i % kHalves;
      const Halfs factors = load_halfs(coefficients + 2 * kBcqTileRows * p + 64 * half);
      EDGEQ_UNROLL
      for (int j = 0; j < 2 * kTokens; ++j) {
        __m512& sum = weighted[half * 2 * kTokens + j];
        sum = _mm512_fmadd_ps(factors.part[j / kTokens], value(p * kRows + half * 2 * kTokens + j), sum);
      }
    }
  }

  /// sums += scale · weighted, += offsets · sum of the activations.
  EDGEQ_MEMBER void add_to(float* sums, const std::uint8_t* offsets) const {
    EDGEQ_UNROLL
    for (int half = 0; half < kHalves; ++half) {
      const Halfs factors = load_halfs(offsets + 64 * half);
      EDGEQ_UNROLL
      for (int j = 0; j < 2 * kTokens; ++j) {
        const int part = j / kTokens, t = j % kTokens;
        const LutBlock& block = tables.blocks[static_cast<std::size_t>(t) * tables.block_stride];
        float* place = sums + 64 * t + 32 * half + 16 * part;
        const __m512 sum =
            _mm512_fmadd_ps(_mm512_set1_ps(block.scale), weighted[half * 2 * kTokens + j], _mm512_loadu_ps(place));
        _mm512_storeu_ps(place, _mm512_fmadd_ps(factors.part[part], _mm512_set1_ps(block.sum), sum));
      }
    }
  }
};

template <int kTokens, int kPlanes, int kHalves, bool kWide>
void look_up(std::size_t planes, bool prefetch, const BcqBlock& block, const std::uint8_t* tile,
             const BlockTables& tables, float* sums) {
  for (int half = 0; half < 2; half += kHalves, sums += 32) {
    const std::uint8_t* coefficients = tile + block.coefficients + 64 * half;
    Lookup<kTokens, kPlanes, kHalves, kWide> lookup(tables);
    for (std::size_t p = 0; p < planes; p += kPlanes, coefficients += 2 * kBcqTileRows * kPlanes) {
      lookup.sum_planes(tile + block.lines + p * kBcqTileRows, planes * kBcqTileRows, block.size, half, prefetch);
      lookup.add_planes(coefficients);
    }
    lookup.add_to(sums, coefficients);
  }
}

using LookUp = void (*)(std::size_t, bool, const BcqBlock&, const std::uint8_t*, const BlockTables&, float*);

// The sums fit into 16 of the 32 registers. One token reads all planes at once, that is, in the order of memory.
constexpr LookUp kOneNarrow[] = {look_up<1, 1, 2, false>, look_up<1, 2, 2, false>, look_up<1, 3, 2, false>,
                                 look_up<1, 4, 2, false>};
constexpr LookUp kOneWide[] = {look_up<1, 1, 2, true>, look_up<1, 2, 2, true>, look_up<1, 3, 1, true>,
                               look_up<1, 4, 1, true>};
constexpr LookUp kNarrow[] = {nullptr,
                              look_up<2, 1, 2, false>,
                              look_up<3, 1, 2, false>,
                              look_up<4, 1, 2, false>,
                              look_up<5, 1, 1, false>,
                              look_up<6, 1, 1, false>,
                              look_up<7, 1, 1, false>,
                              look_up<8, 1, 1, false>};
constexpr LookUp kWide[] = {nullptr, look_up<2, 1, 2, true>, look_up<3, 1, 1, true>, look_up<4, 1, 1, true>};

LookUp choose(std::size_t table_bits, std::size_t planes, std::size_t tokens) {
  if (tokens == 1)
    return (table_bits == 16 ? kOneWide : kOneNarrow)[planes - 1];
  return (table_bits == 16 ? kWide : kNarrow)[tokens - 1];
}

template <std::size_t kTokens> void matmul(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile) {
  const std::size_t planes = product.layout.planes;
  matmul_lut_tiles<kTokens>(
      product, first_tile, last_tile,
      [&](std::size_t tokens, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables, float* sums) {
        choose(product.table_bits, planes, tokens)(planes, product.prefetch, block, tile, tables, sums);
      },
      [](float* sums, std::size_t tokens) {
        for (std::size_t t = 0; t < tokens; ++t)
          order_rows(sums + t * kBcqTileRows);
      });
}

} // namespace

void matmul_f32_lut_bcq_8x64_avx512_vbmi(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.table_bits == 16)
    matmul<4>(product, first_tile, last_tile);
  else
    matmul<8>(product, first_tile, last_tile);
}

} // namespace edgeq::kernels
