// SPDX-License-Identifier: Apache-2.0
// The loops of MatmulA8 for many tokens: a stretch of a tile is decoded once, then multiplied with every panel.
// Included by one source per instruction set.
#pragma once

#include "matmul_a8_driver.h"
#include "matmul_u8_block.h"

namespace edgeq::kernels {
namespace {

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
    const std::size_t next = smaller(layout.code_offset(end), bytes_left);
    const std::size_t lines = smaller(layout.code_bytes(end - begin), bytes_left - next) / 64;
    const std::size_t block = inputs.block_index(begin), count = last - first;
    for (std::size_t panel = first; panel < last; ++panel) {
      const std::size_t token = x.first_token(panel), tokens = x.panel_size(panel);
      const std::size_t scale = token * blocks + block * tokens;
      kernel.run({&decoded, x.codes + token * inputs.padded_k + begin * tokens, x.scales + scale, x.sums + scale,
                  sums + (token - first_token) * kUniformTileRows},
                 tokens);
      prefetch_lines(weights + next, lines * (panel - first) / count, lines * (panel - first + 1) / count);
    }
  }
  finish(kernel);
  for (std::size_t token = first_token; token < x.first_token(last); ++token)
    store_rows(product, tile, token, sums + (token - first_token) * kUniformTileRows);
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
