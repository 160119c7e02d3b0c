// SPDX-License-Identifier: Apache-2.0
// Lookup with a byte lane per row: one byte shuffle looks up one run for all rows of a register (T-MAC, arXiv
// 2407.00088). Entries are added as 16-bit words, in all: A = Σ even byte + 256 · odd byte modulo 2^16, and
// B = Σ odd byte. No sum of 32 runs exceeds 32 · 255, so Σ even byte = A − 256 · B modulo 2^16.
// Included by one source per instruction set, which says what a register is: a struct V with
//   Bytes, Floats: registers; kLanes: bytes of a register; zero(), load(p), load_table(p) of 16 bytes to all 16-byte
//   lanes, shuffle(table, index), low_nibbles(a), high_nibbles(a); add_words(a, b), sub_words(a, b), upper(a): the
//   upper byte of every word, shift_up(a): words << 8; widen(a, part): words of half `part` as int32; add(a, b), sub(a,
//   b), set(i), shift_up_lanes(a): int32 << 8; to_floats(a), zero_floats(), set_floats(f), load_floats(p),
//   store_floats(p, a), load_halfs(p), fmadd(a, b, c).
#pragma once

#include "matmul_lut_driver.h"

namespace edgeq::kernels {
namespace {

/// Sums of bytes selected for the lanes of a register.
template <class V> struct ByteSums {
  typename V::Bytes all;
  typename V::Bytes odd;

  EDGEQ_MEMBER void clear() { all = odd = V::zero(); }
  EDGEQ_MEMBER void add(typename V::Bytes bytes) {
    all = V::add_words(all, bytes);
    odd = V::add_words(odd, V::upper(bytes));
  }
  /// Sums of the even (parity 0) or odd lanes of half `part`, as 32-bit integers.
  EDGEQ_MEMBER typename V::Bytes words(int parity, int part) const {
    return V::widen(parity == 0 ? V::sub_words(all, V::shift_up(odd)) : odd, part);
  }
};

/// Looks up one register of rows, for kTokens tokens and kPlanes planes at once; kWide: entries of 16 bits.
template <class V, int kTokens, int kPlanes, bool kWide> struct LaneLookup {
  using Bytes = typename V::Bytes;
  using Floats = typename V::Floats;
  ByteSums<V> low[kPlanes][kTokens];
  ByteSums<V> high[kPlanes][kTokens];
  Floats weighted[4][kTokens]; // sums of entries times coefficients, over planes: [parity, part][token]
  const BlockTables& tables;

  EDGEQ_MEMBER explicit LaneLookup(const BlockTables& block_tables) : tables(block_tables) {
    EDGEQ_UNROLL
    for (int i = 0; i < 4 * kTokens; ++i)
      weighted[i / kTokens][i % kTokens] = V::zero_floats();
  }

  EDGEQ_MEMBER void clear() {
    EDGEQ_UNROLL
    for (int i = 0; i < kPlanes * kTokens; ++i) {
      low[i / kTokens][i % kTokens].clear();
      high[i / kTokens][i % kTokens].clear();
    }
  }

  EDGEQ_MEMBER void add_run(const Bytes (&nibbles)[kPlanes], const std::uint8_t* entries) {
    EDGEQ_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const std::uint8_t* table = entries + static_cast<std::size_t>(t) * tables.entry_stride;
      EDGEQ_UNROLL
      for (int p = 0; p < kPlanes; ++p) {
        low[p][t].add(V::shuffle(V::load_table(table), nibbles[p]));
        if (kWide)
          high[p][t].add(V::shuffle(V::load_table(table + 64), nibbles[p]));
      }
    }
  }

  /// Sums the entries that the planes select; the lines of a plane are `stride` bytes apart.
  EDGEQ_MEMBER void sum_planes(const std::uint8_t* line, std::size_t stride, std::size_t inputs, std::size_t ahead) {
    clear();
    const std::uint8_t* entries = tables.entries;
    for (std::size_t k = 0; k < inputs; k += 16, entries += kWide ? 128 : 64) {
      EDGEQ_UNROLL
      for (int i = 0; i < 2; ++i, line += stride) {
        Bytes nibbles[kPlanes];
        EDGEQ_UNROLL
        for (int p = 0; p < kPlanes; ++p) {
          __builtin_prefetch(line + ahead + 64 * p);
          nibbles[p] = V::low_nibbles(V::load(line + 64 * p));
        }
        add_run(nibbles, entries + 32 * i);
        EDGEQ_UNROLL
        for (int p = 0; p < kPlanes; ++p)
          nibbles[p] = V::high_nibbles(V::load(line + 64 * p));
        add_run(nibbles, entries + 32 * i + 16);
      }
    }
  }

  EDGEQ_MEMBER Floats value(int p, int t, int parity, int part, Bytes bias) const {
    Bytes sum = low[p][t].words(parity, part);
    if (kWide)
      sum = V::add(sum, V::shift_up_lanes(high[p][t].words(parity, part)));
    return V::to_floats(V::sub(sum, bias));
  }

  /// weighted += coefficients · sums of the planes.
  EDGEQ_MEMBER void add_planes(const std::uint8_t* coefficients, std::size_t runs) {
    const Bytes bias = V::set(static_cast<int>(runs) * (kWide ? 32768 : 128));
    EDGEQ_UNROLL
    for (int p = 0; p < kPlanes; ++p) {
      EDGEQ_UNROLL
      for (int i = 0; i < 4; ++i) {
        const Floats factor = V::load_halfs(coefficients + 128 * p + 2 * first_row(i));
        EDGEQ_UNROLL
        for (int t = 0; t < kTokens; ++t)
          weighted[i][t] = V::fmadd(factor, value(p, t, i / 2, i % 2, bias), weighted[i][t]);
      }
    }
  }

  /// sums += scale · weighted, += offsets · sum of the activations.
  EDGEQ_MEMBER void add_to(float* sums, const std::uint8_t* offsets) const {
    EDGEQ_UNROLL
    for (int i = 0; i < 4; ++i) {
      const Floats factor = V::load_halfs(offsets + 2 * first_row(i));
      EDGEQ_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        const LutBlock& block = tables.blocks[static_cast<std::size_t>(t) * tables.block_stride];
        float* place = sums + 64 * t + first_row(i);
        const Floats sum = V::fmadd(V::set_floats(block.scale), weighted[i][t], V::load_floats(place));
        V::store_floats(place, V::fmadd(factor, V::set_floats(block.sum), sum));
      }
    }
  }

  static EDGEQ_MEMBER int first_row(int i) { return 32 * (i / 2) + V::kLanes / 4 * (i % 2); }
};

/// Looks up a block for kTokens tokens, kPlanes planes at once; their number is a multiple of that.
template <class V, int kTokens, int kPlanes, bool kWide>
void look_up_lanes(std::size_t planes, bool prefetch, const BcqBlock& block, const std::uint8_t* tile,
                   const BlockTables& tables, float* sums) {
  for (std::size_t lane = 0; lane < kBcqTileRows; lane += V::kLanes, sums += V::kLanes / 2) {
    const std::size_t ahead = prefetch && lane == 0 ? kStreamAhead : 0;
    const std::uint8_t* coefficients = tile + block.coefficients + lane;
    LaneLookup<V, kTokens, kPlanes, kWide> lookup(tables);
    for (std::size_t p = 0; p < planes; p += kPlanes, coefficients += 2 * kBcqTileRows * kPlanes) {
      lookup.sum_planes(tile + block.lines + p * kBcqTileRows + lane, planes * kBcqTileRows, block.size, ahead);
      lookup.add_planes(coefficients, block.size / 4);
    }
    lookup.add_to(sums, coefficients);
  }
}

using LookUpLanes = void (*)(std::size_t, bool, const BcqBlock&, const std::uint8_t*, const BlockTables&, float*);

/// The functions of an instruction set: for one token by number of planes, all of which are read at once, in the order
/// of memory; for more by number of tokens, plane after plane.
template <std::size_t kTokens> struct LaneLookups {
  LookUpLanes one[4];
  LookUpLanes many[kTokens];

  EDGEQ_MEMBER LookUpLanes choose(std::size_t planes, std::size_t tokens) const {
    return tokens == 1 ? one[planes - 1] : many[tokens - 1];
  }
};

template <std::size_t kTokens>
EDGEQ_INLINE void matmul_lut_lanes(const MatmulLut& product, std::size_t first_tile, std::size_t last_tile,
                                   const LaneLookups<kTokens>& lookups) {
  const std::size_t planes = product.layout.planes;
  matmul_lut_tiles<kTokens>(
      product, first_tile, last_tile,
      [&](std::size_t tokens, const BcqBlock& block, const std::uint8_t* tile, const BlockTables& tables, float* sums) {
        lookups.choose(planes, tokens)(planes, product.prefetch, block, tile, tables, sums);
      },
      [](float*, std::size_t) {});
}

} // namespace
} // namespace edgeq::kernels
