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

/// Tiles that a lone pass over the tokens reads in turns, block by block, and bytes by which it fetches ahead in each:
/// one tile's stream waits for a page table walk at every page, where the processor's own prefetchers stop. Measured on
/// Sapphire Rapids, one token: 10 to 21 % less time than one stream; three or four were slower.
constexpr std::size_t kStreams = 2;
constexpr std::size_t kStreamAhead = 2048;

/// Multiplies tiles [first, last), at most kStreams, by `tokens` tokens from `token` on. look_up(tokens, block,
/// tile, tables, sums) adds one block of a tile to sums[tokens][64]; finish(sums, tokens) may reorder the rows.
template <std::size_t kTokens, class LookUp, class Finish>
EDGEQ_INLINE void matmul_lut_pass(const MatmulLut& product, std::size_t first, std::size_t last, std::size_t token,
                                  const LookUp& look_up, const Finish& finish) {
  const BcqLayout& layout = product.layout;
  const std::size_t entry_stride = lut_bytes(layout.inputs, product.table_bits), block_stride = layout.inputs.blocks();
  const std::size_t tokens = smaller(kTokens, product.tokens - token), tile_bytes = layout.tile_bytes();
  BlockTables tables{product.entries + token * entry_stride, entry_stride, product.blocks + token * block_stride,
                     block_stride};
  alignas(64) float sums[kStreams][kTokens * kBcqTileRows];
  __builtin_memset(sums, 0, (last - first) * sizeof *sums);
  for_each_block(layout, [&](const BcqBlock& block) {
    for (std::size_t tile = first; tile < last; ++tile)
      look_up(tokens, block, product.weights + tile * tile_bytes, tables, sums[tile - first]);
    tables.entries += block.size * product.table_bits / 2;
    ++tables.blocks;
  });
  for (std::size_t tile = first; tile < last; ++tile) {
    finish(sums[tile - first], tokens);
    store_rows(layout, tile, sums[tile - first], tokens, product.bias, product.y + token * layout.n);
  }
}

/// Multiplies tiles [first, last) by all tokens, up to kTokens at once.
template <std::size_t kTokens, class LookUp, class Finish>
EDGEQ_INLINE void matmul_lut_tiles(const MatmulLut& product, std::size_t first, std::size_t last, const LookUp& look_up,
                                   const Finish& finish) {
  const bool once = product.tokens <= kTokens; // else tiles are read again, from the cache
  for (std::size_t tile = first, end = 0; tile < last; tile = end) {
    end = once ? smaller(tile + kStreams, last) : tile + 1;
    for (std::size_t token = 0; token < product.tokens; token += kTokens)
      matmul_lut_pass<kTokens>(product, tile, end, token, look_up, finish);
  }
}

} // namespace
} // namespace edgeq::kernels
