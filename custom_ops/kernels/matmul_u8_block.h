// SPDX-License-Identifier: Apache-2.0
// The register block of prompts: decoded weights times the tokens of one panel, for instruction sets that sum four
// products of bytes in 32 bits. Included by one source per instruction set.
#pragma once

#include "decoded_tile.h"

namespace edgeq::kernels {
namespace {

/// Packed bytes that the next stretch is decoded from, to be fetched meanwhile into the second-level cache.
struct U8Ahead {
  const std::uint8_t* lines;
  std::size_t count; // lines of 64 bytes

  EDGEQ_MEMBER U8Ahead part(std::size_t index, std::size_t parts) const {
    const std::size_t first = count * index / parts;
    return {lines + 64 * first, count * (index + 1) / parts - first};
  }
  EDGEQ_MEMBER void fetch() const {
    for (std::size_t line = 0; line < count; ++line)
      __builtin_prefetch(lines + 64 * line, 0, 2);
  }
};

/// A decoded tile times the tokens of a panel, for the inputs of the tile.
struct U8Block {
  const DecodedTile* tile;
  const std::int8_t* x;       // [k / 4][tokens][4]
  const float* scales;        // [block][tokens]
  const std::int32_t* starts; // what sums start with, as scales; or, with zeros in the tile, sums of the activations
  float* y;                   // [tokens][32], added to
  U8Ahead ahead;
};

/// Called with a register block that is used no more. Not a destructor: the compiler's tables for exceptions would put
/// a weak symbol into the object.
template <class Kernel> EDGEQ_INLINE void finish(const Kernel&) {}

/// Called after a register block has run.
template <class Kernel> EDGEQ_INLINE void fetch_ahead(const Kernel&, const U8Ahead& ahead) { ahead.fetch(); }

/// Sums of a register block, [tokens][32] in memory: in registers where there are 32 of them, which loads and stores
/// per block would slow down by a quarter with groups of 32.
template <class V, int Tokens, bool InRegisters> struct RegisterSums {
  typename V::Floats values[Tokens][2];
  float* memory;
  EDGEQ_MEMBER explicit RegisterSums(float* y) : memory(y) {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Tokens; ++i) values[i / 2][i % 2] = V::load_floats(place(i / 2, i % 2));
  }
  EDGEQ_MEMBER float* place(int t, int v) const { return memory + 32 * t + static_cast<int>(V::kRows) * v; }
  EDGEQ_MEMBER typename V::Floats get(int t, int v) const { return values[t][v]; }
  EDGEQ_MEMBER void set(int t, int v, typename V::Floats sum) { values[t][v] = sum; }
  EDGEQ_MEMBER void store() const {
    EDGEQ_UNROLL for (int i = 0; i < 2 * Tokens; ++i) V::store_floats(place(i / 2, i % 2), values[i / 2][i % 2]);
  }
};
template <class V, int Tokens> struct RegisterSums<V, Tokens, false> {
  float* memory;
  EDGEQ_MEMBER explicit RegisterSums(float* y) : memory(y) {}
  EDGEQ_MEMBER float* place(int t, int v) const { return memory + 32 * t + static_cast<int>(V::kRows) * v; }
  EDGEQ_MEMBER typename V::Floats get(int t, int v) const { return V::load_floats(place(t, v)); }
  EDGEQ_MEMBER void set(int t, int v, typename V::Floats sum) { V::store_floats(place(t, v), sum); }
  EDGEQ_MEMBER void store() const {}
};

/// Two vectors of rows from row `row` on. V::dot(acc, u, s) adds products of unsigned and signed bytes.
template <class V, int Tokens, bool Zeros> struct U8RegisterBlock {
  using Integers = typename V::Integers;
  using Floats = typename V::Floats;
  using Sums = RegisterSums<V, Tokens, V::kRegisters == 32>;

  EDGEQ_MEMBER static void step(const std::uint8_t* w, const std::int8_t* x, Integers (&acc)[Tokens][2]) {
    const Integers upper = V::load(w), lower = V::load(w + 4 * V::kRows);
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const Integers activations = V::broadcast4(x + 4 * t);
      V::dot(acc[t][0], upper, activations);
      V::dot(acc[t][1], lower, activations);
    }
  }

  /// Scales the sums of block `index` and adds them to `y`, rows `row` and following.
  template <class Memory>
  EDGEQ_MEMBER static void add_products(const DecodedTile& tile, std::size_t index, std::size_t row,
                                        const float* scales, const std::int32_t* starts, Integers (&acc)[Tokens][2],
                                        Memory& y) {
    EDGEQ_UNROLL for (int v = 0; v < 2; ++v, row += V::kRows) {
      const Floats scale = V::load_floats(tile.scales[index] + row), shift = V::load_floats(tile.shifts[index] + row);
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
        if (Zeros)
          acc[t][v] = V::subtract(acc[t][v], V::multiply(V::load(tile.zeros[index] + row), V::broadcast4(starts + t)));
        const Floats product = V::multiply_add(V::bits_as_floats(acc[t][v]), scale, shift);
        y.set(t, v, V::multiply_add(product, V::broadcast(scales + t), y.get(t, v)));
      }
    }
  }

  static void run(const U8Block& block, std::size_t row) {
    const DecodedTile& tile = *block.tile;
    const std::uint8_t* w = tile.bytes + 4 * row;
    const std::int8_t* x = block.x;
    const float* scales = block.scales;
    const std::int32_t* starts = block.starts;
    Sums y(block.y + row);
    for (std::size_t index = 0, blocks = tile.blocks; index < blocks; ++index, scales += Tokens, starts += Tokens) {
      Integers acc[Tokens][2];
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) acc[t][0] = acc[t][1] =
          Zeros ? V::all(kIntegerFloatBits) : V::broadcast4(starts + t);
      for (const std::uint8_t* stop = w + tile.counts[index] * kDecodedRows; w != stop;
           w += 16 * kDecodedRows, x += 16 * Tokens)
        EDGEQ_UNROLL for (int s = 0; s < 4; ++s)
            step(w + 4 * s * static_cast<int>(kDecodedRows), x + 4 * s * Tokens, acc);
      add_products(tile, index, row, scales, starts, acc, y);
    }
    y.store();
  }
};

/// U8RegisterBlock for U8Kernel.
template <class V, bool Zeros> struct U8DotBlock {
  static constexpr std::size_t kRows = 2 * V::kRows;
  template <int Tokens> EDGEQ_MEMBER static void run(const U8Block& block, std::size_t row) {
    U8RegisterBlock<V, Tokens, Zeros>::run(block, row);
  }
};

/// Block::run<Tokens>(U8Block, row) for all 32 rows and up to kMost tokens.
template <class Block, int kMost> struct U8Kernel {
  static constexpr std::size_t kTokens = kMost;

  static void run(const U8Block& block, std::size_t tokens) { run_at_most<kMost>(block, static_cast<int>(tokens)); }

private:
  template <int Tokens> EDGEQ_MEMBER static void run_at_most(const U8Block& block, int tokens) {
    if constexpr (Tokens > 1)
      if (tokens < Tokens)
        return run_at_most<Tokens - 1>(block, tokens);
    run_rows<Tokens>(block);
  }
  template <int Tokens> static void run_rows(const U8Block& block) {
    for (std::size_t row = 0; row < kDecodedRows; row += Block::kRows)
      Block::template run<Tokens>(block, row);
  }
};

} // namespace
} // namespace edgeq::kernels
