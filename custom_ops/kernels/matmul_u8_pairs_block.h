// SPDX-License-Identifier: Apache-2.0
// The register block of prompts for instruction sets that multiply bytes to 16 bits only (vpmaddubsw). Included by one
// source per instruction set.
#pragma once

#include "matmul_u8_block.h"

namespace edgeq::kernels {
namespace {

/// Steps of four inputs whose products of bytes up to `largest` with activations up to 127 fit into 16 bits, a divisor
/// of 8: per step two products are added.
constexpr int pair_steps(int largest) {
  const int fitting = 32767 / (2 * 127 * largest);
  return fitting >= 8 ? 8 : fitting >= 4 ? 4 : fitting >= 2 ? 2 : 1;
}

/// Two vectors of rows from row `row` on. Bytes above kLargest = 127 are multiplied in two halves of four bits.
template <class V, int kLargest, bool Zeros> struct U8PairsBlock {
  using Integers = typename V::Integers;
  static constexpr std::size_t kRows = 2 * V::kRows;
  static constexpr bool kNibbles = kLargest > 127;
  static constexpr int kSteps = pair_steps(kNibbles ? 15 : kLargest);

  template <int Tokens> EDGEQ_MEMBER static void run(const U8Block& block, std::size_t row) {
    const DecodedTile& tile = *block.tile;
    const std::uint8_t* w = tile.bytes + 4 * row;
    const std::int8_t* x = block.x;
    const float* scales = block.scales;
    const std::int32_t* starts = block.starts;
    RegisterSums<V, Tokens, false> y(block.y + row);
    for (std::size_t index = 0; index < tile.blocks; ++index, scales += Tokens, starts += Tokens) {
      Integers acc[Tokens][2];
      EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) acc[t][0] = acc[t][1] =
          Zeros ? V::all(kIntegerFloatBits) : V::broadcast4(starts + t);
      constexpr std::size_t kRun = 4 * kSteps;
      for (std::size_t k = 0; k < tile.counts[index]; k += kRun, w += kRun * kDecodedRows, x += kRun * Tokens) {
        if (kNibbles)
          add_run<Tokens, 4>(w, x, acc);
        add_run<Tokens, 0>(w, x, acc);
      }
      U8RegisterBlock<V, Tokens, Zeros>::add_products(tile, index, row, scales, starts, acc, y);
    }
  }

private:
  /// Adds kSteps steps of what the bytes are from bit kShift on.
  template <int Tokens, int kShift>
  EDGEQ_MEMBER static void add_run(const std::uint8_t* w, const std::int8_t* x, Integers (&acc)[Tokens][2]) {
    Integers pairs[Tokens][2];
    add_step<Tokens, kShift, true>(w, x, pairs);
    // Not unrolled: GCC 12 would spill the sums.
    _Pragma("GCC unroll 1") for (int s = 1; s < kSteps; ++s) {
      w += 4 * kDecodedRows;
      x += 4 * Tokens;
      add_step<Tokens, kShift, false>(w, x, pairs);
    }
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) EDGEQ_UNROLL for (int v = 0; v < 2; ++v) acc[t][v] =
        V::add(acc[t][v], V::widen_pairs(pairs[t][v], 1 << kShift));
  }

  template <int Tokens, int kShift, bool kFirst>
  EDGEQ_MEMBER static void add_step(const std::uint8_t* w, const std::int8_t* x, Integers (&pairs)[Tokens][2]) {
    const Integers bytes[2] = {part<kShift>(V::load(w)), part<kShift>(V::load(w + 4 * V::kRows))};
    EDGEQ_UNROLL for (int t = 0; t < Tokens; ++t) {
      const Integers activations = V::broadcast4(x + 4 * t);
      EDGEQ_UNROLL for (int v = 0; v < 2; ++v) {
        const Integers product = V::multiply_pairs(bytes[v], activations);
        pairs[t][v] = kFirst ? product : V::add_pairs(pairs[t][v], product);
      }
    }
  }

  template <int kShift> EDGEQ_MEMBER static Integers part(Integers bytes) {
    if (!kNibbles)
      return bytes;
    return V::both(kShift == 0 ? bytes : V::shift_right(bytes, kShift), V::all_bytes(15));
  }
};

} // namespace
} // namespace edgeq::kernels
