// SPDX-License-Identifier: Apache-2.0
// A stretch of a tile as bfloat16, and what a register block of MatmulBf16 does with it.
#pragma once

#include "bf16_panels.h"
#include "decoded_tile.h"

namespace edgeq::kernels {
namespace {

constexpr std::size_t kBf16Inputs = 256; // with 16 KiB they stay in the first-level cache

/// Codes counted from their zero points: integers of at most 8 bits, which are exact. In the order that the register
/// block reads: with AVX-512 and AMX [k / 2][32][2], of every four inputs the pairs (0, 2) and (1, 3), as in panels of
/// runs of 32; with bfmmla [k / 4][32][4].
struct Bf16Tile {
  alignas(64) std::uint16_t values[kBf16Inputs * kDecodedRows];
};

/// A tile times the tokens of a panel, for the inputs of the tile.
struct Bf16Block {
  const DecodedTile* bytes; // for its blocks and scales
  const Bf16Tile* tile;
  const std::uint16_t* x; // [k / run][tokens][run]
  float* y;               // [tokens][32], added to
};

} // namespace
} // namespace edgeq::kernels
