// SPDX-License-Identifier: Apache-2.0
// A byte of a register belongs to a row; one byte shuffle looks up one run of 32 rows (T-MAC). Entries are added as
// 16-bit words, in all: A = Σ even byte + 256 · odd byte modulo 2^16, and B = Σ odd byte. No sum of 32 runs exceeds
// 32 · 255, so Σ even byte = A − 256 · B modulo 2^16.
#include "matmul_lut_driver.h"

#include <immintrin.h>

namespace edgeq::kernels {
namespace {

EDGEQ_INLINE __m256i load(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

EDGEQ_INLINE __m256i load_table(const std::uint8_t* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

EDGEQ_INLINE __m256 load_halfs(const std::uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

/// Sums of bytes selected for 32 byte lanes.
struct ByteSums {
  __m256i all;
  __m256i odd;

  EDGEQ_MEMBER void clear() { all = odd = _mm256_setzero_si256(); }
  EDGEQ_MEMBER void add(__m256i bytes) {
    all = _mm256_add_epi16(all, bytes);
    odd = _mm256_add_epi16(odd, _mm256_srli_epi16(bytes, 8));
  }
  /// Sums of eight even (parity 0) or odd lanes, from word 8 · part on, as 32-bit integers.
  EDGEQ_MEMBER __m256i words(int parity, int part) const {
    const __m256i sums = parity == 0 ? _mm256_sub_epi16(all, _mm256_slli_epi16(odd, 8)) : odd;
    return _mm256_cvtepu16_epi32(part == 0 ? _mm256_castsi256_si128(sums) : _mm256_extracti128_si256(sums, 1));
  }
};

/// Looks up half a line's rows, for kTokens tokens; kWide: entries of 16 bits.
template <int kTokens, bool kWide> struct Lookup {
  ByteSums low[kTokens];
  ByteSums high[kTokens];
  __m256 weighted[4][kTokens]; // sums of entries times coefficients, over planes: [parity, part][token]
  const BlockTables& tables;

  EDGEQ_MEMBER explicit Lookup(const BlockTables& block_tables) : tables(block_tables) {
    EDGEQ_UNROLL
    for (int i = 0; i < 4 * kTokens; ++i)
      weighted[i / kTokens][i % kTokens] = _mm256_setzero_ps();
  }

  EDGEQ_MEMBER void add_run(__m256i nibbles, const std::uint8_t* entries) {
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const std::uint8_t* table = entries + static_cast<std::size_t>(t) * tables.entry_stride;
      low[t].add(_mm256_shuffle_epi8(load_table(table), nibbles));
      if (kWide)
        high[t].add(_mm256_shuffle_epi8(load_table(table + 64), nibbles));
    }
  }

  /// Sums the entries that half of one plane selects; its lines are `stride` bytes apart.
  EDGEQ_MEMBER void sum_plane(const std::uint8_t* line, std::size_t stride, std::size_t inputs) {
    const __m256i mask = _mm256_set1_epi8(15);
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      low[t].clear();
      high[t].clear();
    }
    const std::uint8_t* entries = tables.entries;
    for (std::size_t k = 0; k < inputs; k += 16, entries += kWide ? 128 : 64) {
      EDGEQ_UNROLL
      for (int i = 0; i < 2; ++i, line += stride) {
        const __m256i bytes = load(line);
        add_run(_mm256_and_si256(bytes, mask), entries + 32 * i);
        add_run(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask), entries + 32 * i + 16);
      }
    }
  }

  EDGEQ_MEMBER __m256 value(int t, int parity, int part, __m256i bias) const {
    __m256i sum = low[t].words(parity, part);
    if (kWide)
      sum = _mm256_add_epi32(sum, _mm256_slli_epi32(high[t].words(parity, part), 8));
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(sum, bias));
  }

  /// weighted += coefficients · sums of the plane.
  EDGEQ_MEMBER void add_plane(const std::uint8_t* coefficients, std::size_t runs) {
    const __m256i bias = _mm256_set1_epi32(static_cast<int>(runs) * (kWide ? 32768 : 128));
    EDGEQ_UNROLL
    for (int i = 0; i < 4; ++i) {
      const __m256 factor = load_halfs(coefficients + 2 * first_row(i));
      EDGEQ_UNROLL
      for (int t = 0; t < kTokens; ++t)
        weighted[i][t] = _mm256_fmadd_ps(factor, value(t, i / 2, i % 2, bias), weighted[i][t]);
    }
  }

  /// sums += scale · weighted, += offsets · sum of the activations.
  EDGEQ_MEMBER void add_to(float* sums, const std::uint8_t* offsets) const {
    EDGEQ_UNROLL
    for (int i = 0; i < 4; ++i) {
      const __m256 factor = load_halfs(offsets + 2 * first_row(i));
      EDGEQ_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const LutBlock& block = tables.blocks[static_cast<std::size_t>(t) * tables.block_stride];
        float* place = sums + 64 * t + first_row(i);
        const __m256 sum = _mm256_fmadd_ps(_mm256_set1_ps(block.scale), weighted[i][t], _mm256_loadu_ps(place));
        _mm256_storeu_ps(place, _mm256_fmadd_ps(factor, _mm256_set1_ps(block.sum), sum));
      }
    }
  }

  static EDGEQ_MEMBER int first_row(int i) { return 32 * (i / 2) + 8 * (i % 2); }
};

template <int kTokens, bool kWide>
void look_up(std::size_t planes, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables,
             float* sums) {
  for (std::size_t half = 0; half < 2; ++half, sums += 16) {
    const std::uint8_t* coefficients = tile + block.coefficients + 32 * half;
    Lookup<kTokens, kWide> lookup(tables);
    for (std::size_t p = 0; p < planes; ++p, coefficients += 2 * kBcqTileRows) {
      lookup.sum_plane(tile + block.lines + p * kBcqTileRows + 32 * half, planes * kBcqTileRows, block.size);
      lookup.add_plane(coefficients, block.size / 4);
    }
    lookup.add_to(sums, coefficients);
  }
}

using LookUp = void (*)(std::size_t, const BcqBlock&, const std::uint8_t*, const BlockTables&, float*);

// By number of tokens, so that the sums fit into 8 of the 16 registers.
constexpr LookUp kNarrow[] = {look_up<1, false>, look_up<2, false>, look_up<3, false>, look_up<4, false>};
constexpr LookUp kWide[] = {look_up<1, true>, look_up<2, true>};

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

void matmul_f32_lut_bcq_4x64_avx2(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile) {
  if (product.table_bits == 16)
    matmul<2>(product, first_tile, last_tile, kWide);
  else
    matmul<4>(product, first_tile, last_tile, kNarrow);
}

} // namespace edgeq::kernels
