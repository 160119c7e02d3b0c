// SPDX-License-Identifier: Apache-2.0
// The loops of MatmulA8 for many tokens: a stretch of a tile is decoded once, then multiplied with every panel.
// Included by one source per instruction set.
#pragma once

#include "matmul_a8_driver.h"
#include "matmul_u8_block.h"

namespace edgeq::kernels {
namespace {

/// As many packed bytes behind input `end` of a tile as inputs [begin, end) have; `bytes_left` from the tile on.
EDGEQ_INLINE U8Ahead packed_ahead(const UniformLayout& layout, const std::uint8_t* tile, std::size_t begin,
                                  std::size_t end, std::size_t bytes_left) {
  const std::size_t next = smaller(layout.code_offset(end), bytes_left);
  return {tile + next, smaller(layout.code_offset(end) - layout.code_offset(begin), bytes_left - next) / 64};
}

/// Fetches the outputs of a panel that a tile writes: lines that the loop has not read, each in a page of its own.
EDGEQ_INLINE void fetch_rows(const MatmulA8& product, std::size_t tile, std::size_t token, std::size_t tokens) {
  const std::size_t n = product.layout.n, row = tile * kUniformTileRows, end = smaller(row + kUniformTileRows, n);
  for (std::size_t t = token; t < token + tokens; ++t)
    for (std::size_t r = row; r < end; r += 16)
      __builtin_prefetch(product.y + t * n + r, 1);
}

/// The products of one tile with panels [first, last). Decoder::run(layout, tile, begin, end, DecodedTile&) decodes,
/// kernel.run(U8Block, tokens) is the register block.
template <class Decoder, class Kernel>
void matmul_a8_prompt_tile(const MatmulA8& product, std::size_t tile, std::size_t first, std::size_t last) {
  const UniformLayout& layout = product.layout;
  const Grouping& inputs = layout.inputs;
  const A8Panels& x = product.x;
  const std::uint8_t* weights = product.weights + tile * layout.tile_bytes();
  const std::size_t bytes_left = (layout.tiles() - tile) * layout.tile_bytes();
  const std::size_t first_token = x.first_token(first), blocks = inputs.blocks();
  DecodedTile decoded;
  Kernel kernel;
  alignas(64) float sums[kPanelsPerPass * Kernel::kTokens * kUniformTileRows];
  __builtin_memset(sums, 0, (x.first_token(last) - first_token) * kUniformTileRows * sizeof(float));
  for (std::size_t begin = 0, end = 0; begin < inputs.padded_k; begin = end) {
    end = stretch_end(inputs, begin);
    Decoder::run(layout, weights, begin, end, decoded);
    const U8Ahead ahead = packed_ahead(layout, weights, begin, end, bytes_left);
    const std::size_t block = inputs.block_index(begin);
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t token = x.first_token(panel), tokens = x.panel_size(panel);
      const std::size_t scale = token * blocks + block * tokens;
      const U8Ahead part = ahead.part(panel - first, last - first);
      float* y = sums + (token - first_token) * kUniformTileRows;
      if (end == inputs.padded_k)
        fetch_rows(product, tile, token, tokens);
      kernel.run(
          {&decoded, x.codes + token * inputs.padded_k + begin * tokens, x.scales + scale, x.sums + scale, y, part},
          tokens);
      fetch_ahead(kernel, part);
      if (end == inputs.padded_k)
        for (std::size_t t = 0; t < tokens; ++t)
          store_rows(product, tile, token + t, y + t * kUniformTileRows);
    }
  }
  finish(kernel);
}

/// Passes over the panels are as even as possible.
template <class Decoder, class Kernel>
void matmul_a8_prompt(const MatmulA8& product, std::size_t first_tile, std::size_t last_tile) {
  const std::size_t panels = product.x.panels(), passes = (panels + kPanelsPerPass - 1) / kPanelsPerPass;
  for (std::size_t tile = first_tile; tile < last_tile; ++tile)
    for (std::size_t pass = 0; pass < passes; ++pass)
      matmul_a8_prompt_tile<Decoder, Kernel>(product, tile, panels * pass / passes, panels * (pass + 1) / passes);
}

} // namespace
} // namespace edgeq::kernels
