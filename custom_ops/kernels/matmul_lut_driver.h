// SPDX-License-Identifier: Apache-2.0
// The loops around the kernels of LutGemm. Included by one source per kernel.
#pragma once

#include "bcq_blocks.h"
#include "lut_gemm.h"

namespace edgeq::kernels {
namespace {

/// y[token][row] = sums[token][64] + bias, for the tile's rows that exist.
EDGEQ_INLINE void store_rows(const BcqLayout& layout, std::size_t tile, const float* sums, std::size_t tokens,
                             const float* bias, float* y) {
  const std::size_t row = tile * kBcqTileRows, rows = smaller(kBcqTileRows, layout.n - row);
  for (std::size_t token = 0; token < tokens; ++token)
    for (std::size_t r = 0; r < rows; ++r) {
      const float sum = sums[token * kBcqTileRows + r];
      y[token * layout.n + row + r] = bias == nullptr ? sum : sum + bias[row + r];
    }
}

/// Some tokens' tables of one activation block.
struct BlockTables {
  const std::uint8_t* entries;
  std::size_t entry_stride; // bytes from token to token
  const LutBlock* blocks;
  std::size_t block_stride; // blocks from token to token
};

/// Multiplies tiles [first, last) by all tokens, up to kTokens at once. look_up(tokens, block, tile, tables, sums)
/// adds one block of a tile to sums[tokens][64]; finish(sums, tokens) may reorder the rows.
template <std::size_t kTokens, class LookUp, class Finish>
EDGEQ_INLINE void matmul_lut_tiles(const MatmulLut& product, std::size_t first, std::size_t last, const LookUp& look_up,
                                   const Finish& finish) {
  const BcqLayout& layout = product.layout;
  const std::size_t entry_stride = lut_bytes(layout.inputs, product.table_bits), block_stride = layout.inputs.blocks();
  alignas(64) float sums[kTokens * kBcqTileRows];
  for (std::size_t tile = first; tile < last; ++tile) {
    const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
    for (std::size_t token = 0; token < product.tokens; token += kTokens) {
      const std::size_t tokens = smaller(kTokens, product.tokens - token);
      BlockTables tables{product.entries + token * entry_stride, entry_stride, product.blocks + token * block_stride,
                         block_stride};
      __builtin_memset(sums, 0, sizeof sums);
      for_each_block(layout, [&](const BcqBlock& block) {
        look_up(tokens, block, weights, tables, sums);
        tables.entries += block.size * product.table_bits / 2;
        ++tables.blocks;
      });
      finish(sums, tokens);
      store_rows(layout, tile, sums, tokens, product.bias, product.y + token * layout.n);
    }
  }
}

} // namespace
} // namespace edgeq::kernels
